"""Reductions. Reduced elements are taken in row-major order of the reduced axes."""

from __future__ import annotations

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.types import Array


def reduce_sum(x: Array, *, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """Sum in the lane order of `arith.lane_sum`."""
    return _restore(arith.lane_sum(_rows(x, axes)), x, axes, keepdims)


def reduce_mean(x: Array, *, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """`reduce_sum`, then one division by the number of elements as float32."""
    rows = _rows(x, axes)
    mean = arith.lane_sum(rows) / np.float32(rows.shape[-1])
    return _restore(np.asarray(mean, np.float32), x, axes, keepdims)


def _rows(x: Array, axes: tuple[int, ...]) -> Array:
    """x as [kept..., reduced], the reduced axes flattened in row-major order."""
    kept = [i for i in range(x.ndim) if i not in axes]
    return np.asarray(x.transpose(*kept, *axes).reshape(*(x.shape[i] for i in kept), -1))


def _restore(y: Array, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    if not keepdims:
        return y
    return np.asarray(y.reshape(tuple(1 if i in axes else d for i, d in enumerate(x.shape))))
