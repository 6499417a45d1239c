"""A sensitivity report in files: JSON and CSV for programs, SVG for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection
from dataclasses import asdict, fields
from pathlib import Path
from xml.sax.saxutils import escape

from tinyinfer.quantization.sensitivity import Layer, Sensitivity
from tinyinfer.wasm_backend.tinf import write_atomically

LABEL, PLOT, ROW = 300, 230, 16
TOP, GAP = 46, 24
FULL, KEPT, TEXT, GRID = "#2f6fde", "#f0a020", "#808590", "#80859040"
LONGEST_NAME = 44


def write_report(folder: Path, sensitivity: Sensitivity, left_in_float: Collection[str] = ()) -> list[Path]:
    """Write `sensitivity.json`, `.csv` and `.svg` into a folder, which is made where it is missing; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "json": as_json(sensitivity, left_in_float),
        "csv": as_csv(sensitivity, left_in_float),
        "svg": as_svg(sensitivity, left_in_float),
    }
    paths = []
    for suffix, text in contents.items():
        path = folder / f"sensitivity.{suffix}"
        write_atomically(path, text.encode())
        paths.append(path)
    return paths


def as_json(sensitivity: Sensitivity, left_in_float: Collection[str] = ()) -> str:
    """All figures, and which layers stay in float."""
    rows = [{**asdict(layer), "float": layer.node in left_in_float} for layer in sensitivity.layers]
    whole = {"sqnr": sensitivity.sqnr, "max_error": sensitivity.max_error, "samples": sensitivity.samples}
    return json.dumps({**whole, "layers": rows}, indent=1) + "\n"


def as_csv(sensitivity: Sensitivity, left_in_float: Collection[str] = ()) -> str:
    """One line for each layer."""
    text = io.StringIO()
    names = [f.name for f in fields(Layer)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "float"])
    for layer in sensitivity.layers:
        writer.writerow([*(getattr(layer, name) for name in names), layer.node in left_in_float])
    return text.getvalue()


def as_svg(sensitivity: Sensitivity, left_in_float: Collection[str] = ()) -> str:
    """Two bars for each layer, in the order of the model: its share of the loss, and its signal to noise ratio."""
    layers = sensitivity.layers
    height = TOP + ROW * len(layers) + GAP
    most = max((layer.share for layer in layers), default=0.0) or 1.0
    loudest = max((layer.sqnr for layer in layers), default=0.0) or 1.0
    second = LABEL + PLOT + 2 * GAP + 40
    body = [
        _text(LABEL, 18, "share of the loss", "start", bold=True),
        _text(second, 18, "SQNR of the result, dB", "start", bold=True),
        _text(LABEL, 34, f"0 to {most:.1%}"),
        _text(second, 34, f"0 to {loudest:.0f}"),
    ]
    for index, layer in enumerate(layers):
        y = TOP + ROW * index
        colour = KEPT if layer.node in left_in_float else FULL
        name = layer.node if len(layer.node) <= LONGEST_NAME else "…" + layer.node[-LONGEST_NAME:]
        body.append(_text(LABEL - 8, y + 11, name, "end"))
        for x, part, label in (
            (LABEL, layer.share / most, f"{layer.share:.1%}"),
            (second, max(layer.sqnr, 0.0) / loudest, f"{layer.sqnr:.1f}"),
        ):
            body.append(f'<rect x="{x}" y="{y + 2}" width="{PLOT * part:.1f}" height="{ROW - 5}" fill="{colour}"/>')
            body.append(_text(x + PLOT * part + 4, y + 11, label))
    bottom = height - GAP + 4
    body += [f'<line x1="{x}" y1="{TOP - 4}" x2="{x}" y2="{bottom}" stroke="{GRID}"/>' for x in (LABEL, second)]
    if left_in_float:
        body.append(_text(LABEL, height - 6, f"{len(left_in_float)} layers stay in float (the other colour)"))
    title = "What quantising each layer costs"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {second + PLOT + 60} {height}" '
        f'font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _text(x: float, y: float, content: str, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{TEXT}" text-anchor="{anchor}"{weight}>{escape(content)}</text>'
