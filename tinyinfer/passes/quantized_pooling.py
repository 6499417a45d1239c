"""Means and maxima between dequantisation and quantisation, over windows or over axes, become pooling of bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tinyinfer import scales
from tinyinfer.graph import GraphBuilder, Node, Value
from tinyinfer.passes.examples import PLAIN
from tinyinfer.passes.quantized_patterns import (
    Computing,
    again,
    byte_input,
    data,
    dequantized,
    quantized,
    real,
    rescaled,
    result,
    single,
)
from tinyinfer.rewrite import Example, Match, P, Rule, Target, rule

LEAST_CHANNELS = 8
"""Pooling takes vectors of channels: a mean over neighbouring bytes is faster in float."""


def _average(m: Match, to: Target) -> Value | None:
    return _pooled(m, to, m["x"], m.node("inner").attrs)


def _pooled(m: Match, to: Target, x: Value, window: Mapping[str, Any]) -> Value | None:
    found = result(m)
    if (
        found is None
        or not single(m, "x")
        or not scales.fits_window(x.dtype, data(m, "x_zero"), window["kernel_shape"])
    ):
        return None
    scale, y = found
    ratio = scales.ratio(data(m, "x_scale"), scale)
    if ratio is None:
        return None
    attrs = {"ratio": ratio, "x_zero_point": int(data(m, "x_zero").reshape(())), "y": y}
    return to.add("QLinearAveragePool", x, like=m.node("inner"), **window, **attrs)


def _mean(m: Match, to: Target) -> Value | None:
    node = m.node("inner")
    maps = _maps(m, to)
    pooled = None if maps is None else _pooled(m, to, maps, scales.whole_window(maps.shape[2:]))
    return None if pooled is None else _shaped(to, pooled, node)


def _maps(m: Match, to: Target) -> Value | None:
    """x as feature maps whose spatial axes are those that are reduced, without a copy: neighbouring ones."""
    x, node = m["x"], m.node("inner")
    axes: tuple[int, ...] = node.attrs["axes"]
    if not axes or axes != tuple(range(axes[0], axes[-1] + 1)) or 0 in x.shape:
        return None
    if axes == tuple(range(2, x.type.rank)) and len(axes) < 3:
        return x
    first, end = axes[0], axes[-1] + 1
    outer, pixels, channels = math.prod(x.shape[:first]), math.prod(x.shape[first:end]), math.prod(x.shape[end:])
    if channels < LEAST_CHANNELS:
        return None
    rows = to.add("Reshape", x, like=node, shape=(outer, pixels, channels))
    return to.add("Transpose", rows, like=node, perm=(0, 2, 1))


def _shaped(to: Target, y: Value, node: Node) -> Value:
    """`y` as the node's output."""
    shape = node.output.shape
    return y if y.shape == shape else to.add("Reshape", y, like=node, shape=shape)


def _reduced(op: str, *axes: int) -> Example:
    return lambda b: b.add1(op, real(b, byte_input(b, "x", 2, 9, 3, 3), 0.05), axes=axes, keepdims=False)


def _windows(op: str) -> Example:
    def example(b: GraphBuilder) -> Value:
        x = real(b, byte_input(b, "x", 1, 3, 6, 6), 0.05)
        return b.add1(op, x, kernel_shape=(3, 3), ceil_mode=False, **PLAIN)

    return example


COMPUTING: list[Computing] = [
    ("AveragePool", P("AveragePool", (dequantized("x"),), "inner"), _average, _windows("AveragePool")),
    ("ReduceMean", P("ReduceMean", (dequantized("x"),), "inner"), _mean, _reduced("ReduceMean", 2, 3)),
]


@rule(
    "Quantize(MaxPool(Dequantize(x))) → MaxPool(x), requantised",
    quantized(P("MaxPool", (dequantized("x"),), "inner")),
    lambda b: again(b, _windows("MaxPool")(b)),
)
def maximum_of_bytes(m: Match, to: Target) -> Value | None:
    """Dequantising keeps the order of numbers."""
    return _requantized_maximum(m, to, m["x"], m.node("inner").attrs)


@rule(
    "Quantize(ReduceMax(Dequantize(x))) → MaxPool(x), requantised",
    quantized(P("ReduceMax", (dequantized("x"),), "inner")),
    lambda b: again(b, _reduced("ReduceMax", 2, 3)(b)),
)
def maximum_over_axes(m: Match, to: Target) -> Value | None:
    maps = _maps(m, to)
    return None if maps is None else _requantized_maximum(m, to, maps, scales.whole_window(maps.shape[2:]))


def _requantized_maximum(m: Match, to: Target, x: Value, window: Mapping[str, Any]) -> Value | None:
    if not single(m, "x"):
        return None
    node = m.node("inner")
    return rescaled(m, to, _shaped(to, to.add("MaxPool", x, like=node, **window), node))


RULES: list[Rule] = [maximum_of_bytes, maximum_over_axes]
