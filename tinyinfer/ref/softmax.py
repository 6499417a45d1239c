"""Softmax and LogSoftmax: maximum, exponentials, their sum in lane order, one division or subtraction each."""

from __future__ import annotations

import functools

import numpy as np

from tinyinfer.ref import arith, elementary
from tinyinfer.types import Array


def softmax(x: Array, *, axis: int) -> Array:
    """e_i / s with e_i = exp(x_i − m), m the maximum and s = `arith.lane_sum`(e) over `axis`."""
    shifted = _minus_maximum(x, axis)
    e = elementary.exp(shifted)
    return np.moveaxis(e / arith.lane_sum(e)[..., None], -1, axis)


def log_softmax(x: Array, *, axis: int) -> Array:
    """(x_i − m) − ln(s), m and s as in `softmax`."""
    shifted = _minus_maximum(x, axis)
    s = arith.lane_sum(elementary.exp(shifted))
    return np.moveaxis(shifted - elementary.log(s)[..., None], -1, axis)


def _minus_maximum(x: Array, axis: int) -> Array:
    """x − m with `axis` moved to the end."""
    rows = np.moveaxis(x, axis, -1)
    lowest = np.full(rows.shape[:-1], -np.inf, np.float32)
    m = functools.reduce(arith.maximum, np.moveaxis(rows, -1, 0), lowest)
    return np.asarray(rows - m[..., None])
