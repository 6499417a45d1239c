"""Resampling (ONNX Resize): separable, one axis after the other in ascending order.

Coordinates and weights are exact rational numbers, evaluated from the attributes as they are; each weight is rounded
once on its way to float32 (through float64). So no order of operations hides in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.types import Array

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Axis:
    """One axis: its lengths in X and Y, its scale, and the region of interest as fractions of X."""

    original: int
    resized: int
    scale: Fraction
    start: Fraction
    end: Fraction


def resize(
    x: Array,
    *,
    sizes: tuple[int, ...],
    scales: tuple[float, ...],
    mode: str,
    coordinate_transformation_mode: str,
    nearest_mode: str,
    cubic_coeff_a: float,
    exclude_outside: bool,
    extrapolation_value: float,
    roi: tuple[float, ...],
) -> Array:
    """Along an axis, y = x[i0]·w0, then y = madd(x[i], w, y) for the further taps in ascending position.

    nearest copies one element. An axis whose coordinates are 0, 1, 2, … over its whole length is left untouched.
    Under tf_crop_and_resize elements whose coordinate lies outside X on any axis become `extrapolation_value`.
    Bytes under linear: y = (x[i0]·(2¹⁴ − w) + x[i1]·w + 2¹³) >> 14, w = ⌊ratio·2¹⁴ + ½⌋, one axis after the other.
    """
    y, rank = x, x.ndim
    outside = np.zeros(sizes, np.bool_)
    for i in range(rank):
        start, end = (roi[i], roi[rank + i]) if roi else (0.0, 1.0)
        axis = Axis(x.shape[i], sizes[i], Fraction(scales[i]), Fraction(start), Fraction(end))
        places = [_original(coordinate_transformation_mode, axis, j) for j in range(axis.resized)]
        if coordinate_transformation_mode == "tf_crop_and_resize":
            beyond = np.array([not 0 <= place <= axis.original - 1 for place in places], np.bool_)
            outside |= beyond.reshape([-1 if a == i else 1 for a in range(rank)])
        if axis.original == axis.resized and places == list(range(axis.original)):
            continue
        if mode == "nearest":
            chosen = [_nearest(nearest_mode, place, axis.original) for place in places]
            y = np.take(y, np.array(chosen, np.intp), axis=i)
        elif x.dtype != np.float32:
            y = _weigh_bytes(y, i, [_linear(place, axis.original) for place in places])
        elif mode == "linear":
            y = _weigh(y, i, [_linear(place, axis.original) for place in places], 2)
        else:
            a = Fraction(cubic_coeff_a)
            y = _weigh(y, i, [_cubic(place, axis.original, a, exclude_outside) for place in places], 4)
    return np.where(outside, np.float32(extrapolation_value), y) if x.dtype == np.float32 else y


def _original(mode: str, axis: Axis, x_resized: int) -> Fraction:
    """The coordinate in X of element `x_resized` of Y (ONNX Resize, `coordinate_transformation_mode`).

    `length_resized` of the specification is the size of Y, a whole number, even where scale · length is none.
    """
    last = axis.original - 1
    if mode == "half_pixel":
        return (x_resized + HALF) / axis.scale - HALF
    if mode == "half_pixel_symmetric":
        adjustment = axis.resized / (axis.scale * axis.original)
        offset = Fraction(axis.original, 2) * (1 - adjustment)
        return offset + (x_resized + HALF) / axis.scale - HALF
    if mode == "pytorch_half_pixel":
        return (x_resized + HALF) / axis.scale - HALF if axis.resized > 1 else Fraction(0)
    if mode == "align_corners":
        return Fraction(x_resized * last, axis.resized - 1) if axis.resized > 1 else Fraction(0)
    if mode == "asymmetric":
        return x_resized / axis.scale
    if axis.resized > 1:
        return axis.start * last + x_resized * (axis.end - axis.start) * last / (axis.resized - 1)
    return HALF * (axis.start + axis.end) * last


def _nearest(mode: str, place: Fraction, length: int) -> int:
    """The index that stands for `place`, which is first rounded to float32.

    A scale such as 1/3 is not a float32; the rounding gives back the whole and half coordinates that were meant.
    """
    rounded = Fraction(float(np.float32(float(place))))
    if mode == "round_prefer_floor":
        index = math.ceil(rounded - HALF)
    elif mode == "round_prefer_ceil":
        index = math.floor(rounded + HALF)
    else:
        index = math.floor(rounded) if mode == "floor" else math.ceil(rounded)
    return min(max(index, 0), length - 1)


def _linear(place: Fraction, length: int) -> list[tuple[int, Fraction]]:
    """Two neighbours and their weights, of the place moved into X."""
    inside = min(max(place, Fraction(0)), Fraction(length - 1))
    left = math.floor(inside)
    ratio = inside - left
    return [(left, 1 - ratio), (min(left + 1, length - 1), ratio)]


def _cubic(place: Fraction, length: int, a: Fraction, exclude_outside: bool) -> list[tuple[int, Fraction]]:
    """Four neighbours and the weights of ONNX's cubic interpolation; neighbours outside X repeat its edge.

    With `exclude_outside` those weigh 0 and the others are divided by their sum.
    """
    left = math.floor(place)
    s = place - left
    weights = [
        ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a,
        ((a + 2) * s - (a + 3)) * s * s + 1,
        ((a + 2) * (1 - s) - (a + 3)) * (1 - s) * (1 - s) + 1,
        ((a * (2 - s) - 5 * a) * (2 - s) + 8 * a) * (2 - s) - 4 * a,
    ]
    indices = [left - 1, left, left + 1, left + 2]
    if exclude_outside:
        weights = [w if 0 <= i < length else Fraction(0) for i, w in zip(indices, weights)]
        total = sum(weights)
        weights = [w / total for w in weights] if total else weights
    return [(min(max(i, 0), length - 1), w) for i, w in zip(indices, weights)]


def _weigh(x: Array, axis: int, rows: list[list[tuple[int, Fraction]]], taps: int) -> Array:
    """For each element along `axis`, the weighted sum of its row of (index, weight)."""
    indices = np.array([[index for index, _ in row] for row in rows], np.intp).reshape(-1, taps)
    weights = np.array([[float(weight) for _, weight in row] for row in rows], np.float32).reshape(-1, taps)
    along = [-1 if a == axis else 1 for a in range(x.ndim)]
    y = np.take(x, indices[:, 0], axis=axis) * weights[:, 0].reshape(along)
    for t in range(1, taps):
        y = arith.madd(np.take(x, indices[:, t], axis=axis), weights[:, t].reshape(along), y)
    return y


def _weigh_bytes(x: Array, axis: int, rows: list[list[tuple[int, Fraction]]]) -> Array:
    """For each element along `axis`, the mean of two neighbours by weights of 14 bits, rounded half up."""
    indices = np.array([[index for index, _ in row] for row in rows], np.intp).reshape(-1, 2)
    right = np.array([math.floor(second * (1 << 14) + HALF) for _, (_, second) in rows], np.int32)
    right = right.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    x0, x1 = (np.take(x, indices[:, t], axis=axis).astype(np.int32) for t in range(2))
    return np.asarray((x0 * (np.int32(1 << 14) - right) + x1 * right + np.int32(1 << 13)) >> 14).astype(x.dtype)
