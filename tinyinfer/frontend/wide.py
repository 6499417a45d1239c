"""Constants of element types that values at run time do not have: folded exactly, in their own type.

float64 is computed in IEEE double precision, float16 with one rounding for each operation; integers wrap. What only
moves elements is done by the ordinary converters on integers with the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyinfer.errors import ShapeError
from tinyinfer.types import Array

DTYPES = frozenset(np.dtype(name) for name in ("float64", "float16", "uint64", "uint32", "int16", "uint16"))

# Told how many elements of how many bytes are to be computed; raises an error where that is too much.
Spend = Callable[[int, int], None]

# Operators that move elements, and those whose result does not depend on them.
MOVEMENT = frozenset({
    "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Shape", "Size", "Slice",
    "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
WITHOUT_ELEMENTS = frozenset({"Shape", "Size"})


def moves(op: str, opset: int) -> bool:
    """Whether a node only moves elements: Pad brings its own in an attribute before opset 11."""
    return op in MOVEMENT and (op != "Pad" or opset >= 11)


# Operands that become float32 beside a float32 tensor: ONNX lets their type differ from the result's.
ROUNDED = {"Pow": {1}, "BatchNormalization": {1, 2, 3, 4}, "Resize": {1}}


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


def full(shape: tuple[int, ...], value: Array, spend: Spend) -> Array:
    """ConstantOfShape."""
    if min(shape, default=0) < 0:
        raise ShapeError(f"the shape {shape} has negative dimensions")
    spend(math.prod(shape), value.dtype.itemsize)
    return np.full(shape, value.reshape(()))
