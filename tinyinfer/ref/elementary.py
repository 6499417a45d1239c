"""Elementary functions as fixed sequences of float32 operations: our own range reductions and polynomials.

Polynomials are minimax fits (Remez exchange at 50 digits, weighted for the relative error of the result), their
coefficients rounded to float32 one at a time from the lowest, the others fitted again each time. Multiply-add is
`arith.madd` throughout, so that every function has one value on each tier; the bounds hold for both.

Bounds in ulp of the exact result, found by running all 2³² arguments against float64: `FUNCTIONS` in
tests/test_accuracy.py. NaN gives NaN.
"""

from __future__ import annotations

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.types import Array, Clamp


def _hex(*constants: str) -> tuple[np.float32, ...]:
    return tuple(np.float32(float.fromhex(constant)) for constant in constants)


ONE, TWO, HALF = np.float32(1), np.float32(2), np.float32(0.5)
INF, NAN = np.float32(np.inf), np.float32(np.nan)
ONE_BITS = np.int32(0x3F800000)

# Adding 1.5·2²³ rounds to an integer, half to even, and leaves that integer in the low bits of the sum.
ROUNDER = _hex("0x1.8p+23")[0]
LOG2_E = _hex("0x1.715476p+0")[0]
# ln 2 = LN2_HIGH + LN2_LOW; LN2_HIGH has 15 bits, so that its products with |n| ≤ 511 are exact.
LN2_HIGH, LN2_LOW = _hex("0x1.62e4p-1", "0x1.7f7d1cp-20")

# Beyond these eˣ rounds to 0 and to infinity.
EXP_RANGE = Clamp(-104.5, 89.0)
# Beyond these eˣ / (eˣ + 1) rounds to 0 and to 1.
SIGMOID_RANGE = Clamp(-104.5, 20.0)
# In base 2; beyond these 2ˣ / (2ˣ + 1) rounds to 0 and to 1.
SIGMOID2_RANGE = Clamp(-151.0, 30.0)
# What small exponentials are scaled by so that none is subnormal: 2⁶⁵.
SCALE = _hex("0x1p+65")[0]

# (e^r − 1 − r) / r² on |r| ≤ ln(2)/2; relative error of e^r − 1 below 2⁻²⁶.
EXPM1 = _hex("0x1.6abf3ap-10", "0x1.122c26p-7", "0x1.55579cp-5", "0x1.5554aap-3", "0x1.fffffep-2")
# (2^f − 1) / f on |f| ≤ ½; relative error of 2^f below 2⁻²⁸.
EXP2 = _hex("0x1.416b54p-13", "0x1.5f082ep-10", "0x1.3b2de0p-7", "0x1.c6af7cp-5", "0x1.ebfbdcp-3", "0x1.62e430p-1")
# (ln((1 + s) / (1 − s)) − 2s) / s³ of z = s², |s| ≤ 3 − √8; relative error of the logarithm below 2⁻³⁰.
LOG = _hex("0x1.31e23ep-2", "0x1.995eccp-2", "0x1.55557ap-1")
# erf(x) / x − 1 of z = x², |x| ≤ 1; relative error of erf below 2⁻²⁹.
ERF_NEAR = _hex(
    "0x1.4772p-14", "-0x1.a3515ep-11", "0x1.53f224p-8", "-0x1.b7f71ap-6",
    "0x1.ce2ce6p-4", "-0x1.81273ep-2", "0x1.06eba8p-3",
)  # fmt: skip
# −ln(erfc(t)) / t on 1 ≤ t ≤ 4; absolute error of erf below 2⁻²⁷.
ERF_FAR = _hex(
    "0x1.0a9f4p-16", "-0x1.7d5c24p-12", "0x1.f0f042p-9", "-0x1.8a1374p-6",
    "0x1.b47736p-4", "0x1.451942p-1", "0x1.20f24cp+0",
)  # fmt: skip

# log₂(2Φ(x)) / x of x on −5.8 ≤ x ≤ 0, Φ being the normal distribution; absolute error of Φ below 2⁻²⁶. Further down it
# grows, so that Φ falls to 0.
NORMAL_TAIL = _hex(
    "-0x1.7d6186p-19", "-0x1.4affa6p-15", "-0x1.87440ap-13", "0x1.1d27aap-13",
    "0x1.ced2cap-8", "0x1.ae0a84p-5", "-0x1.d63ac2p-2", "0x1.26aed4p+0",
)  # fmt: skip

# The bits of √½: mantissas from here to √2 have the exponent 0 in `log`.
SQRT_HALF_BITS = np.int32(0x3F3504F3)
SQRT2_MINUS_1 = _hex("0x1.a8279ap-2")[0]
SMALLEST_NORMAL = _hex("0x1p-126")[0]


def polynomial(x: Array, coefficients: tuple[np.float32, ...]) -> Array:
    """Horner's scheme, highest coefficient first, one multiply-add for each of the others."""
    highest, *others = coefficients
    value = np.full(np.shape(x), highest)
    for coefficient in others:
        value = arith.madd(value, x, coefficient)
    return value


def bits(x: Array) -> Array:
    """The float32 bit patterns as int32."""
    return np.asarray(x, np.float32).view(np.int32)


def from_bits(x: Array) -> Array:
    """The float32 values of int32 bit patterns."""
    return np.asarray(x, np.int32).view(np.float32)


def negative_abs(x: Array) -> Array:
    """−|x|: the sign bit set."""
    return from_bits(bits(x) | np.int32(-(2**31)))


def with_sign(magnitude: Array, sign: Array) -> Array:
    """`magnitude` (+0 or positive) with the sign bit of `sign` added."""
    return from_bits(bits(magnitude) | (bits(sign) & np.int32(-(2**31))))


def at_least(x: Array, bound: float) -> Array:
    """max(x, bound); NaN passes."""
    return np.where(x < np.float32(bound), np.float32(bound), x)


def at_most(x: Array, bound: float) -> Array:
    """min(x, bound); NaN passes."""
    return np.where(np.float32(bound) < x, np.float32(bound), x)


def _split(x: Array) -> tuple[Array, Array]:
    """x = n·ln 2 + r as (t, e^r − 1), n = round(x·log₂e) in the low bits of t, |r| ≤ ln(2)/2 (Cody and Waite)."""
    t = arith.madd(x, LOG2_E, ROUNDER)
    n = t - ROUNDER
    r = arith.madd(n, -LN2_HIGH, x)
    r = arith.madd(n, -LN2_LOW, r)
    return t, arith.madd(r * r, polynomial(r, EXPM1), r)


def _power_of_two(n: Array) -> Array:
    """2ⁿ for the n in the low bits of the int32 pattern, −126 ≤ n ≤ 127."""
    return from_bits((n << 23) + ONE_BITS)


def exp(x: Array) -> Array:
    """eˣ. Subnormal and overflowing results are scaled in two steps, so that only the last one rounds."""
    t, p = _split(arith.clamp(x, EXP_RANGE))
    n = bits(t)
    half = n >> 1
    return np.asarray((ONE + p) * _power_of_two(half) * _power_of_two(n - half))


def exp_scaled(x: Array) -> Array:
    """eˣ·2⁶⁵ for −104.5 ≤ x ≤ 42, as 2ⁿ⁺⁶⁵·(e^r − 1) + 2ⁿ⁺⁶⁵."""
    t, p = _split(x)
    scale = _power_of_two(bits(t) + np.int32(65))
    return arith.madd(scale, p, scale)


def exp2_scaled(x: Array, k: int) -> Array:
    """2^(x + k) as s·(2^f − 1) + s with n = round(x), f = x − n, s = 2^(n + k), −127 ≤ n + k ≤ 127; 0 for −127."""
    t = x + ROUNDER
    f = x - (t - ROUNDER)
    scale = _power_of_two(bits(t) + np.int32(k))
    return arith.madd(scale, f * polynomial(f, EXP2), scale)


def exp_bounded(x: Array) -> Array:
    """eˣ for −80 ≤ x ≤ 0, as 2ⁿ·(e^r − 1) + 2ⁿ."""
    t, p = _split(x)
    scale = _power_of_two(bits(t))
    return arith.madd(scale, p, scale)


def expm1_bounded(x: Array) -> Array:
    """eˣ − 1 for −80 ≤ x ≤ 0, as 2ⁿ·(e^r − 1) + (2ⁿ − 1)."""
    t, p = _split(x)
    scale = _power_of_two(bits(t))
    return arith.madd(scale, p, scale - ONE)


def _log_sum(f: Array, k: Array) -> Array:
    """ln(1 + f) + k·ln 2 for √½ ≤ 1 + f ≤ √2.

    With s = f / (2 + f): ln(1 + f) = f − (f²/2 − s·(f²/2 + s²·P(s²))). k·LN2_HIGH + f is exact as high + low.
    """
    s = f / (TWO + f)
    z = s * s
    square = HALF * f * f
    tail = arith.madd(s, square + z * polynomial(z, LOG), k * LN2_LOW)
    base = k * LN2_HIGH
    high = base + f
    low = (base - high) + f
    return np.asarray(high + (low + (tail - square)))


def split_exponent(x: Array) -> tuple[Array, Array]:
    """x = 2ᵏ·m as (m, k), √½ ≤ m ≤ √2, for 0 < x < ∞."""
    tiny = x < SMALLEST_NORMAL
    offset = bits(np.where(tiny, x * np.float32(2**23), x)) - SQRT_HALF_BITS
    k = (offset >> 23).astype(np.float32) - np.where(tiny, np.float32(23), np.float32(0))
    return from_bits((offset & np.int32(0x7FFFFF)) + SQRT_HALF_BITS), k


def log(x: Array) -> Array:
    """ln x; −∞ at ±0, NaN below."""
    m, k = split_exponent(x)
    y = np.where(x < INF, _log_sum(m - ONE, k), x)
    y = np.where(x == 0, -INF, y)
    return np.where(x < 0, NAN, y)


def log1p_unit(u: Array) -> Array:
    """ln(1 + u) for 0 ≤ u ≤ 1: halved above √2 − 1, so that the argument of the polynomial stays small."""
    large = u > SQRT2_MINUS_1
    return _log_sum(np.where(large, arith.madd(u, HALF, -HALF), u), np.where(large, ONE, np.float32(0)))


def sigmoid(x: Array) -> Array:
    """eˣ / (eˣ + 1), both scaled, x clamped to where that is neither 0 nor 1."""
    e = exp_scaled(arith.clamp(x, SIGMOID_RANGE))
    return np.asarray(e / (e + SCALE))


def sigmoid2(x: Array) -> Array:
    """2ˣ / (2ˣ + 1), both scaled, x clamped to where that is neither 0 nor 1."""
    e = exp2_scaled(arith.clamp(x, SIGMOID2_RANGE), 65)
    return np.asarray(e / (e + SCALE))


def normal_tail(x: Array) -> Array:
    """Φ(x), the normal distribution, for −16 ≤ x ≤ 0: ½·2^(x·Q(x)), 0 where that is below 2⁻¹²⁶."""
    return exp2_scaled(at_least(x * polynomial(x, NORMAL_TAIL), -126), -1)


def tanh(x: Array) -> Array:
    """m = e^(−2·min(|x|, 10)) − 1; tanh |x| = −m / (2 + m), with the sign of x."""
    m = expm1_bounded(-TWO * at_most(np.abs(x), 10))
    return with_sign(np.abs(m / (TWO + m)), x)


def erf(x: Array) -> Array:
    """|x| < 1: x + x·P(x²). Otherwise 1 − e^(−t·Q(t)) at t = min(|x|, 4), with the sign of x."""
    near = arith.madd(polynomial(x * x, ERF_NEAR), x, x)
    t = at_most(np.abs(x), 4)
    far = ONE - exp_bounded(-(t * polynomial(t, ERF_FAR)))
    return np.where(np.abs(x) < 1, near, with_sign(far, x))
