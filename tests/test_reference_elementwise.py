"""Reference vs oracle for exact element-wise operators: Python's integers, fractions and IEEE-754's words."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential import assert_same_bits
from tests.strategies import SPECIAL_FLOATS
from tinyinfer.ref import elementwise, interpreter, logic
from tinyinfer.types import DType

INTEGERS = {
    DType.INT64: np.int64,
    DType.INT32: np.int32,
    DType.UINT8: np.uint8,
    DType.INT8: np.int8,
}
HALVES = np.array([-2.5, -1.5, -0.5, -0.25, -0.0, 0.0, 0.5, 1.5, 2.5, 8388609.0, -np.inf], np.float32)


def integers(dtype):
    info = np.iinfo(dtype)
    return st.one_of(
        st.integers(max(-5, info.min), 5), st.integers(info.min, info.max), st.sampled_from([info.min, info.max])
    )


def apply(function, *inputs, **attrs):
    (y,) = interpreter.apply(function, list(inputs), attrs)
    return y


def wrapped(value, dtype):
    bits = 8 * np.dtype(dtype).itemsize
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integer_division_truncates(dtype):
    @given(integers(dtype), integers(dtype))
    def check(a, b):
        magnitude = 0 if b == 0 else abs(a) // abs(b)
        expected = wrapped(magnitude if (a < 0) == (b < 0) else -magnitude, dtype)
        assert apply(elementwise.div, np.array([a], dtype), np.array([b], dtype))[0] == expected

    check()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integer_edges_wrap(dtype):
    least = np.array([np.iinfo(dtype).min], dtype)
    for function in (elementwise.neg, elementwise.abs_):
        assert_same_bits(apply(function, least), least, function.__name__)
    assert_same_bits(apply(elementwise.div, least, np.array([-1], dtype)), least, "MIN / -1")
    assert_same_bits(apply(elementwise.div, least, np.array([0], dtype)), np.array([0], dtype), "MIN / 0")


def ieee_extreme(a, b, pick):
    """IEEE-754-2019 minimum and maximum, section 9.6."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b == 0:
        return math.copysign(0.0, pick(math.copysign(1, a), math.copysign(1, b)))
    return pick(a, b)


@pytest.mark.parametrize(("function", "pick"), [(elementwise.minimum, min), (elementwise.maximum, max)])
def test_minimum_and_maximum_are_those_of_ieee_754(function, pick):
    a, b = np.meshgrid(SPECIAL_FLOATS, SPECIAL_FLOATS)
    expected = [ieee_extreme(float(x), float(y), pick) for x, y in zip(a.ravel(), b.ravel())]
    assert_same_bits(apply(function, a, b), np.array(expected, np.float32).reshape(a.shape), function.__name__)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (elementwise.floor, [-3, -2, -1, -1, -0.0, 0, 0, 1, 2, 8388609, -np.inf]),
        (elementwise.ceil, [-2, -1, -0.0, -0.0, -0.0, 0, 1, 2, 3, 8388609, -np.inf]),
        (elementwise.round_, [-2, -2, -0.0, -0.0, -0.0, 0, 0, 2, 2, 8388609, -np.inf]),
        (elementwise.neg, [2.5, 1.5, 0.5, 0.25, 0, -0.0, -0.5, -1.5, -2.5, -8388609, np.inf]),
        (elementwise.abs_, [2.5, 1.5, 0.5, 0.25, 0, 0, 0.5, 1.5, 2.5, 8388609, np.inf]),
    ],
)
def test_rounding_and_signs(function, expected):
    assert_same_bits(apply(function, HALVES), np.array(expected, np.float32), function.__name__)


@pytest.mark.parametrize("to", INTEGERS, ids=lambda t: t.value)
@pytest.mark.parametrize("source", INTEGERS, ids=lambda t: t.value)
def test_integers_are_cast_modulo_their_range(source, to):
    @given(integers(INTEGERS[source]))
    def check(value):
        bits, unsigned = 8 * to.size, to is DType.UINT8
        expected = value % 2**bits if unsigned else wrapped(value, to.numpy)
        assert apply(logic.cast, np.array([value], source.numpy), to=to)[0] == expected

    check()


@pytest.mark.parametrize("to", INTEGERS, ids=lambda t: t.value)
def test_floats_are_truncated_and_saturated(to):
    info = np.iinfo(to.numpy)

    @given(st.floats(width=32) | st.floats(-300, 300, width=32) | st.sampled_from([float(v) for v in SPECIAL_FLOATS]))
    def check(value):
        if math.isnan(value):
            expected = 0
        elif math.isinf(value):
            expected = info.max if value > 0 else info.min
        else:
            expected = min(max(math.trunc(value), info.min), info.max)
        assert apply(logic.cast, np.array([value], np.float32), to=to)[0] == expected

    check()


@given(integers(np.int64) | st.integers(1, 2**38).map(lambda n: (n << 25) + (1 << 24)))
def test_int64_rounds_once_to_the_nearest_float(value):
    y = apply(logic.cast, np.array([value]), to=DType.FLOAT)[0]
    error = abs(Fraction(float(y)) - value)
    for neighbour in (np.nextafter(y, np.float32(np.inf)), np.nextafter(y, np.float32(-np.inf))):
        other = abs(Fraction(float(neighbour)) - value)
        assert error < other or (error == other and y.view(np.uint32) % 2 == 0)


def test_int64_to_float_does_not_round_twice():
    # Just above the middle of two floats: by way of float64 it would become the middle, then the even float below.
    value = 2**62 + 2**38 + 1
    assert apply(logic.cast, np.array([value]), to=DType.FLOAT)[0] == np.float32(2**62 + 2**39)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.uint8, np.int8, np.bool_])
def test_everything_but_zero_casts_to_true(dtype):
    values = [0.0, -0.0, np.nan, 1e-45, -3, np.inf] if dtype is np.float32 else [0, 0, 1, 1, 1, 1]
    y = apply(logic.cast, np.array(values, dtype), to=DType.BOOL)
    np.testing.assert_array_equal(y, [False, False, True, True, True, True])


def test_nothing_compares_with_nan_and_zeros_are_equal():
    a = np.array([np.nan, np.nan, 0.0, -0.0, 1.0], np.float32)
    b = np.array([np.nan, 1.0, -0.0, 0.0, np.inf], np.float32)
    np.testing.assert_array_equal(apply(logic.equal, a, b), [False, False, True, True, False])
    np.testing.assert_array_equal(apply(logic.less, a, b), [False, False, False, False, True])
    np.testing.assert_array_equal(apply(logic.less_or_equal, a, b), [False, False, True, True, True])
