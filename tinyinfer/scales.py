"""Quantised operators as import and rewriting both build them: multipliers, bounds, tables of functions, windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyinfer.registry import SEMANTICS
from tinyinfer.types import Array, Clamp, DType, Quantized

LARGEST = np.float32(2.0**100)
"""Multipliers are below this, so that no product with a sum overflows."""


def product(x_scale: Array, w_scale: Array) -> Array:
    """x scale·w scale in float64, rounded to float32 where that is a normal number."""
    exact = x_scale.astype(np.float64) * w_scale
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
    return np.asarray(np.where(is_normal(rounded), rounded, exact))


def is_normal(x: Array) -> Array:
    """Which elements float32 has with all of its 24 bits, 0 not among them."""
    return np.isfinite(x) & (np.abs(x) >= np.finfo(np.float32).tiny)


def multiplier(x_scale: Array, w_scale: Array, y_scale: Array) -> Array | None:
    """x scale·w scale / y scale, each step rounded to float32; None where it is too large to compute with.

    The product is `product`, so that none is lost that float32 does not have.
    """
    with np.errstate(all="ignore"):
        ratio = (product(x_scale, w_scale) / y_scale.astype(np.float64)).astype(np.float32)
    return np.asarray(ratio, np.float32) if bool((ratio < LARGEST).all()) else None


def ratio(x_scale: Array, y_scale: Array) -> float | None:
    """x scale / y scale of single values in float32, or None where it is too large to compute with."""
    with np.errstate(all="ignore"):
        value = np.float32(x_scale.reshape(())) / np.float32(y_scale.reshape(()))
    return float(value) if value < LARGEST else None


def sums_of_bias(bias: Array, x_scale: Array, w_scale: Array) -> Array:
    """A float bias as int32 in units of x scale·w scale, which it has to fit into."""
    return np.rint(bias.astype(np.float64) / product(x_scale, w_scale)).astype(np.int32)


def reach(dtype: DType, zero: Array) -> tuple[int, int]:
    """The least and the largest difference of a byte and its zero points; 0, which padding is, lies between."""
    info = np.iinfo(dtype.numpy)
    return info.min - int(zero.max(initial=info.min)), info.max - int(zero.min(initial=info.max))


def within_int32(low: Array, high: Array) -> bool:
    """Whether all of the ranges are in that of int32."""
    info = np.iinfo(np.int32)
    return bool((low >= info.min).all() and (high <= info.max).all())


def fits_window(dtype: DType, zero: Array, kernel: tuple[int, ...]) -> bool:
    """Whether the sum of so many bytes, less their zero point, stays within int32."""
    low, high = reach(dtype, zero)
    return within_int32(np.asarray(math.prod(kernel) * low), np.asarray(math.prod(kernel) * high))


def evaluate(op: str, *inputs: Array, **attrs: Any) -> Array:
    """The only result of the reference of an operator."""
    (y,) = SEMANTICS.evaluate(op, list(inputs), attrs)
    return y


def clamped(y: Quantized, scale: Array, clamp: Clamp) -> Quantized:
    """What [lo, hi] leaves of the range of a result with this scale: rounding and clamping may change places."""
    zero = np.asarray(y.zero_point, y.dtype.numpy)
    ends = np.asarray([clamp.lo, clamp.hi], np.float32)
    lo, hi = (int(v) for v in evaluate("QuantizeLinear", ends, scale, zero))
    return y.within(lo, hi)


Function = Callable[[Array], Array]


def table(
    x: DType, x_scale: Array, x_zero: Array, y_scale: Array, y_zero: Array, function: Function = lambda real: real
) -> Array:
    """What Quantize(function(Dequantize(q))) gives for the bytes 0, 1, … 255; no function: another scale."""
    real = evaluate("DequantizeLinear", np.arange(256, dtype=np.uint8).view(x.numpy), x_scale, x_zero)
    return evaluate("QuantizeLinear", function(real), y_scale, y_zero)


def exponentials(x_scale: Array) -> Array:
    """e^(−d·x scale) for the differences d = 0, 1, … 255 of two bytes."""
    return evaluate("Exp", -(np.arange(256, dtype=np.float32) * x_scale.reshape(())))


def softmax_ratio(y_scale: Array) -> float | None:
    """1 / y scale in float32, or None where that is too large to round to an integer."""
    with np.errstate(all="ignore"):
        value = np.float32(1) / np.float32(y_scale.reshape(()))
    return float(value) if value < np.float32(1 << 22) else None


def whole_window(spatial: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The attributes of pooling over all of a feature map."""
    ones = (1,) * len(spatial)
    return {"kernel_shape": spatial, "strides": ones, "pads": (0,) * 2 * len(spatial), "dilations": ones}
