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
    return np.asarray(a / b)
