"""BatchNormalization and per-channel scales become part of the weights that precede them.

New weights are computed in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np

from tinyinfer import registry
from tinyinfer.graph import GraphBuilder, Node, Value
from tinyinfer.passes.bias import is_plain, per_channel
from tinyinfer.passes.examples import conv, given, matmul, weights
from tinyinfer.rewrite import Match, P, Target, rule
from tinyinfer.types import Array


def _scaled(to: Target, inner: Node, scale: Array, shift: Array) -> Value | None:
    """`inner` with weights that give y·scale + shift, channel by channel (float64)."""
    x, w, bias, _ = (*inner.inputs, None, None)[:4]
    if w is None or w.data is None or not is_plain(inner) or not (bias is None or bias.is_constant):
        return None
    counted = registry.SEMANTICS.traits(inner.op).filter_axis
    assert counted is not None
    axis = counted % w.type.rank
    if inner.op == "ConvTranspose" and inner.attrs.get("group", 1) != 1:
        return None
    aligned = scale.reshape([-1 if i == axis else 1 for i in range(w.type.rank)])
    offset = np.zeros(len(scale)) if bias is None or bias.data is None else bias.data.astype(np.float64)
    return to.replace(
        inner,
        (
            x,
            to.constant((w.data * aligned).astype(np.float32), w.name),
            to.constant((offset * scale + shift).astype(np.float32), f"{inner.name}.bias"),
        ),
    )


def _batch_norm(b: GraphBuilder) -> Value:
    scale, shift, mean = (weights(b, 5, seed=i) for i in (3, 4, 5))
    variance = b.constant(np.linspace(0.5, 2, 5, dtype=np.float32), "variance")
    return b.add1("BatchNormalization", conv(b, given(b, 1, 3, 6, 6)), scale, shift, mean, variance, epsilon=1e-5)


@rule(
    "BatchNormalization(Conv(x)) → Conv(x) with scaled weights",
    P("BatchNormalization", (P("Conv|ConvTranspose|MatMul", name="inner"), "scale!", "bias!", "mean!", "var!"), "bn"),
    _batch_norm,
    tolerance=1e-5,
)
def batch_norm_of_producer(m: Match, to: Target) -> Value | None:
    inner, bn = m.node("inner"), m.node("bn")
    if inner.op == "MatMul" and inner.output.type.rank != 2:
        return None
    scale, bias, mean, var = (np.asarray(m[k].data, np.float64) for k in ("scale", "bias", "mean", "var"))
    factor = scale / np.sqrt(var + bn.attrs["epsilon"])
    return _scaled(to, inner, factor, bias - mean * factor)


@rule(
    "Mul(Conv(x), c[1,C,1,1]) → Conv(x) with scaled weights",
    P("Mul", (P("Conv|ConvTranspose", name="inner"), "c!")),
    lambda b: b.add1("Mul", conv(b, given(b, 1, 3, 6, 6)), weights(b, 5, 1, 1, seed=4)),
    tolerance=1e-5,
)
def mul_of_conv(m: Match, to: Target) -> Value | None:
    scale = per_channel(m["c"], m.node("inner"), 1)
    return None if scale is None else _scaled(to, m.node("inner"), scale.astype(np.float64), np.zeros(len(scale)))


@rule(
    "Mul(MatMul(a, b), c[N]) → MatMul(a, b·c)",
    P("Mul", (P("MatMul", name="inner"), "c!")),
    lambda b: b.add1("Mul", matmul(b, given(b, 4, 6)), weights(b, 7, seed=4)),
    tolerance=1e-5,
)
def mul_of_matmul(m: Match, to: Target) -> Value | None:
    scale = per_channel(m["c"], m.node("inner"), -1)
    return None if scale is None else _scaled(to, m.node("inner"), scale.astype(np.float64), np.zeros(len(scale)))


RULES = [batch_norm_of_producer, mul_of_conv, mul_of_matmul]
