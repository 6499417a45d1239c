"""Additions of a constant along the channels become the bias. The sum then starts with it, instead of ending."""

from __future__ import annotations

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.passes.examples import conv, given, matmul, weights
from tinyinfer.rewrite import Match, P, Target, rule
from tinyinfer.types import Array, Clamp


def per_channel(value: Value, node: Node, axis: int) -> Array | None:
    """The constant `value` as one number for each channel of `node`'s output, or None if it is not that."""
    shape = node.output.shape
    data = value.data
    if data is None or value.type.rank > len(shape):
        return None
    extents: tuple[int, ...] = (1,) * (len(shape) - data.ndim) + data.shape
    axis %= len(shape)
    if any(extent != 1 for i, extent in enumerate(extents) if i != axis):
        return None
    return np.broadcast_to(data.reshape(-1), (shape[axis],)).astype(np.float32)


def is_plain(node: Node) -> bool:
    """Whether nothing happens after the node's sum: no residual, no clamp."""
    return (*node.inputs, None, None)[3] is None and bool(node.attrs.get("clamp", Clamp()).is_open)


def _add_constant(m: Match, to: Target, axis: int) -> Value | None:
    inner = m.node("inner")
    x, w, bias, _ = (*inner.inputs, None, None)[:4]
    added = per_channel(m["c"], inner, axis)
    constant = bias is None or bias.is_constant
    if added is None or not is_plain(inner) or not constant:
        return None
    total = added if bias is None or bias.data is None else bias.data + added
    return to.replace(inner, (x, w, to.constant(total, f"{inner.name}.bias")))


@rule(
    "Add(Conv(x), c[1,C,1,1]) → Conv(x, bias + c)",
    P("Add", (P("Conv|ConvTranspose", name="inner"), "c!")),
    lambda b: b.add1("Add", conv(b, given(b, 1, 3, 6, 6)), weights(b, 5, 1, 1, seed=4)),
    tolerance=1e-6,
)
def add_to_conv(m: Match, to: Target) -> Value | None:
    return _add_constant(m, to, axis=1)


@rule(
    "Add(MatMul(a, b), c[N]) → MatMul(a, b, bias=c)",
    P("Add", (P("MatMul", name="inner"), "c!")),
    lambda b: b.add1("Add", matmul(b, given(b, 4, 6)), weights(b, 7, seed=4)),
    tolerance=1e-6,
)
def add_to_matmul(m: Match, to: Target) -> Value | None:
    return _add_constant(m, to, axis=-1)


RULES = [add_to_conv, add_to_matmul]
