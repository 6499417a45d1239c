"""Lowering of reductions: the operand is brought into [outer, reduced, inner] order."""

from __future__ import annotations

import math

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.wasm_backend.lower.elementwise import one_loop
from tinyinfer.wasm_backend.lowering import LowerFunction, Lowering, Pointer
from tinyinfer.wasm_backend.strides import Layout


def split(to: Lowering, x: Value, axes: tuple[int, ...]) -> tuple[Layout, int, int, int]:
    """A layout of `x` as [outer, reduced, inner] with its extents; the stored layout if that already fits."""
    stored = to.layout(x)
    runs = [axis for axis in stored if x.shape[axis] != 1 or axis in axes]
    places = [runs.index(a) for a in axes]
    if places and not x.is_constant and places == list(range(places[0], places[0] + len(axes))):
        order = stored
        position = order.index(axes[0])
        outer = math.prod(x.shape[a] for a in order[:position])
        inner = math.prod(x.shape[a] for a in order[position:] if a not in axes)
    else:
        order = (*(a for a in range(x.type.rank) if a not in axes), *axes)
        outer, inner = math.prod(x.shape[a] for a in order if a not in axes), 1
    return order, outer, math.prod(x.shape[a] for a in axes), inner


def reduce(suffix: str) -> LowerFunction:
    """Lowering to `<dtype>_<suffix>(y, x, n, inner, m0, m1)`."""

    def lower(node: Node, to: Lowering) -> None:
        _reduce(node, to, suffix, node.attrs["axes"])

    return lower


def arg(suffix: str) -> LowerFunction:
    """Lowering to `<dtype>_<suffix>(y, x, n, inner, last, m0, m1)`."""

    def lower(node: Node, to: Lowering) -> None:
        last = int(node.attrs.get("select_last_index", False))
        _reduce(node, to, suffix, (node.attrs["axis"],), last=last)

    return lower


def reduce_mean(node: Node, to: Lowering) -> None:
    """Sum, then one division in place by the number of elements."""
    (x,) = node.operands
    axes: tuple[int, ...] = node.attrs["axes"]
    y = _reduce(node, to, "reduce_sum", axes)
    count = math.prod(x.shape[a] for a in axes)
    size = node.output.type.size
    to.step(
        "f32_div",
        y=y, a=y, b=to.const(np.array([count], np.float32), "count"), **one_loop(size, "b"),
    )  # fmt: skip


def _reduce(node: Node, to: Lowering, suffix: str, axes: tuple[int, ...], **options: int) -> Pointer:
    """One call over [outer, reduced, inner]; the kept axes of the output stay in the order they are stored in."""
    (x,) = node.operands
    layout, outer, n, inner = split(to, x, axes)
    source = to.input(x, layout)
    kept = tuple(a for a in layout if a not in axes)
    order = (*kept, *axes) if node.attrs.get("keepdims", True) else tuple(sorted(kept).index(a) for a in kept)
    y = to.output(node.output, layout=order)
    to.step(f"{x.dtype.prefix}_{suffix}", y=y, x=source, n=n, inner=inner, m0=0, m1=outer * inner, **options)
    return y
