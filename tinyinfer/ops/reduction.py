"""Reductions over axes."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import DType, TensorType


def reduce(x: TensorType, *, axes: tuple[int, ...], keepdims: bool = True) -> TensorType:
    """Y reduces the sorted `axes` of X to length 1, or drops them when `keepdims` is false."""
    check.dtype(x, check.NUMERIC, "X")
    check.require(
        list(axes) == sorted(set(axes)) and all(0 <= a < x.rank for a in axes),
        f"axes={axes} are not distinct axes of X {x}",
    )
    if keepdims:
        return x.with_shape(tuple(1 if i in axes else d for i, d in enumerate(x.shape)))
    return x.with_shape(tuple(d for i, d in enumerate(x.shape) if i not in axes))


def reduce_float(x: TensorType, *, axes: tuple[int, ...], keepdims: bool = True) -> TensorType:
    """`reduce` for operators defined on float32 only."""
    check.dtype(x, check.FLOAT, "X")
    return reduce(x, axes=axes, keepdims=keepdims)


def arg(x: TensorType, *, axis: int, keepdims: bool = True, select_last_index: bool = False) -> TensorType:
    """Y holds int64 positions along `axis` of X. ONNX ArgMax, ArgMin."""
    check.axis(axis, x.rank)
    check.require(x.shape[axis] > 0, f"X {x} has no element along axis {axis} to choose")
    return TensorType(DType.INT64, reduce(x, axes=(axis,), keepdims=keepdims).shape)
