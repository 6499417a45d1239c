"""Comparisons, boolean algebra, selection and element type conversion."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyinfer.types import Array, DType


def equal(a: Array, b: Array) -> Array:
    """NaN equals nothing; -0 equals +0."""
    return np.asarray(a == b)


def less(a: Array, b: Array) -> Array:
    return np.asarray(a < b)


def less_or_equal(a: Array, b: Array) -> Array:
    return np.asarray(a <= b)


def and_(a: Array, b: Array) -> Array:
    return np.asarray(a & b)


def or_(a: Array, b: Array) -> Array:
    return np.asarray(a | b)


def xor(a: Array, b: Array) -> Array:
    return np.asarray(a ^ b)


def not_(x: Array) -> Array:
    return np.asarray(~x)


def where(condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


def cast(x: Array, *, to: DType) -> Array:
    """ONNX Cast, with what it leaves undefined defined here.

    to bool            x ≠ 0, so NaN is true and -0 is false
    integer → integer  modulo 2^bits of the target (false and true are 0 and 1)
    integer → float32  one rounding, to nearest even
    float32 → integer  truncated toward zero; beyond the target's range its nearest end; NaN is 0
    """
    if to is DType.BOOL:
        return np.asarray(x != 0)
    if x.dtype == np.float32 and not to.is_float:
        return _saturated(x, to.numpy)
    return np.asarray(x.astype(to.numpy))


def _saturated(x: Array, target: np.dtype[Any]) -> Array:
    info = np.iinfo(target)
    end = np.float32(2.0) * np.float32(info.max // 2 + 1)  # max + 1: a power of two, exact in float32
    above, below = x >= end, x < np.float32(info.min)
    inside = np.where(above | below | np.isnan(x), np.float32(0), x)
    y = np.where(above, info.max, np.where(below, info.min, np.trunc(inside).astype(np.int64)))
    return np.asarray(y.astype(target))
