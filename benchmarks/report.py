"""Results as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.contenders import OURS, WORKER, in_worker, threads_of
from benchmarks.results import ModelResult, Results, Timing

NOTHING = "–"


def markdown(results: Results) -> str:
    """All tables of one run."""
    threads, kept = results.settings["threads"], results.undisturbed()
    parts = [_conditions(results, kept), *(_times(kept, n) for n in threads), *(_shares(kept, n) for n in threads)]
    parts += [_workers(kept), _all_samples(results, kept)]
    parts += [_cold(results), _code(results), _memory(results), _notes(kept, results.undisturbed_speed)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def keys_of(results: Results, threads: int) -> tuple[list[str], list[str]]:
    """The contenders with this number of threads in the calling thread: ours, and the peers."""
    keys = [key for key in results.titles if threads_of(key) == threads and not in_worker(key)]
    return [k for k in keys if k.startswith(f"{OURS}-")], [k for k in keys if not k.startswith(f"{OURS}-")]


def ratio(model: ModelResult, ours: str, peer: str) -> float | None:
    """How many times as long as ours the peer takes."""
    if ours not in model.timings or peer not in model.timings:
        return None
    return model.timings[peer].median / model.timings[ours].median


def milliseconds(value: float) -> str:
    """Three significant digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def _conditions(results: Results, kept: Results) -> str:
    effort = results.settings["effort"]
    lines = [
        f"Measured {results.date} in headless {results.browser}, cross-origin isolated, on {results.machine}.",
        f"Medians (10th to 90th percentile) of {effort['launches']} × {effort['rounds']} interleaved samples, in",
        f"{effort['launches']} launch(es) of the browser. ÷ ours: how many times as long as each of ours, in order.",
        f"{_count(kept):,} of {_count(results):,} samples were undisturbed and count.",
        "",
    ]
    for threads in results.settings["threads"]:
        peak, bandwidth = kept.peak(threads), kept.bandwidth(threads)
        if peak is not None and bandwidth is not None:
            loops = kept.limits[str(threads)]
            rates = [f"{n} {statistics.median(r) / 1e9:.1f} G MAC/s" for n, r in loops.items() if n != "read"]
            lines.append(f"* {_heading(threads)}: {', '.join(rates)}, memory read at {bandwidth / 1e9:.1f} GB/s.")
    return "\n".join(lines)


def _count(results: Results) -> int:
    return sum(len(timing.samples) for model in results.models for timing in model.timings.values())


def _heading(threads: int) -> str:
    return "One thread" if threads == 1 else f"{threads} threads"


def _times(results: Results, threads: int) -> str:
    """Milliseconds of every contender; for each peer, how many times as long as each of ours it takes."""
    ours, peers = keys_of(results, threads)
    head = ["ms", *(results.titles[key] for key in ours)]
    for key in peers:
        head += [results.titles[key], "÷ ours"]
    rows = []
    for model in results.models:
        cells = [model.title, *(_spread(model.timings.get(key)) for key in ours)]
        for key in peers:
            cells += [_spread(model.timings.get(key)), _ratios(model, ours, key)]
        rows.append(cells)
    return f"### {_heading(threads)}\n\n{table(head, rows)}"


def _shares(results: Results, threads: int) -> str:
    """How near ours come to what the machine can do."""
    ours, _ = keys_of(results, threads)
    if not any(key in model.timings for model in results.models for key in ours):
        return ""
    head = ["", "G MAC", "limit ms"]
    for key in ours:
        head += [f"{results.titles[key]}, ms", "GFLOP/s", "of the limit"]
    rows = []
    for model in results.models:
        bound = results.bound(model, threads)
        cells = [model.title, f"{model.macs / 1e9:.3f}", NOTHING if bound is None else milliseconds(bound)]
        for key in ours:
            timing = model.timings.get(key)
            cells += [NOTHING] * 3 if timing is None else _share(model, timing, bound)
        rows.append(cells)
    return f"### Against the limit, {_heading(threads).lower()}\n\n{table(head, rows)}"


def _share(model: ModelResult, timing: Timing, bound: float | None) -> list[str]:
    rate = f"{2 * model.macs / timing.median / 1e6:.1f}"
    return [milliseconds(timing.median), rate, NOTHING if bound is None else f"{bound / timing.median:.0%}"]


def _workers(results: Results) -> str:
    """What a Worker of its own costs: the way there and back, and what is in the caches there."""
    parts = []
    for key in (key for key in results.titles if in_worker(key)):
        plain = key.replace(f"-{WORKER}-", "-")
        head = ["ms", results.titles[plain], results.titles[key], "of that the way there and back"]
        rows = []
        for model in results.models:
            timing = model.timings.get(key)
            ways = [a - b for a, b in zip(timing.samples, timing.inside, strict=True)] if timing else []
            way = milliseconds(statistics.median(ways)) if ways else NOTHING
            rows.append([model.title, _spread(model.timings.get(plain)), _spread(timing), way])
        parts.append(f"### In a Worker, {_threads(threads_of(key))}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _all_samples(results: Results, kept: Results) -> str:
    """The ratios once more, with what was measured while others had a part of the cores; nothing where nothing was."""
    if _count(results) == _count(kept):
        return ""
    pairs = [keys_of(results, threads) for threads in results.settings["threads"]]
    peers = [(ours, peer) for ours, theirs in pairs for peer in theirs]
    head = ["÷ ours, medians of all samples", *(f"{results.titles[p]}, {_threads(threads_of(p))}" for _, p in peers)]
    rows = [[model.title, *(_ratios(model, ours, peer) for ours, peer in peers)] for model in results.models]
    return f"### With the disturbed samples\n\n{table(head, rows)}"


def _ratios(model: ModelResult, ours: Sequence[str], peer: str) -> str:
    """How many times as long as each of ours the peer takes, in order."""
    times = [ratio(model, mine, peer) for mine in ours]
    return " / ".join(NOTHING if t is None else f"**{t:.2f}**" for t in times) if any(times) else NOTHING


def _spread(timing: Timing | None) -> str:
    if timing is None:
        return NOTHING
    low, high = timing.spread
    mark = " ⚠" if timing.unsteady else ""
    return f"{milliseconds(timing.median)} ({milliseconds(low)}–{milliseconds(high)}){mark}"


def _cold(results: Results) -> str:
    models = [model for model in results.models if model.cold]
    keys = [key for key in results.titles if any(key in model.cold for model in models)]
    if not models:
        return ""
    head = ["navigation → first output, ms: empty cache / warm cache", *(results.titles[key] for key in keys)]
    rows = []
    for model in models:
        cells = [model.title]
        for key in keys:
            cold = model.cold.get(key)
            both = (cold.empty, cold.warm) if cold else ()
            cells.append(" / ".join(milliseconds(statistics.median(times)) for times in both) or NOTHING)
        rows.append(cells)
    return f"### Cold start\n\n{table(head, rows)}"


def _code(results: Results) -> str:
    if not results.transfer:
        return ""
    rows = [
        [
            f"{results.titles[key]}, {_threads(threads_of(key))}",
            *(f"{size / 1000:,.1f}" for size in (t.raw, t.gzip, t.brotli)),
        ]
        for key, t in results.transfer.items()
    ]
    return f"### Code transferred, kB\n\n{table(['', 'raw', 'gzip', 'brotli'], rows)}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _memory(results: Results) -> str:
    models = [model for model in results.models if model.memory]
    keys = [key for key in results.titles if any(key in model.memory for model in models)]
    if not models:
        return ""
    head = ["peak of the renderer process over a blank page, MB", "weights", *(results.titles[key] for key in keys)]
    rows = [
        [
            model.title,
            f"{model.weight_bytes / 1e6:,.1f}",
            *(f"{model.memory[key] / 1e6:,.0f}" if key in model.memory else NOTHING for key in keys),
        ]
        for model in models
    ]
    return f"### Memory\n\n{table(head, rows)}"


def _notes(results: Results, undisturbed_speed: float) -> str:
    """Who could not take part, with the first line of the reason, and what is uncertain."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for model in results.models:
        for key, reason in model.missing.items():
            who = f"{results.titles[key]}, {_threads(threads_of(key))}"
            reasons.setdefault((who, reason.strip().splitlines()[0]), []).append(model.title)
    everywhere = len(results.models) if len(results.models) > 1 else 0
    lines = [
        f"* {who}, {'every model' if len(titles) == everywhere else '; '.join(titles)}: {why}"
        for (who, why), titles in reasons.items()
    ]
    few = {
        (model.title, f"{'a Worker, ' * in_worker(key)}{_threads(threads_of(key))}"): None
        for model in results.models
        for key, timing in model.timings.items()
        if any(speed < undisturbed_speed for speed in timing.speeds)
    }
    lines += [f"* {title}, {where}: all samples count, as too few were undisturbed." for title, where in few]
    unsteady = any(timing.unsteady for model in results.models for timing in model.timings.values())
    if unsteady:
        lines.append("* ⚠ The medians of the launches differ by more than 15 %.")
    return "### Notes\n\n" + "\n".join(lines) if lines else ""
