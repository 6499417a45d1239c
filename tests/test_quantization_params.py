"""Scales, zero points, histograms and ranges against their definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization import CalibrationMethod, QuantType
from tinyinfer.quantization.histogram import Histogram
from tinyinfer.quantization.params import (
    bias_scale,
    dequantize,
    from_range,
    from_weights,
    quantize,
    quantize_bias,
    smallest_weight_scale,
)
from tinyinfer.quantization.thresholds import choose_range

EIGHT_BITS = st.sampled_from([QuantType.QInt8, QuantType.QUInt8])
FINITE = st.floats(-1e6, 1e6, width=32)


@st.composite
def ranges(draw):
    low, high = sorted((draw(FINITE), draw(FINITE)))
    if high - min(low, 0.0) < 1e-20 and max(high, 0.0) - low < 1e-20:
        high = 1.0
    return low, high


class TestRange:
    @given(ranges(), EIGHT_BITS, st.booleans())
    def test_zero_is_exact(self, bounds, kind, symmetric) -> None:
        params = from_range(*bounds, kind, symmetric)
        zero = np.zeros(1, np.float32)
        assert dequantize(quantize(zero, params), params) == 0

    @given(ranges(), EIGHT_BITS, st.floats(0, 1))
    def test_error_within_the_range_is_at_most_one_step(self, bounds, kind, share) -> None:
        """Half a step of rounding, and half a step that rounding the zero point moves the range by."""
        params = from_range(*bounds, kind)
        x = np.float32(bounds[0] + share * (bounds[1] - bounds[0]))
        step = Fraction(float(params.scale))
        error = abs(Fraction(float(dequantize(quantize(x[None], params), params)[0])) - Fraction(float(x)))
        assert error <= step * Fraction(1001, 1000)

    @given(ranges(), EIGHT_BITS)
    def test_scale_spans_the_range_and_zero(self, bounds, kind) -> None:
        params = from_range(*bounds, kind)
        low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
        assert float(params.scale) * 255 == pytest.approx(high - low, rel=1e-6)

    @given(ranges(), EIGHT_BITS)
    def test_symmetric(self, bounds, kind) -> None:
        params = from_range(*bounds, kind, symmetric=True)
        assert params.zero_point == (0 if kind is QuantType.QInt8 else 128)
        assert float(params.scale) * 127 == pytest.approx(max(abs(b) for b in bounds), rel=1e-6)

    def test_known_values(self) -> None:
        params = from_range(-1.0, 3.0, QuantType.QUInt8)
        assert (params.scale, params.zero_point) == (np.float32(4 / 255), 64)  # 63.75
        params = from_range(0.0, 6.0, QuantType.QInt8)
        assert (params.scale, params.zero_point) == (np.float32(6 / 255), -128)
        assert quantize(np.float32([-1, 0, 3, 6, 99]), params).tolist() == [-128, -128, 0, 127, 127]

    def test_halves_round_to_even(self) -> None:
        params = from_range(-128.0, 127.0, QuantType.QInt8)
        assert quantize(np.float32([0.5, 1.5, 2.5, -0.5, -1.5]), params).tolist() == [0, 2, 2, 0, -2]

    def test_nothing_but_zero(self) -> None:
        with pytest.raises(QuantizationError, match=r"'relu_3' was zero in all calibration data.*exclude"):
            from_range(0.0, 0.0, QuantType.QInt8, tensor="relu_3")

    @pytest.mark.parametrize("bounds", [(-np.inf, 1.0), (0.0, np.inf), (np.nan, 1.0)])
    def test_not_finite(self, bounds) -> None:
        with pytest.raises(QuantizationError, match=r"tensor 'x'.*finite"):
            from_range(*bounds, QuantType.QInt8, tensor="x")


class TestWeights:
    def test_each_channel_has_its_scale(self) -> None:
        weights = np.float32([[1.0, -2.0], [0.5, 0.25], [0.0, 0.0]])
        params = from_weights(weights, 0, QuantType.QInt8)
        np.testing.assert_array_equal(params.scale, np.float32([2 / 127, 0.5 / 127, 1.0]))
        assert quantize(weights, params).tolist() == [[64, -127], [127, 64], [0, 0]]

    @given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0, 1, 2]), st.booleans())
    def test_error_is_half_a_step(self, seed, axis, symmetric) -> None:
        weights = np.random.default_rng(seed).standard_normal((4, 3, 5)).astype(np.float32)
        params = from_weights(weights, axis, QuantType.QInt8, symmetric=symmetric)
        back = dequantize(quantize(weights, params), params).astype(np.float64)
        step = params.along(params.scale, 3).astype(np.float64)
        slack = 0.501 if symmetric else 1.001
        assert (np.abs(back - weights) <= slack * step).all()
        if symmetric:
            assert not params.zero_point.any()
            assert quantize(weights, params).min() >= -127

    def test_reduced_range_leaves_a_bit(self) -> None:
        weights = np.linspace(-3, 3, 100, dtype=np.float32)
        values = quantize(weights, from_weights(weights, None, QuantType.QInt8, reduce_range=True))
        assert (values.min(), values.max()) == (-63, 63)

    @given(st.floats(-1e8, 1e8, width=32), st.floats(2.0**-20, 1, width=32))
    def test_biases_fit(self, bias, weight) -> None:
        """However small the weights, the scale is large enough for the bias to be an int32 to 2^-23 of itself."""
        biases, x_scale = np.float32([bias]), np.float32(0.01)
        floor = smallest_weight_scale(biases, x_scale)
        params = from_weights(np.float32([[weight]]), 0, QuantType.QInt8, smallest_scale=floor)
        scale = bias_scale(x_scale, params.scale)
        quantised = quantize_bias(biases, scale)
        assert abs(int(quantised[0])) <= 2**30
        error = abs(float(quantised[0]) * float(scale[0]) - float(biases[0]))
        assert error <= max(0.5 * float(scale[0]), 2.0**-22 * abs(float(biases[0])))


def histogram_of(*batches):
    seen = Histogram("x")
    for values in batches:
        seen.add(np.asarray(values, np.float32))
    return seen


class TestHistogram:
    @given(st.lists(st.lists(FINITE, min_size=1, max_size=20), min_size=1, max_size=5))
    def test_every_value_is_counted_in_its_bin(self, batches) -> None:
        seen = histogram_of(*batches)
        values = np.float32([v for batch in batches for v in batch])
        assert seen.total == values.size
        assert seen.zeros == np.count_nonzero(values == 0)
        assert (seen.low, seen.high) == (min(values.min(), 0), max(values.max(), 0))
        if not values.any():
            return
        edges = np.array([seen.start + i * seen.width for i in range(len(seen.counts) + 1)])
        expected = np.histogram(values[values != 0].astype(np.float64), edges)[0]
        # A value within rounding of an edge may fall to either side.
        assert np.abs(np.cumsum(expected - seen.counts)).max() <= np.count_nonzero(
            np.abs((values - seen.start) / seen.width - np.rint((values - seen.start) / seen.width)) < 1e-2
        ) + np.count_nonzero((values != 0) & (np.abs(values) < 2 * seen.width))

    def test_memory_is_constant_and_ranges_grow(self) -> None:
        seen = histogram_of([0.001], [1.0], [-1000.0], [1e6])
        assert seen.counts.size == histogram_of([1.0]).counts.size
        assert seen.start <= -1000.0
        assert seen.start + seen.counts.size * seen.width >= 1e6

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite(self, bad) -> None:
        with pytest.raises(QuantizationError, match="'x' is not finite"):
            histogram_of([0.0, bad])

    def test_moving_average(self) -> None:
        seen = histogram_of([-1.0, 1.0], [-3.0, 2.0])
        assert choose_range(seen, CalibrationMethod.MinMax, moving_average=True) == pytest.approx((-1.02, 1.01))


def squared_error(values, low, high):
    """The definition: quantise and compare."""
    params = from_range(low, high, QuantType.QUInt8)
    return float(np.square(dequantize(quantize(values, params), params) - values.astype(np.float64)).mean())


class TestMethods:
    def test_minmax(self) -> None:
        assert choose_range(histogram_of([-1.0, 2.0], [5.0]), CalibrationMethod.MinMax) == (-1.0, 5.0)
        assert choose_range(histogram_of([2.0, 5.0]), CalibrationMethod.MinMax) == (0.0, 5.0)

    @given(st.floats(90, 99.99))
    def test_percentile_is_numpy_s(self, percentile) -> None:
        values = np.random.default_rng(3).standard_normal(200_000).astype(np.float32)
        low, high = choose_range(histogram_of(values), CalibrationMethod.Percentile, percentile=percentile)
        cut = (100 - percentile) / 2
        # the tail's spacing bounds how well a percentile is defined
        assert low == pytest.approx(np.percentile(values, cut), abs=0.05)
        assert high == pytest.approx(np.percentile(values, 100 - cut), abs=0.05)

    def test_percentile_counts_zeros(self) -> None:
        seen = histogram_of(np.zeros(9_900), np.linspace(1, 10, 100))
        low, high = choose_range(seen, CalibrationMethod.Percentile, percentile=99.0)
        assert low == 0.0
        assert high == pytest.approx(5.5, abs=0.1)  # half a per cent of all is half of the hundred

    @pytest.mark.parametrize(
        "draw",
        [
            lambda rng: rng.standard_normal(100_000),
            lambda rng: rng.laplace(size=100_000),
            lambda rng: np.maximum(rng.laplace(size=100_000), 0),
            lambda rng: np.append(rng.uniform(-1, 1, 100_000), [8.0, -9.0]),
            lambda rng: np.clip(rng.standard_normal(100_000) * 4, 0, 6),
        ],
        ids=["normal", "laplace", "rectified", "outliers", "relu6"],
    )
    def test_mse_is_near_the_least_error_there_is(self, draw) -> None:
        values = draw(np.random.default_rng(1)).astype(np.float32)
        low, high = choose_range(histogram_of(values), CalibrationMethod.MSE)
        smallest, largest = float(values.min()), float(values.max())
        best = min(
            squared_error(values, a * smallest, b * largest)
            for a in np.linspace(0.02, 1, 50)
            for b in np.linspace(0.02, 1, 50)
            if b * largest - min(a * smallest, 0) > 0
        )
        assert squared_error(values, low, high) <= 1.03 * best

    def test_mse_of_laplace_is_the_published_threshold(self) -> None:
        """9.89 times the scale for eight bits (Banner et al., Post training 4-bit quantization, 2019)."""
        values = np.random.default_rng(2).laplace(size=4_000_000).astype(np.float32)
        low, high = choose_range(histogram_of(values), CalibrationMethod.MSE, symmetric=True)
        assert high == pytest.approx(9.89, rel=0.05)
        assert low == pytest.approx(-9.89, rel=0.05)

    @pytest.mark.parametrize("method", [CalibrationMethod.MSE, CalibrationMethod.Entropy])
    def test_uniform_values_are_not_clipped(self, method) -> None:
        values = np.random.default_rng(2).uniform(-2, 5, 1_000_000)
        assert choose_range(histogram_of(values), method) == pytest.approx((-2, 5), rel=0.03)

    def test_entropy_cuts_outliers_off(self) -> None:
        values = np.append(np.random.default_rng(2).standard_normal(1_000_000), [100.0, -80.0])
        low, high = choose_range(histogram_of(values), CalibrationMethod.Entropy)
        assert -20 < low < -2.5
        assert 2.5 < high < 20

    def test_entropy_keeps_what_saturates(self) -> None:
        values = np.clip(np.random.default_rng(2).standard_normal(1_000_000) * 4, 0, 6)
        assert choose_range(histogram_of(values), CalibrationMethod.Entropy) == pytest.approx((0.0, 6.0))

    @pytest.mark.parametrize("method", CalibrationMethod)
    @given(st.lists(st.lists(FINITE, min_size=1, max_size=30), min_size=1, max_size=3))
    def test_ranges_hold_zero_and_lie_within_the_observed(self, method, batches) -> None:
        seen = histogram_of(*batches)
        low, high = choose_range(seen, method)
        assert min(seen.low, 0) - 1e-3 * abs(seen.low) <= low <= 0 <= high <= max(seen.high, 0) + 1e-3 * abs(seen.high)
