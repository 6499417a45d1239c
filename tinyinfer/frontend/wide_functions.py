"""Operators on constants of element types that values at run time do not have, as NumPy computes them in those types.

Attributes are rounded to the operands' type. The order of sums is NumPy's: the standard leaves it open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from onnx import TensorProto

from tinyinfer import registry
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError
from tinyinfer.frontend import tensors, wide
from tinyinfer.types import Array


@dataclass(frozen=True)
class Call:
    """A node whose operands are constants; None where one is absent."""

    op: str
    operands: tuple[Array | None, ...]
    attrs: Mapping[str, Any]
    opset: int

    @property
    def x(self) -> Array:
        """The first operand, which is always present."""
        assert self.operands[0] is not None
        return self.operands[0]

    @property
    def present(self) -> list[Array]:
        return [array for array in self.operands if array is not None]

    def optional(self, index: int) -> Array | None:
        return self.operands[index] if index < len(self.operands) else None

    def number(self, name: str) -> Array:
        """An attribute in the type of the first operand."""
        return np.asarray(self.attrs[name], self.x.dtype)

    def axis(self, value: int) -> int:
        if not -self.x.ndim <= value < self.x.ndim:
            raise ShapeError(f"axis {value} is outside a tensor of rank {self.x.ndim}")
        return value % self.x.ndim


Function = Callable[[Call], Array]


def has(op: str) -> bool:
    return op in FUNCTIONS


def apply(call: Call, spend: wide.Spend) -> Array:
    """The result. ValueError where shapes do not fit; `spend` raises an error where it is too much."""
    spend(_work(call), max(array.dtype.itemsize for array in call.present))
    with np.errstate(all="ignore"):
        return np.asarray(FUNCTIONS[call.op](call))


def _work(call: Call) -> int:
    if call.op == "Range":
        return _range_size(call)
    shapes = [array.shape for array in call.present]
    if call.op in ("MatMul", "Gemm"):
        return math.prod(shapes[0]) * max(shapes[1], default=1) * max(math.prod(shapes[1][:-2]), 1)
    if call.op in BROADCAST:
        return math.prod(np.broadcast_shapes(*shapes))
    return sum(map(math.prod, shapes))


# element by element


def _fold(function: Callable[[Array, Array], Array]) -> Function:
    return lambda call: reduce(function, call.present)


def _each(function: Callable[..., Any]) -> Function:
    return lambda call: np.asarray(function(*call.present))


def _clip(call: Call) -> Array:
    x = call.x
    low, high = (
        (call.number("min"), call.number("max")) if call.opset < 11 else (call.optional(1), call.optional(2))
    )  # fmt: skip
    lowered = x if low is None else np.maximum(x, low)
    return np.asarray(lowered if high is None else np.minimum(lowered, high))


def _erf(x: Array) -> Array:
    every = [math.erf(v) for v in x.astype(np.float64).reshape(-1).tolist()]
    return np.asarray(np.array(every, np.float64).reshape(x.shape).astype(x.dtype))


def _sigmoid(x: Array) -> Array:
    """Without overflow on either side."""
    small, one = np.exp(-np.abs(x)), x.dtype.type(1)
    return np.asarray(np.where(x < 0, small / (one + small), one / (one + small)))


def _range_size(call: Call) -> int:
    start, limit, delta = call.present
    if not (start.size == limit.size == delta.size == 1):
        raise ShapeError("start, limit and delta must be one value each")
    steps = (float(limit.item()) - float(start.item())) / float(delta.item()) if delta.item() else math.nan
    if not math.isfinite(steps):
        raise ModelError(f"start {start}, limit {limit}, delta {delta} do not make a range")
    return max(math.ceil(steps), 0)


def _range(call: Call) -> Array:
    """start + i·delta, each element with two roundings."""
    start, _, delta = call.present
    return np.asarray(start.reshape(()) + np.arange(_range_size(call)).astype(start.dtype) * delta.reshape(()))


# along axes


def _axes(call: Call) -> tuple[int, ...]:
    given = call.optional(1) if call.opset >= (13 if call.op == "ReduceSum" else 18) else call.attrs.get("axes")
    if given is not None and len(given):
        return tuple(call.axis(int(axis)) for axis in given)
    return () if call.attrs.get("noop_with_empty_axes") else tuple(range(call.x.ndim))


def _sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype))


def _mean(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    count = math.prod(x.shape[axis] for axis in axes)
    total = _sum(x, axes, keepdims)
    whole = x.dtype.kind in "iu"
    return np.asarray(total // x.dtype.type(count) if whole else total / x.dtype.type(count))


def _extreme(function: Callable[..., Any]) -> Callable[[Array, tuple[int, ...], bool], Array]:
    return lambda x, axes, keepdims: np.asarray(function(x, axis=axes, keepdims=keepdims))


def _over(reduction: Callable[[Array, tuple[int, ...], bool], Array]) -> Function:
    return lambda call: reduction(call.x, _axes(call), bool(call.attrs.get("keepdims")))


def _arg(function: Callable[..., Any]) -> Function:
    def position(call: Call) -> Array:
        axis, x = call.axis(call.attrs["axis"]), call.x
        found = function(np.flip(x, axis), axis=axis) if call.attrs.get("select_last_index") else function(x, axis=axis)
        found = x.shape[axis] - 1 - found if call.attrs.get("select_last_index") else found
        found = np.asarray(found, np.int64)
        return np.expand_dims(found, axis) if call.attrs.get("keepdims") else found

    return position


def _softmax(log: bool) -> Function:
    """Before opset 13 over all axes from `axis` on."""

    def over(call: Call) -> Array:
        first, x = call.axis(call.attrs["axis"]), call.x
        axes = (first,) if call.opset >= 13 else tuple(range(first, x.ndim))
        shifted = x - np.max(x, axis=axes, keepdims=True)
        grown = np.exp(shifted)
        total = _sum(grown, axes, True)
        return np.asarray(shifted - np.log(total) if log else grown / total)

    return over


# products


def _gemm(call: Call) -> Array:
    a, b, c = call.x, call.present[1], call.optional(2)
    a = a.T if call.attrs["transA"] else a
    b = b.T if call.attrs["transB"] else b
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"A is {list(a.shape)}, B is {list(b.shape)}; expected rank 2")
    product = call.number("alpha") * np.matmul(a, b)
    return np.asarray(product if c is None else product + call.number("beta") * c)


def _dequantize(call: Call) -> Array:
    """(x − zero point)·scale: exact in float64, then one rounding to the type of the scale."""
    scale, zero = call.present[1], call.optional(2)
    centred = call.x.astype(np.float64) - (0 if zero is None else _spread(call, zero))
    to = _asked(call, "output_dtype") or scale.dtype
    return np.asarray((centred * _spread(call, scale)).astype(to))


def _quantize(call: Call) -> Array:
    """Divided and rounded in the type of the scale, or that of the attribute precision; then shifted and saturated."""
    scale, zero = call.present[1], call.optional(2)
    precision = _asked(call, "precision") or scale.dtype
    ratio = call.x.astype(precision) / _spread(call, scale).astype(precision)
    to = (_asked(call, "output_dtype") or np.dtype(np.uint8)) if zero is None else zero.dtype
    if to.kind not in "iu":
        raise UnsupportedError(f"the result would be {to}; accepted: int8, uint8, int16, uint16")
    shifted = np.rint(ratio).astype(np.float64) + (0 if zero is None else _spread(call, zero))
    return wide.cast(shifted, to)


def _asked(call: Call, name: str) -> np.dtype[Any] | None:
    """The element type that an attribute asks for; None where it asks for none."""
    if not (asked := call.attrs.get(name)):
        return None
    dtype = tensors.numpy_of(asked)
    if dtype is None or asked == TensorProto.BFLOAT16:
        raise UnsupportedError(f"attribute {name} is {tensors.type_name(asked)!r}; accepted: float, float16, integers")
    return dtype


def _spread(call: Call, values: Array) -> Array:
    """Scales or zero points, one for a tensor, a slice of the axis or a block of it, as float64 that broadcasts."""
    values, x = values.astype(np.float64), call.x
    if values.size == 1 and not call.attrs.get("block_size"):
        return values.reshape(())
    axis = call.axis(call.attrs.get("axis", 1))
    if block := call.attrs.get("block_size"):
        if values.shape != tuple(-(-d // block) if i == axis else d for i, d in enumerate(x.shape)):
            raise ShapeError(f"{list(values.shape)} values for blocks of {block} along axis {axis} of {list(x.shape)}")
        return np.repeat(values, block, axis).take(range(x.shape[axis]), axis)
    if values.shape != (x.shape[axis],):
        raise ShapeError(f"{list(values.shape)} values for axis {axis} of {list(x.shape)}")
    return values.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


BROADCAST: Mapping[str, Function] = {
    "Add": _each(registry.reference_of("Add")),
    "Clip": _clip,
    "Div": _each(registry.reference_of("Div")),
    "Equal": _each(np.equal),
    "Greater": _each(np.greater),
    "GreaterOrEqual": _each(np.greater_equal),
    "Less": _each(np.less),
    "LessOrEqual": _each(np.less_equal),
    "Max": _fold(np.maximum),
    "Mean": lambda call: reduce(np.add, call.present) / call.x.dtype.type(len(call.present)),
    "Min": _fold(np.minimum),
    "Mul": _each(registry.reference_of("Mul")),
    "PRelu": _each(lambda x, slope: np.where(x < 0, x * slope, x)),
    "Pow": _each(lambda x, y: np.power(x, y).astype(x.dtype)),
    "Sub": _each(registry.reference_of("Sub")),
    "Sum": _fold(np.add),
}
FUNCTIONS: Mapping[str, Function] = {
    **BROADCAST,
    "Abs": _each(np.abs),
    "ArgMax": _arg(np.argmax),
    "ArgMin": _arg(np.argmin),
    "Ceil": _each(np.ceil),
    "DequantizeLinear": _dequantize,
    "Erf": _each(_erf),
    "Exp": _each(np.exp),
    "Floor": _each(np.floor),
    "Gemm": _gemm,
    "IsNaN": _each(np.isnan),
    "LeakyRelu": lambda call: np.where(call.x < 0, call.x * call.number("alpha"), call.x),
    "Log": _each(np.log),
    "LogSoftmax": _softmax(log=True),
    "MatMul": _each(np.matmul),
    "Neg": _each(np.negative),
    "QuantizeLinear": _quantize,
    "Range": _range,
    "Reciprocal": _each(lambda x: x.dtype.type(1) / x),
    "ReduceL1": _over(lambda x, axes, keep: _sum(np.abs(x), axes, keep)),
    "ReduceL2": _over(lambda x, axes, keep: np.sqrt(_sum(x * x, axes, keep)).astype(x.dtype)),
    "ReduceLogSum": _over(lambda x, axes, keep: np.log(_sum(x, axes, keep)).astype(x.dtype)),
    "ReduceMax": _over(_extreme(np.max)),
    "ReduceMean": _over(_mean),
    "ReduceMin": _over(_extreme(np.min)),
    "ReduceSum": _over(_sum),
    "ReduceSumSquare": _over(lambda x, axes, keep: _sum(x * x, axes, keep)),
    "Relu": _each(lambda x: np.where(x < 0, x.dtype.type(0), x)),
    "Round": _each(np.rint),
    "Sigmoid": _each(_sigmoid),
    "Softmax": _softmax(log=False),
    "Softplus": _each(lambda x: np.logaddexp(x, x.dtype.type(0))),
    "Softsign": _each(lambda x: x / (x.dtype.type(1) + np.abs(x))),
    "Sqrt": _each(np.sqrt),
    "Tanh": _each(np.tanh),
}
