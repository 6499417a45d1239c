"""The speed of every contender as a bar chart in SVG, readable on light and dark pages."""

from __future__ import annotations

from xml.sax.saxutils import escape

from benchmarks.contenders import OURS
from benchmarks.report import keys_of, milliseconds
from benchmarks.results import ModelResult, Results

WIDTH, LABEL, BAR, GAP, VALUE = 780, 230, 16, 14, 130
COLOURS = ("#2f6fde", "#12a594", "#e5484d", "#f0a020", "#8e6bd8")
TEXT = "#808590"


def chart(results: Results) -> str:
    """One group of bars for each model: time relative to the slowest contender; shorter is better.

    It shows the smallest number of threads that was measured.
    """
    threads: int = min(results.settings["threads"])
    ours, peers = keys_of(results, threads)
    keys = [key for key in (*ours, *peers) if any(key in model.timings for model in results.models)]
    colours = dict(zip(keys, COLOURS, strict=False))
    models = [model for model in results.models if any(key in model.timings for key in keys)]
    y = 34.0
    body = _legend(results, colours)
    for model in models:
        group, y = _group(model, colours, y)
        body += group
    title = f"Time of one inference, {threads} thread{'s' if threads > 1 else ''}; shorter is better"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y - GAP + 4:.0f}" '
        f'font-family="system-ui, sans-serif" '
        f'font-size="12" role="img" aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _legend(results: Results, colours: dict[str, str]) -> list[str]:
    parts = []
    for i, (key, colour) in enumerate(colours.items()):
        x = GAP + i * (WIDTH - GAP) // len(colours)
        parts.append(f'<rect x="{x}" y="6" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(_text(x + 18, 16, results.titles[key]))
    return parts


def _group(model: ModelResult, colours: dict[str, str], y: float) -> tuple[list[str], float]:
    """The bars of one model from `y` downwards, and where the next ones begin."""
    timed = [key for key in colours if key in model.timings]
    slowest = max(model.timings[key].median for key in timed)
    parts = [_text(LABEL - 10, y + len(timed) * BAR / 2 + 4, model.title, "end")]
    for key in timed:
        ms = model.timings[key].median
        width = (WIDTH - LABEL - VALUE) * ms / slowest
        parts.append(
            f'<rect x="{LABEL}" y="{y:.0f}" width="{width:.1f}" height="{BAR - 3}" rx="2" fill="{colours[key]}"/>'
        )
        parts.append(_text(LABEL + width + 6, y + BAR - 6, f"{milliseconds(ms)} ms{_times_as_long(model, key, timed)}"))
        y += BAR
    return parts, y + GAP


def _times_as_long(model: ModelResult, key: str, timed: list[str]) -> str:
    """Of a peer: how many times as long as the fastest of ours beside it takes."""
    ours = [model.timings[other].median for other in timed if other.startswith(OURS)]
    return "" if key.startswith(OURS) or not ours else f" · {model.timings[key].median / min(ours):.2f}×"


def _text(x: float, y: float, content: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{TEXT}" text-anchor="{anchor}">{escape(content)}</text>'
