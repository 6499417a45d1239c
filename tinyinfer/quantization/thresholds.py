"""From a histogram to the range an activation is clipped to.

* MinMax: everything observed.
* Percentile: the given share of all values, the rest cut in equal parts from both ends.
* Entropy: the range whose quantised distribution is closest to the observed one in Kullback-Leibler divergence
  (S. Migacz, "8-bit inference with TensorRT", 2017), extended to ranges that are not symmetric, and without
  the divergence that chance alone gives a histogram.
* MSE: the range with the least mean squared error, rounding noise of a uniform quantiser, step² / 12, within it and
  the squared distance to it outside.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyinfer.quantization.histogram import BINS, Histogram
from tinyinfer.quantization.kinds import CalibrationMethod
from tinyinfer.types import Array

LEVELS = 256
DEFAULT_PERCENTILE = 99.999
# Ranges that a search tries: these shares of what was observed.
SHARES = np.linspace(1.0, 0.02, 99)
REFINEMENTS = 2
# Values for each bin from which on a divergence says more of the distribution than of chance.
WELL_FILLED = 256
# A bin with this many times the values beside it holds one value, repeated (a constant background); it counts for no
# more, since what is lost of its mass in a level tells nothing of how well that one value is represented.
SPIKE = 4
# An end of the range that more than this share of the values (zeros aside) lies at is where the network saturates.
SATURATED = 0.005

Range = tuple[float, float]
Cost = Callable[[float, float], float]


def choose_range(
    seen: Histogram,
    method: CalibrationMethod,
    *,
    percentile: float = DEFAULT_PERCENTILE,
    moving_average: bool = False,
    symmetric: bool = False,
) -> Range:
    """The range of a tensor by `method`; it contains zero. `symmetric` clips both sides alike."""
    if method is CalibrationMethod.MinMax or not seen.counts.any():
        low, high = seen.moving_average() if moving_average else (seen.low, seen.high)
        return min(low, 0.0), max(high, 0.0)
    if method is CalibrationMethod.Percentile:
        return _percentile(seen, percentile)
    cost = _squared_error(seen) if method is CalibrationMethod.MSE else _divergence(seen)
    return _search(seen, cost, symmetric)


def _percentile(seen: Histogram, percentile: float) -> Range:
    """Values within a bin count as spread evenly over it."""
    cut = (1.0 - percentile / 100.0) / 2.0 * seen.total
    counts = seen.counts.astype(np.float64)
    zero = min(max(int(-seen.start / seen.width), 0), BINS - 1)
    counts[zero] += seen.zeros
    edges = seen.start + np.arange(BINS + 1) * seen.width
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    low = float(np.interp(cut, cumulative, edges))
    # From the other end, so that empty bins beyond the largest value are not part of the range.
    high = -float(np.interp(cut, np.cumsum(np.concatenate([[0.0], counts[::-1]])), -edges[::-1]))
    return min(max(low, seen.low), 0.0), max(min(high, seen.high), 0.0)


def _search(seen: Histogram, cost: Cost, symmetric: bool) -> Range:
    """The cheapest range among shares of the observed one: both ends together, then one end at a time.

    Of equal ones it is the widest.
    """
    low, high = seen.low, seen.high
    if symmetric:
        largest = max(-low, high)
        best = min(SHARES, key=lambda s: cost(-s * largest, s * largest))
        return max(low, -best * largest), min(high, best * largest)
    at_low = at_high = min(SHARES, key=lambda s: cost(s * low, s * high))
    if low < 0.0 < high:
        for _ in range(REFINEMENTS):
            at_high = min(SHARES, key=lambda s: cost(at_low * low, s * high))
            at_low = min(SHARES, key=lambda s: cost(s * low, at_high * high))
    return float(at_low * low), float(at_high * high)


def _squared_error(seen: Histogram) -> Cost:
    occupied = seen.counts > 0
    centers, counts = seen.centers[occupied], seen.counts[occupied].astype(np.float64)

    def cost(low: float, high: float) -> float:
        step = (high - low) / (LEVELS - 1)
        outside = np.maximum(centers - high, 0.0) + np.maximum(low - centers, 0.0)
        return float((counts * np.where(outside > 0, outside * outside, step * step / 12.0)).sum())

    return cost


def _divergence(seen: Histogram) -> Cost:
    """Zeros are left out: every range represents them. So are values at which the network saturates (ReLU6), as long
    as they are the end of the range; a range without them loses all of them. Values that are repeated inside the
    range count as often as what lies beside them.
    """
    centers, counts = seen.centers, seen.counts.astype(np.float64)
    total = counts.sum()
    while counts.size > 2 * LEVELS and total < WELL_FILLED * counts.size:
        counts, centers = counts.reshape(-1, 2).sum(axis=1), centers.reshape(-1, 2).mean(axis=1)
    half = (centers[1] - centers[0]) / 2
    ends = np.flatnonzero(counts)[[0, -1]]
    saturated = [end for end in ends if counts[end] > SATURATED * total]

    def cost(low: float, high: float) -> float:
        inside = (centers > low - half) & (centers < high + half)
        if np.count_nonzero(inside) < 2 or not all(inside[end] for end in saturated):
            return np.inf
        observed = counts.copy()
        observed[saturated] = 0.0
        outside = observed[centers <= low - half].sum(), observed[centers >= high + half].sum()
        observed = observed[inside]
        observed = np.minimum(observed, SPIKE * _beside(observed))
        if not observed.any():
            return 0.0
        clipped = observed.copy()
        clipped[0] += outside[0]
        clipped[-1] += outside[1]
        spread, freedom = _spread(observed, centers[inside], low, high)
        by_chance = freedom / (2.0 * observed.sum())
        return max(_kullback_leibler(clipped / clipped.sum(), spread / observed.sum()) - float(by_chance), 0.0)

    return cost


def _beside(counts: Array) -> Array:
    """The larger of the two counts beside each."""
    padded = np.concatenate([counts[:1], counts, counts[-1:]])
    return np.asarray(np.maximum(padded[:-2], padded[2:]))


def _spread(counts: Array, centers: Array, low: float, high: float) -> tuple[Array, int]:
    """Counts after quantisation to LEVELS: those of a level spread evenly over its bins that held any.

    The second result is how many counts are free to differ from that by chance: twice the number of values times the
    divergence of a sample from its own distribution has that expectation (Wilks' theorem).
    """
    level = np.clip((centers - low) * (LEVELS / (high - low)), 0, LEVELS - 1).astype(np.int64)
    occupied = counts > 0
    mass = np.bincount(level, counts, minlength=LEVELS)
    bins = np.bincount(level, occupied, minlength=LEVELS)
    freedom = int(np.count_nonzero(occupied)) - int(np.count_nonzero(mass))
    return np.asarray(np.where(occupied, (mass / np.maximum(bins, 1))[level], 0.0)), freedom


def _kullback_leibler(p: Array, q: Array) -> float:
    """Σ p·log(p / q); where q has nothing for p to follow, a very small share stands in."""
    some = p > 0
    return float((p[some] * np.log(p[some] / np.maximum(q[some], 1e-12))).sum())
