"""Constants of element types that values at run time do not have: folded exactly, in their own type.

float64 is computed in IEEE double precision, float16 with one rounding for each operation; integers wrap. What only
moves elements is done by the ordinary converters on integers with the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyinfer import registry
from tinyinfer.errors import ModelError, ShapeError
from tinyinfer.types import Array

DTYPES = frozenset(np.dtype(name) for name in ("float64", "float16", "uint64", "uint32", "int16", "uint16"))

# Told how many elements of how many bytes are to be computed; raises an error where that is too much.
Spend = Callable[[int, int], None]

# Operators that move elements, and those whose result does not depend on them.
MOVEMENT = frozenset({
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Shape", "Size", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
WITHOUT_ELEMENTS = frozenset({"Shape", "Size"})

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": registry.reference_of("Add"),
    "Ceil": np.ceil,
    "Div": registry.reference_of("Div"),
    "Equal": np.equal,
    "Exp": np.exp,
    "Floor": np.floor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Max": lambda *arrays: _fold(np.maximum, arrays),
    "Min": lambda *arrays: _fold(np.minimum, arrays),
    "Mul": registry.reference_of("Mul"),
    "Neg": np.negative,
    "Pow": lambda x, y: np.power(x, y).astype(x.dtype),
    "Range": lambda start, limit, delta: _range(start, limit, delta),
    "Reciprocal": lambda x: np.asarray(1, x.dtype) / x,
    "Round": np.rint,
    "Sqrt": np.sqrt,
    "Sub": registry.reference_of("Sub"),
    "Sum": lambda *arrays: _fold(np.add, arrays),
}


# Operands that become float32 beside a float32 tensor: ONNX lets their type differ from the result's.
ROUNDED = {"Pow": {1}, "BatchNormalization": {1, 2, 3, 4}, "Resize": {1}}


def apply(op: str, operands: list[Array], spend: Spend) -> Array:
    """The result of a function of `FUNCTIONS`. ValueError where shapes do not broadcast."""
    size = _range_size(*operands) if op == "Range" else math.prod(np.broadcast_shapes(*(x.shape for x in operands)))
    spend(size, operands[0].dtype.itemsize)
    with np.errstate(all="ignore"):
        return np.asarray(FUNCTIONS[op](*operands))


def cast(x: Array, to: np.dtype[Any]) -> Array:
    """ONNX Cast with one rounding; numbers beyond an integer type become its nearest end, NaN 0, as at run time."""
    with np.errstate(all="ignore"):
        if to == np.bool_:
            return np.asarray(x != 0)
        if x.dtype.kind != "f" or to.kind == "f":
            return np.asarray(x.astype(to))
        info, numbers = np.iinfo(to), x.astype(np.float64)
        above, below = numbers >= 2.0 * (info.max // 2 + 1), numbers < info.min
        inside = np.where(above | below | np.isnan(numbers), 0.0, np.trunc(numbers))
        return np.where(above, to.type(info.max), np.where(below, to.type(info.min), inside.astype(to))).astype(to)


def bits(x: Array) -> Array:
    """The elements as integers of a type that values have, each with the bits of one."""
    size = x.dtype.itemsize
    return x.view(np.int64) if size == 8 else x.view(f"i{size}").astype(np.int32)


def from_bits(x: Array, dtype: np.dtype[Any]) -> Array:
    """The inverse of `bits`."""
    return np.ascontiguousarray(x).astype(f"i{dtype.itemsize}").view(dtype).reshape(x.shape)


def _fold(function: Callable[..., Array], arrays: tuple[Array, ...]) -> Array:
    result = arrays[0]
    for array in arrays[1:]:
        result = function(result, array)
    return result


def _range_size(start: Array, limit: Array, delta: Array) -> int:
    if not (start.size == limit.size == delta.size == 1):
        raise ShapeError("start, limit and delta must be one value each")
    steps = (float(limit.item()) - float(start.item())) / float(delta.item()) if delta.item() else math.nan
    if not math.isfinite(steps):
        raise ModelError(f"start {start}, limit {limit}, delta {delta} do not make a range")
    return max(math.ceil(steps), 0)


def _range(start: Array, limit: Array, delta: Array) -> Array:
    """start + i·delta, each element with two roundings."""
    count = _range_size(start, limit, delta)
    return np.asarray(start.reshape(()) + np.arange(count).astype(start.dtype) * delta.reshape(()))


def full(shape: tuple[int, ...], value: Array, spend: Spend) -> Array:
    """ConstantOfShape."""
    if min(shape, default=0) < 0:
        raise ShapeError(f"the shape {shape} has negative dimensions")
    spend(math.prod(shape), value.dtype.itemsize)
    return np.full(shape, value.reshape(()))
