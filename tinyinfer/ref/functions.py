"""Activations and other functions of one variable (and PRelu's slope), made of `ref.elementary`.

Where a formula is the limit of the product 0·∞ at ±∞ (Gelu, Mish), x is first clamped to a bound beyond which the
other factor is 0 anyway.
"""

from __future__ import annotations

import numpy as np

from tinyinfer.ref import arith, elementary
from tinyinfer.ref.elementary import ONE, TWO
from tinyinfer.types import Array, Clamp

# 2·√(2/π)·log₂e, and 0.044715 of that
GELU_LINEAR = np.float32(float.fromhex("0x1.26aec2p+1"))
GELU_CUBIC = np.float32(float.fromhex("0x1.a5a7dp-4"))


def sqrt(x: Array) -> Array:
    """Correctly rounded; −0 at −0, NaN below."""
    return np.sqrt(x)


def reciprocal(x: Array) -> Array:
    """1 / x, one rounding."""
    return np.asarray(ONE / x)


def softplus(x: Array) -> Array:
    """ln(eˣ + 1) as max(x, 0) + ln(1 + e^−|x|)."""
    return np.asarray(elementary.at_least(x, 0) + elementary.log1p_unit(elementary.exp(elementary.negative_abs(x))))


def mish(x: Array) -> Array:
    """x·tanh(softplus(x)) = x·n / d from e = e^−|x|.

    x < 0: n = e·(e + 2), d = n + 2. Otherwise n = 2e + 1, d = 2e·e + n. The division comes last.
    """
    x = elementary.at_least(x, -105)
    e = elementary.exp(elementary.negative_abs(x))
    negative = x < 0
    n = np.where(negative, e * (e + TWO), arith.madd(e, TWO, ONE))
    d = np.where(negative, n + TWO, arith.madd(e * TWO, e, n))
    return np.asarray(x * n / d)


def gelu(x: Array, *, approximate: str) -> Array:
    """none: x·Φ(x) as max(x, −0) + c·Φ(c), c = −min(|x|, 16). tanh: c·sigmoid(2u), which is ½c·(1 + tanh u), 2u =
    c·(c₃·c² + c₁), c = max(x, −16), with the exponential in base 2.
    """
    if approximate == "none":
        c = elementary.at_least(elementary.negative_abs(x), -16)
        return arith.madd(c, elementary.normal_tail(c), elementary.at_least(x, -0.0))
    c = elementary.at_least(x, -16)
    return np.asarray(c * elementary.sigmoid2(c * arith.madd(c * c, GELU_CUBIC, GELU_LINEAR)))


def elu(x: Array, *, alpha: float) -> Array:
    """x for x ≥ 0 (−0 included), else α·(eˣ − 1)."""
    below = arith.clamp(x, Clamp(-20.0, 0.0))
    return np.where(x >= 0, x, np.float32(alpha) * elementary.expm1_bounded(below))


def swish(x: Array) -> Array:
    """x·sigmoid(x) (ONNX Swish with α = 1); −∞ gives NaN."""
    return np.asarray(x * elementary.sigmoid(x))


def hard_sigmoid(x: Array, *, alpha: float, beta: float) -> Array:
    """clamp(x·α + β, 0, 1), the sum by multiply-add."""
    return arith.clamp(arith.madd(x, np.float32(alpha), np.float32(beta)), Clamp(0.0, 1.0))


def hard_swish(x: Array) -> Array:
    """x·hard_sigmoid(x) with α = 1/6, β = ½ (ONNX function body; −∞ gives NaN)."""
    return np.asarray(x * hard_sigmoid(x, alpha=1 / 6, beta=0.5))


def leaky_relu(x: Array, *, alpha: float) -> Array:
    """x·α for x < 0."""
    return np.where(x < 0, x * np.float32(alpha), x)


def prelu(x: Array, slope: Array) -> Array:
    """x·slope for x < 0; slope broadcasts to x."""
    return np.where(x < 0, x * slope, x)
