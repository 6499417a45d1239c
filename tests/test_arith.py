"""The reference's multiply-add on both tiers, against exact rational arithmetic rounded once."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential import assert_same_bits
from tests.strategies import SPECIAL_FLOATS
from tinyinfer.ref import arith
from tinyinfer.types import Array

LARGEST = Fraction(float(np.finfo(np.float32).max))


def float32(text: str) -> np.float32:
    return np.float32(float.fromhex(text))


def bit_patterns() -> st.SearchStrategy[np.float32]:
    """Any float32, adversarial ones, and few significant bits at any exponent: these meet in ties."""
    anything = st.integers(0, 2**32 - 1).map(lambda bits: np.uint32(bits).view(np.float32))
    short = st.builds(lambda m, e: np.float32(math.ldexp(m, e)), st.integers(-64, 64), st.integers(-149, 120))
    return st.one_of(anything, st.sampled_from(list(SPECIAL_FLOATS)), short)


def nearest(exact: Fraction) -> np.float32:
    """A rational other than 0 rounded once to float32, to nearest, ties to even: IEEE-754 §4.3.1."""
    magnitude = abs(exact)
    # A guess of the exponent from the lengths of the two integers, at most one too small.
    exponent = max(magnitude.numerator.bit_length() - magnitude.denominator.bit_length() - 1, -126)
    if magnitude >= Fraction(2) ** (exponent + 1):
        exponent += 1
    unit = Fraction(2) ** (exponent - 23)
    rounded = round(magnitude / unit) * unit  # Python rounds a Fraction half to even
    value = math.inf if rounded > LARGEST else float(rounded)
    return np.float32(math.copysign(value, exact))


def exactly_rounded(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
    """IEEE-754 fusedMultiplyAdd: special values and zeros by float64, which does not round them."""
    if np.isfinite([a, b, c]).all():
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        if exact:
            return nearest(exact)
    with np.errstate(all="ignore"):
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


def check(a: np.float32, b: np.float32, c: np.float32) -> None:
    with np.errstate(all="ignore"):
        result = arith.fused_madd(np.array([a]), np.array([b]), np.array([c]))
    assert_same_bits(result, np.array([exactly_rounded(a, b, c)]), f"fused_madd({a!r}, {b!r}, {c!r})")


@given(bit_patterns(), bit_patterns(), bit_patterns())
def test_fused_madd_rounds_once(a: np.float32, b: np.float32, c: np.float32) -> None:
    check(a, b, c)


@given(bit_patterns(), bit_patterns(), st.integers(-80, 80), st.booleans())
def test_fused_madd_rounds_once_near_cancellation(a: np.float32, b: np.float32, ulps: int, wide: bool) -> None:
    """The addend is close to the negated product, or far below it: sums with few, or with far too many, bits."""
    with np.errstate(all="ignore"):
        product = -(a * b)
        c = (product.view(np.uint32) + np.uint32(ulps % 2**32)).view(np.float32)
        check(a, b, np.float32(c * float32("0x1p-60")) if wide else c)


@given(st.integers(2**23, 2**24 - 1), st.integers(1, 2**8), st.integers(-149, 60), st.sampled_from([1, -1]))
def test_fused_madd_sees_what_lies_behind_a_tie(m: int, tail: int, e: int, sign: int) -> None:
    """A product of 25 bits is a tie of float32; an addend beyond the 53rd bit decides it, in subnormals too."""
    tie = 2 * m + 1
    factors = next(((f, tie // f) for f in range(3, 5000, 2) if tie % f == 0 and tie // f < 2**24), None)
    if factors is None:
        return
    shift = e // 2
    a = np.float32(math.ldexp(factors[0], shift))
    b = np.float32(math.ldexp(factors[1], e - shift))
    c = np.float32(math.ldexp(sign * tail, max(e - 60, -149)))
    check(a, b, c)
    check(-a, b, c)


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        # (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴ is a tie; the addend decides it, although float64 loses it.
        ("0x1.001p+0", "0x1.001p+0", "0x1p-80", "0x1.002002p+0"),
        ("0x1.001p+0", "0x1.001p+0", "-0x1p-80", "0x1.002p+0"),
        ("0x1.001p+0", "0x1.001p+0", "0x0p+0", "0x1.002p+0"),
        ("-0x1.001p+0", "0x1.001p+0", "-0x1p-80", "-0x1.002002p+0"),
        # Half of the smallest subnormal is a tie with 0.
        ("0x1p-75", "0x1p-75", "0x0p+0", "0x0p+0"),
        ("0x1.8p-75", "0x1.8p-75", "0x0p+0", "0x1p-149"),
        ("0x1p-100", "0x1p-100", "0x1p-149", "0x1p-149"),
        # The sum of a subnormal and half of a step of subnormals, and something that float64 loses.
        ("0x1.8p-74", "0x1p-75", "0x1.000002p-126", "0x1.000004p-126"),
        ("-0x1p-75", "0x1p-75", "0x1.000002p-126", "0x1p-126"),
        # At, just below and just above the midpoint between the largest float32 and 2¹²⁸.
        ("0x1p+64", "0x1p+63", "0x1.fffffep+126", "inf"),
        ("0x48c7p+60", "0x709p+43", "0x0p+0", "inf"),
        ("0x48c7p+60", "0x709p+43", "-0x1p+0", "0x1.fffffep+127"),
        ("0x48c7p+60", "-0x709p+43", "-0x1p+0", "-inf"),
        ("0x1.fffffep+127", "0x1p+0", "0x1p+103", "inf"),
        ("0x1.fffffep+127", "0x1p+0", "0x1.fffffep+102", "0x1.fffffep+127"),
        # The product alone is beyond float32.
        ("0x1p+100", "0x1p+100", "-0x1p+127", "inf"),
        ("0x1.fffffep+127", "0x1p+1", "-0x1.fffffep+127", "0x1.fffffep+127"),
        # An exact zero is +0, unless both terms are -0.
        ("0x1p+0", "0x1p+0", "-0x1p+0", "0x0p+0"),
        ("-0x0p+0", "0x1p+0", "-0x0p+0", "-0x0p+0"),
        ("inf", "0x0p+0", "0x1p+0", "nan"),
        ("inf", "0x1p+0", "-inf", "nan"),
        ("0x1p+127", "0x1p+127", "-inf", "-inf"),
    ],
)
def test_fused_madd_of_hard_cases(a: str, b: str, c: str, expected: str) -> None:
    operands = [np.array([float32(text)]) for text in (a, b, c)]
    with np.errstate(all="ignore"):
        assert_same_bits(arith.fused_madd(*operands), np.array([float32(expected)]), f"{a}·{b} + {c}")


def test_fused_madd_broadcasts() -> None:
    a, b, c = (np.float32(v) for v in ([[1.5], [2.5]], [3, 4, 5], 0.25))
    expected = np.float32([[4.75, 6.25, 7.75], [7.75, 10.25, 12.75]])
    assert_same_bits(arith.fused_madd(a, b, c), expected, "broadcast")
    assert arith.fused_madd(a[0, 0], b[0], c).shape == ()


PROBE = (float32("0x1.001p+0"), float32("0x1.001p+0"), float32("-0x1.002p+0"))


def madd(*operands: Any) -> Array:
    return arith.madd(*(np.array([x], np.float32) for x in operands))


def test_a_tier_decides_what_madd_is() -> None:
    assert madd(*PROBE) == 0
    with arith.tier("relaxed"):
        assert madd(*PROBE) == float32("0x1p-24")
        with arith.tier("simd128"):
            assert madd(*PROBE) == 0
        assert madd(*PROBE) == float32("0x1p-24")
    assert madd(*PROBE) == 0


def test_a_tier_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), arith.tier("relaxed"):
        raise ZeroDivisionError
    assert madd(*PROBE) == 0


def test_unknown_tier() -> None:
    with pytest.raises(ValueError, match="unknown tier 'fast'; known: simd128, relaxed"), arith.tier("fast"):
        pass


def test_dot_rows_is_madd_by_madd() -> None:
    random = np.random.default_rng(3)
    a, w = (random.standard_normal(shape).astype(np.float32) for shape in ((3, 17), (17, 5)))
    bias = random.standard_normal(5).astype(np.float32)
    with arith.tier("relaxed"):
        result = arith.dot_rows(a, w, bias)
    for m, n in np.ndindex(3, 5):
        acc = bias[n]
        for k in range(17):
            acc = exactly_rounded(a[m, k], w[k, n], acc)
        assert result[m, n] == acc
    assert (result != arith.dot_rows(a, w, bias)).any()
