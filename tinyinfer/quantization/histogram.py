"""What is remembered of a tensor's values: their range and a histogram that widens as values come in.

Memory is constant, whatever the amount of data.
"""

from __future__ import annotations

import numpy as np

from tinyinfer.errors import QuantizationError
from tinyinfer.types import Array

BINS = 4096
# Weight of what was seen before in a moving average of the range, as in onnxruntime.quantization.
MOVING_AVERAGE_CONSTANT = 0.01


class Histogram:
    """Counts of values in BINS equal bins from `start`, `width` apart, and how many were exactly zero.

    Zeros are counted apart: after a ReLU they are half of all values, and every quantisation represents them exactly.
    A value outside doubles the bins' width, two bins becoming one, as often as needed.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.low = 0.0
        """The smallest value seen, or 0."""
        self.high = 0.0
        self.zeros = 0
        self.start = 0.0
        self.width = 0.0
        self.counts: Array = np.zeros(BINS, np.int64)
        self._batches = 0
        self._mean_low = 0.0
        self._mean_high = 0.0

    @property
    def centers(self) -> Array:
        return np.asarray(self.start + (np.arange(BINS) + 0.5) * self.width)

    @property
    def total(self) -> int:
        """How many values were seen."""
        return int(self.counts.sum()) + self.zeros

    def add(self, values: Array) -> None:
        """Take in values; QuantizationError when one of them is not finite."""
        flat = values.reshape(-1)
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        if not np.isfinite(low + high):
            raise QuantizationError(
                f"tensor {self.name!r} is not finite in the float model; expected calibration data on which the model "
                "computes finite numbers"
            )
        self._follow(low, high)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if not low and not high:
            self.zeros += flat.size
            return
        self._cover(min(low, 0.0), max(high, 0.0))
        zeros = flat.size - int(np.count_nonzero(flat))
        index = ((flat - np.float32(self.start)) * np.float32(1 / self.width)).astype(np.int32)
        self.counts += np.bincount(np.clip(index, 0, BINS - 1), minlength=BINS)
        self.counts[min(max(int((0.0 - self.start) / self.width), 0), BINS - 1)] -= zeros
        self.zeros += zeros

    def moving_average(self) -> tuple[float, float]:
        """The averages over batches of the smallest and largest value, newer ones counting a little."""
        return self._mean_low, self._mean_high

    def _follow(self, low: float, high: float) -> None:
        share = MOVING_AVERAGE_CONSTANT if self._batches else 1.0
        self._mean_low += share * (low - self._mean_low)
        self._mean_high += share * (high - self._mean_high)
        self._batches += 1

    def _cover(self, low: float, high: float) -> None:
        """Widen the bins until [low, high] lies within."""
        if not self.width:
            self.start, self.width = low, max((high - low) / BINS, float(np.finfo(np.float32).tiny))
        while low < self.start or high > self.start + BINS * self.width:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            none = np.zeros(BINS // 2, np.int64)
            if low < self.start:
                self.start -= BINS * self.width
                self.counts = np.concatenate([none, pairs])
            else:
                self.counts = np.concatenate([pairs, none])
            self.width *= 2
