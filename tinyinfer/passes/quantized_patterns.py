"""What rules on quantised values share: patterns, what they captured, and parts of their examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyinfer import scales
from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.passes.integer_range import Factors
from tinyinfer.rewrite import Apply, Example, Match, P, Target
from tinyinfer.types import Array, DType, Quantized, TensorType

BYTES = (DType.INT8, DType.UINT8)

Computing = tuple[str, P, Apply, Example]
"""An operator that computes on bytes: its name, the pattern before the quantisation, what it becomes, an example."""


def dequantized(name: str) -> P:
    """The dequantisation of `name`, with scale and zero point `name`_scale and `name`_zero."""
    return P("DequantizeLinear", (name, f"{name}_scale!", f"{name}_zero!"), f"{name}_dq", shared=True)


def quantized(inner: P | str) -> P:
    """The quantisation of a result, with scale and zero point y_scale and y_zero."""
    return P("QuantizeLinear", (inner, "y_scale!", "y_zero!"), "q")


# ── what a match captured ────────────────────────────────────────────────────────────────────────────────────────────


def result(m: Match) -> tuple[Array, Quantized] | None:
    """Scale and type of the result, its range cut by a clamp between the operator and its quantisation."""
    scale, zero = m["y_scale"].data, m["y_zero"].data
    assert scale is not None
    assert zero is not None
    if scale.size != 1:
        return None
    y = Quantized.full(m["y_zero"].dtype, int(zero.reshape(())))
    for name in ("clip", "inner"):
        clamp = m.nodes[name].attrs.get("clamp") if name in m.nodes else None
        y = scales.clamped(y, scale, clamp) if clamp is not None else y
    return (scale.reshape(()), y) if y.lo <= y.hi else None


def data(m: Match, name: str) -> Array:
    """What a captured constant holds."""
    found = m[name].data
    assert found is not None
    return found


def single(m: Match, name: str) -> bool:
    """Whether the dequantised operand is bytes with one scale."""
    return m[name].dtype in BYTES and m[f"{name}_scale"].type.size == m[f"{name}_zero"].type.size == 1


def along(m: Match, name: str, axis: int) -> bool:
    """Whether the dequantised operand is constant bytes with one scale, or one for each slice of `axis`."""
    several = m[f"{name}_scale"].type.size > 1
    attrs = m.node(f"{name}_dq").attrs
    return m[name].dtype in BYTES and (not several or (attrs["axis"] == axis and not attrs.get("block_size")))


@dataclass(frozen=True)
class Products:
    """How integer sums of products of x and w become the result."""

    y: Quantized
    multiplier: Array
    bias: Array | None
    """As such a sum, for each slice of the weights."""


def products(m: Match, axis: int, bias: Value | None) -> Products | None:
    """For weights with one scale, or one for each slice of `axis`; None where integers cannot do it."""
    found = result(m)
    if found is None or not single(m, "x") or not along(m, "w", axis) or (bias is not None and bias.data is None):
        return None
    scale, y = found
    multiplier = scales.multiplier(data(m, "x_scale").reshape(()), data(m, "w_scale"), scale)
    constant = None if bias is None else bias.data
    if multiplier is None or factors(m, axis).obstacle(constant, scale):
        return None
    sums = (
        None if constant is None else scales.sums_of_bias(constant, data(m, "x_scale").reshape(()), data(m, "w_scale"))
    )
    return Products(y, multiplier, sums)


def factors(m: Match, axis: int) -> Factors:
    """The captured x and w with their parameters, filters along `axis` of w."""
    x_scale, x_zero, w_scale, w_zero = (data(m, f"{name}_{what}") for name in "xw" for what in ("scale", "zero"))
    return Factors(m["x"], x_scale, x_zero, m["w"], w_scale, w_zero, axis)


def requantized(m: Match, to: Target, x: Value) -> Value:
    """`x` quantised as the result was."""
    return to.add("QuantizeLinear", x, m["y_scale"], m["y_zero"], like=m.node("q"))


def rescaled(m: Match, to: Target, x: Value) -> Value:
    """Bytes that have the scale of the operand x, with that of the result."""
    real = to.add("DequantizeLinear", x, m["x_scale"], m["x_zero"], like=m.node("x_dq"), axis=0)
    return requantized(m, to, real)


# ── examples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def byte_input(b: GraphBuilder, name: str, *shape: int, dtype: DType = DType.UINT8) -> Value:
    """A graph input of bytes."""
    return b.input(name, TensorType(dtype, shape))


def real(b: GraphBuilder, x: Value, scale: float = 0.02, zero: int = 100) -> Value:
    """Bytes dequantised."""
    return b.add1("DequantizeLinear", x, *_parameters(b, x.dtype, scale, zero), axis=0)


def _parameters(b: GraphBuilder, dtype: DType, scale: float, zero: int) -> tuple[Value, Value]:
    return b.constant(np.asarray(scale, np.float32), "scale"), b.constant(np.asarray(zero, dtype.numpy), "zero")


def again(b: GraphBuilder, x: Value, scale: float = 0.05, zero: int = 7, dtype: DType = DType.UINT8) -> Value:
    """Quantised, and dequantised so that the example's result is float."""
    parameters = _parameters(b, dtype, scale, zero)
    return b.add1("DequantizeLinear", b.add1("QuantizeLinear", x, *parameters), *parameters, axis=0)


def byte_weights(b: GraphBuilder, *shape: int, axis: int) -> Value:
    """Random weights with a scale for each slice of `axis`, dequantised."""
    rng = np.random.default_rng(5)
    scales = rng.uniform(0.005, 0.02, shape[axis]).astype(np.float32)
    return b.add1(
        "DequantizeLinear",
        b.constant(rng.integers(-128, 128, shape).astype(np.int8), "w"),
        b.constant(scales, "w_scale"),
        b.constant(np.zeros(shape[axis], np.int8), "w_zero"),
        axis=axis,
    )
