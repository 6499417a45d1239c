"""Reductions. Reduced elements are taken in row-major order of the reduced axes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.types import Array


def reduce_sum(x: Array, *, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """float32: sum in the lane order of `arith.lane_sum`. Integers wrap, so their order does not matter."""
    return _restore(arith.lane_sum(_rows(x, axes)), x, axes, keepdims)


def reduce_mean(x: Array, *, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """`reduce_sum`, then one division by the number of elements as float32."""
    rows = _rows(x, axes)
    mean = arith.lane_sum(rows) / np.float32(rows.shape[-1])
    return _restore(np.asarray(mean, np.float32), x, axes, keepdims)


def reduce_max(x: Array, *, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """IEEE-754 maximum, so NaN wins and +0 beats -0; of no element, -inf or the smallest integer."""
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return _restore(_fold(arith.maximum, _rows(x, axes), least), x, axes, keepdims)


def reduce_min(x: Array, *, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """IEEE-754 minimum, so NaN wins and -0 beats +0; of no element, +inf or the largest integer."""
    most = np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).max
    return _restore(_fold(arith.minimum, _rows(x, axes), most), x, axes, keepdims)


def arg_max(x: Array, *, axis: int, keepdims: bool = True, select_last_index: bool = False) -> Array:
    """Position of the largest element, NaN being larger than any number; of equal ones (+0 = -0) the first or last."""
    return _restore(_position(np.argmax, x, axis, select_last_index), x, (axis,), keepdims)


def arg_min(x: Array, *, axis: int, keepdims: bool = True, select_last_index: bool = False) -> Array:
    """Position of the smallest element, NaN being smaller than any number; of equal ones the first or last."""
    return _restore(_position(np.argmin, x, axis, select_last_index), x, (axis,), keepdims)


def _fold(op: Callable[[Array, Array], Array], rows: Array, start: float) -> Array:
    """`op` over the last axis."""
    acc = np.full(rows.shape[:-1], start, rows.dtype)
    for i in range(rows.shape[-1]):
        acc = op(acc, rows[..., i])
    return acc


def _position(first: Callable[..., Array], x: Array, axis: int, last: bool) -> Array:
    """Where NumPy's `first` finds its element: the first one, NaN before all others; or the last one."""
    if last:
        return np.asarray(x.shape[axis] - 1 - first(np.flip(x, axis), axis=axis), np.int64)
    return np.asarray(first(x, axis=axis), np.int64)


def _rows(x: Array, axes: tuple[int, ...]) -> Array:
    """x as [kept..., reduced], the reduced axes flattened in row-major order."""
    kept = [i for i in range(x.ndim) if i not in axes]
    count = math.prod(x.shape[i] for i in axes)
    return np.asarray(x.transpose(*kept, *axes).reshape(*(x.shape[i] for i in kept), count))


def _restore(y: Array, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    if not keepdims:
        return y
    return np.asarray(y.reshape(tuple(1 if i in axes else d for i, d in enumerate(x.shape))))
