"""Pow: 2^(y·log₂|x|) in float64, rounded to float32 once; every operation is an IEEE-754 one, with its own rounding.

The polynomials are minimax fits as those of `ref.elementary`, with coefficients in float64. The value before the last
rounding has a relative error below 2⁻³⁶, so that the result is within 0.501 ulp.
"""

from __future__ import annotations

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.ref.elementary import INF, NAN, ONE, split_exponent, with_sign
from tinyinfer.types import Array, Clamp


def _hex(*constants: str) -> tuple[np.float64, ...]:
    return tuple(np.float64(float.fromhex(constant)) for constant in constants)


# log₂((1 + s) / (1 − s)) / s of z = s², |s| ≤ 3 − √8; relative error below 2⁻⁴⁵.
LOG2 = _hex(
    "0x1.21b12535c415dp-2", "0x1.4795524b8cd16p-2", "0x1.a61a2ee0c0101p-2",
    "0x1.2776c29323a9dp-1", "0x1.ec709dc53c7c9p-1", "0x1.71547652b8251p+1",
)  # fmt: skip
# (2^r − 1) / r on |r| ≤ ½; relative error of 2^r below 2⁻³⁸.
EXP2 = _hex(
    "0x1.6735d93851dc2p-20", "0x1.00e517c52ead4p-16", "0x1.4307e124cc775p-13", "0x1.5d873f343bebfp-10",
    "0x1.3b2ab57c735b8p-7", "0x1.c6b08dd3216efp-5", "0x1.ebfbdffb6a25cp-3", "0x1.62e42fef89cd1p-1",
)  # fmt: skip
# As `elementary.ROUNDER`: adding it rounds to an integer that the low bits of the sum then hold.
ROUNDER = _hex("0x1.8p+52")[0]
# The largest finite float32: it stands for an infinite exponent, so that 1 to its power is 1.
LARGEST = float.fromhex("0x1.fffffep+127")
# Exponents beyond which the result is 0 or infinite.
EXPONENTS = np.float64(-160), np.float64(160)


def power(x: Array, y: Array) -> Array:
    """x to the y with the special cases of IEEE-754 pow: x⁰ = 1ʸ = 1 even for NaN, (−1)^±∞ = 1, NaN for a negative
    finite base and an exponent that is no integer, signs from odd exponents at −0, −∞ and below 0.
    """
    x, y = np.broadcast_arrays(x, y)
    base = np.abs(x)
    z = _positive(base, y)
    z = np.where((base == 0) | (base == INF), np.where(y < 0, ONE / base, base), z)
    integral = np.trunc(y) == y
    half = y * np.float32(0.5)
    odd = integral & (np.trunc(half) != half)
    z = np.where(odd, with_sign(z, x), z)
    undefined = np.isnan(x) | np.isnan(y) | ((x < 0) & (base < INF) & ~integral)
    z = np.where(undefined, NAN, z)
    return np.where((y == 0) | (x == 1), ONE, z)


def _positive(x: Array, y: Array) -> Array:
    """x to the y for 0 < x < ∞."""
    m, k = split_exponent(x)
    finite = arith.clamp(y, Clamp(-LARGEST, LARGEST))
    return _exp2_log2(m.astype(np.float64), k.astype(np.float64), finite.astype(np.float64))


def _exp2_log2(m: Array, k: Array, y: Array) -> Array:
    """2^(y·(k + log₂ m)) rounded to float32, √½ ≤ m ≤ √2, all operands and operations float64."""
    s = (m - 1) / (m + 1)
    v = y * (k + s * _polynomial(s * s, LOG2))
    lowest, highest = EXPONENTS
    v = np.where(v < lowest, lowest, v)
    v = np.where(highest < v, highest, v)
    t = v + ROUNDER
    r = v - (t - ROUNDER)
    scale = ((t.view(np.int64) << 52) + np.int64(0x3FF << 52)).view(np.float64)
    return np.asarray(((r * _polynomial(r, EXP2) + 1) * scale).astype(np.float32))


def _polynomial(x: Array, coefficients: tuple[np.float64, ...]) -> Array:
    """Horner's scheme in float64, highest coefficient first, a product and a sum for each of the others."""
    highest, *others = coefficients
    value = np.full(np.shape(x), highest)
    for coefficient in others:
        value = value * x + coefficient
    return value
