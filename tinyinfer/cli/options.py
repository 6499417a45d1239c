"""Options that several commands share, and how their text is read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class EngineName(str, Enum):
    """The WebAssembly engines."""

    WASMTIME = "wasmtime"
    WASMER = "wasmer"


class TierName(str, Enum):
    """The kernel modules: what a multiply-add is."""

    SIMD128 = "simd128"
    RELAXED = "relaxed"


class RunnerName(str, Enum):
    """What can run a model: an engine, or the NumPy reference."""

    WASMTIME = "wasmtime"
    WASMER = "wasmer"
    REF = "ref"


Model: TypeAlias = Annotated[Path, typer.Argument(metavar="MODEL", help="A .onnx or .tinf file.")]
OnnxModel: TypeAlias = Annotated[Path, typer.Argument(metavar="MODEL", help="A .onnx file.")]
Shapes: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--shape",
        metavar="NAME=1x3x224x224",
        help="Bind the shape of an input. Shapes of different inputs (further --shape, or separated by commas) "
        "belong together; naming an input again begins another shape plan in the same file.",
    ),
]
Tier: TypeAlias = Annotated[
    TierName, typer.Option("--tier", help="The kernels: simd128 runs everywhere, relaxed rounds a multiply-add once.")
]
NoOptimize: TypeAlias = Annotated[
    bool, typer.Option("--no-optimize", help="Skip all passes: the plan of the graph as it is in the file.")
]
Seed: TypeAlias = Annotated[int, typer.Option(metavar="N", help="Seed of the random inputs.")]


def parse_shapes(texts: Iterable[str]) -> list[dict[str, tuple[int, ...]]]:
    """One mapping from input names to shapes for each shape plan.

    `["a=1x3", "b=4"]` and `["a=1x3,b=4"]` are one plan; a name that is bound already begins the next one.
    """
    plans: list[dict[str, tuple[int, ...]]] = []
    for item in (part for text in texts for part in text.split(",")):
        name, shape = _parse_shape(item.strip())
        if not plans or name in plans[-1]:
            plans.append({})
        plans[-1][name] = shape
    return plans


def _parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.rpartition("=")
    parts = sizes.replace("×", "x").split("x") if sizes else []
    if not name or not equals or not all(part.isascii() and part.isdigit() for part in parts):
        raise typer.BadParameter(f"{text!r} is not of the form NAME=1x3x224x224", param_hint="--shape")
    shape = tuple(int(part) for part in parts)
    if 0 in shape:
        raise typer.BadParameter(f"{text!r} is a tensor without elements; sizes are 1 or more", param_hint="--shape")
    return name, shape


def parse_numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """`0.5` or `0.485,0.456,0.406`."""
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise typer.BadParameter(f"{text!r} is not a number or a list like 0.485,0.456,0.406", param_hint=option)
    return numbers
