"""Pooling (ONNX MaxPool, AveragePool, com.microsoft QLinearAveragePool).

Order: the window's taps row-major; only taps inside X take part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tinyinfer.ref import arith, quantized
from tinyinfer.types import Array, Quantized


def max_pool(
    x: Array,
    *,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool = False,
) -> Array:
    """IEEE-754 maximum of the taps inside X, so NaN wins and +0 beats -0; -inf (the smallest integer) for a window
    wholly in the padding.
    """
    starts = _starts(x, kernel_shape, strides, pads, dilations, ceil_mode)
    least = -np.inf if x.dtype == np.float32 else np.iinfo(x.dtype).min
    acc = np.full((*x.shape[:2], *map(len, starts)), least, x.dtype)
    for tap, inside, _ in _taps(x, starts, kernel_shape, pads, dilations):
        acc = np.where(inside, arith.maximum(acc, tap), acc)
    return acc


def average_pool(
    x: Array,
    *,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Array:
    """Sum from +0 of the taps inside X, then one division by the number of taps as float32.

    With `count_include_pad` the taps in the padding are counted as well, but not those that `ceil_mode` lets reach
    beyond the padding. A window without a counted tap gives 0/0 = NaN.
    """
    starts = _starts(x, kernel_shape, strides, pads, dilations, ceil_mode)
    acc, count = _sums(x, starts, kernel_shape, pads, dilations, count_include_pad)
    return np.asarray(acc / count.astype(np.float32))


def qlinear_average_pool(
    x: Array,
    *,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    ratio: float,
    x_zero_point: int,
    y: Quantized,
) -> Array:
    """int32 sums, requantised by ratio / count: one division for each window. Counts as in `average_pool`, least 1."""
    starts = _starts(x, kernel_shape, strides, pads, dilations, ceil_mode)
    differences = x.astype(np.int32) - np.int32(x_zero_point)
    sums, count = _sums(differences, starts, kernel_shape, pads, dilations, count_include_pad)
    multiplier = np.float32(ratio) / np.maximum(count, 1).astype(np.float32)
    return quantized.requantize(sums, multiplier, y)


def _sums(
    x: Array,
    starts: list[Array],
    kernel_shape: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    count_include_pad: bool,
) -> tuple[Array, Array]:
    """Of each window from +0, in x's type, and how many taps count [out...]."""
    acc = np.zeros((*x.shape[:2], *map(len, starts)), x.dtype)
    count = np.zeros(acc.shape[2:], np.int32)
    for tap, inside, padded in _taps(x, starts, kernel_shape, pads, dilations):
        acc = np.where(inside, acc + tap, acc)
        count = count + (padded if count_include_pad else inside)
    return acc, count


def _starts(
    x: Array,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool,
) -> list[Array]:
    """For each spatial axis, the coordinate in X of every window's first tap, negative in the padding.

    Windows begin at every stride as long as they fit into the padded input. In ceil mode one more follows if the
    last of these does not reach the end, and then the last one is dropped if it begins in the padding at the end.
    """
    rank = len(kernel_shape)
    axes = []
    for i in range(rank):
        begin, end = -pads[i], x.shape[2 + i] + pads[rank + i]
        reach = dilations[i] * (kernel_shape[i] - 1) + 1
        first = [begin]
        while first[-1] + strides[i] + reach <= end:
            first.append(first[-1] + strides[i])
        if ceil_mode and first[-1] + reach < end:
            first.append(first[-1] + strides[i])
        if ceil_mode and first[-1] >= x.shape[2 + i]:
            first.pop()
        axes.append(np.array(first))
    return axes


def _taps(
    x: Array, starts: list[Array], kernel_shape: tuple[int, ...], pads: tuple[int, ...], dilations: tuple[int, ...]
) -> Iterator[tuple[Array, Array, Array]]:
    """For each tap: its values [N, C, out...], whether it lies inside X [out...], and inside the padded X."""
    rank = len(kernel_shape)
    for tap in itertools.product(*map(range, kernel_shape)):
        window: list[Array | slice] = [slice(None), slice(None)]
        inside, padded = np.array(True), np.array(True)
        for i in range(rank):
            place = (starts[i] + tap[i] * dilations[i]).reshape([-1 if a == i else 1 for a in range(rank)])
            length = x.shape[2 + i]
            inside = inside & (place >= 0) & (place < length)
            padded = padded & (place < length + pads[rank + i])
            window.append(place.clip(0, length - 1))
        yield x[tuple(window)], inside, padded
