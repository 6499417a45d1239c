"""Element-wise operators. Integer arithmetic wraps; NaN, infinities and signed zeros follow IEEE-754."""

from __future__ import annotations

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.types import Array, Clamp


def clip(x: Array, *, clamp: Clamp) -> Array:
    return arith.clamp(x, clamp)


def add(a: Array, b: Array) -> Array:
    return np.asarray(a + b)


def sub(a: Array, b: Array) -> Array:
    return np.asarray(a - b)


def mul(a: Array, b: Array) -> Array:
    return np.asarray(a * b)


def div(a: Array, b: Array) -> Array:
    """Floats: one rounding. Integers: the exact quotient truncated toward zero, except that

    a / 0 = 0, and MIN / -1 = MIN, as multiplication by -1 wraps.
    """
    if np.issubdtype(a.dtype, np.floating):
        return np.asarray(a / b)
    special = (b == 0) | (b == -1)
    divisor = np.where(special, np.ones_like(b), b)
    floored = a // divisor
    inexact_and_negative = (a % divisor != 0) & ((a < 0) != (divisor < 0))
    truncated = np.where(inexact_and_negative, floored + 1, floored)
    return np.where(b == 0, np.zeros_like(a), np.where(b == -1, -a, truncated)).astype(a.dtype)


def minimum(a: Array, b: Array) -> Array:
    return arith.minimum(a, b)


def maximum(a: Array, b: Array) -> Array:
    return arith.maximum(a, b)


def neg(x: Array) -> Array:
    """Floats: the sign bit is flipped, also that of NaN."""
    return np.asarray(-x)


def abs_(x: Array) -> Array:
    """Floats: the sign bit is cleared. Integers wrap: |MIN| = MIN."""
    return np.asarray(np.abs(x))


def floor(x: Array) -> Array:
    return np.asarray(np.floor(x))


def ceil(x: Array) -> Array:
    return np.asarray(np.ceil(x))


def round_(x: Array) -> Array:
    """Half to even."""
    return np.asarray(np.rint(x))
