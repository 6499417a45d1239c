"""Quantised operators (ONNX QuantizeLinear … QLinearMatMul, com.microsoft QLinear…).

Sums of products are exact integers that wrap to int32. They come back to eight bits in the steps of `requantize`.
"""

from __future__ import annotations

import math

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.types import Array, Clamp, Quantized


def quantize_linear(x: Array, scale: Array, zero_point: Array) -> Array:
    """One division, round to even, one float32 sum, saturate; NaN becomes 0."""
    info = np.iinfo(zero_point.dtype)
    shifted = np.rint(x / scale.reshape(())) + zero_point.reshape(()).astype(np.float32)
    bounded = np.clip(shifted, np.float32(info.min), np.float32(info.max))
    return np.where(np.isnan(bounded), np.float32(0), bounded).astype(zero_point.dtype)


def dequantize_linear(x: Array, scale: Array, zero_point: Array, *, axis: int = 0, block_size: int = 0) -> Array:
    """The difference in int32, which becomes float32 with one rounding (none for bytes), then one product."""
    if block_size:
        scale, zero_point = (
            np.repeat(p, block_size, axis).take(range(x.shape[axis]), axis) for p in (scale, zero_point)
        )
        return np.asarray((x.astype(np.int32) - zero_point.astype(np.int32)).astype(np.float32) * scale)
    shape = [1] * x.ndim
    if max(scale.size, zero_point.size) > 1:
        shape[axis] = -1
    centred = x.astype(np.int32) - zero_point.astype(np.int32).reshape(shape if zero_point.size > 1 else ())
    return np.asarray(centred.astype(np.float32) * scale.reshape(shape if scale.size > 1 else ()))


def dequantize_sums(x: Array, scale: Array, bias: Array | None = None, *, axis: int, clamp: Clamp = Clamp()) -> Array:
    """int32 to float32 with one rounding, one product, one sum, clamp."""
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    y = x.astype(np.float32) * scale.reshape(shape if scale.size > 1 else ())
    return arith.clamp(y if bias is None else y + bias.reshape(shape), clamp)


def dynamic_quantize_linear(x: Array) -> tuple[Array, Array, Array]:
    """lo and hi are the extremes of 0 and all x but NaN; scale = (hi − lo) / 255, 1 where that is 0;
    zero point = saturate(round(0 − lo / scale)), NaN to 0.
    """
    numbers = x[x == x]
    lo = np.float32(min(numbers.min(initial=np.float32(0)), np.float32(0)))
    hi = np.float32(max(numbers.max(initial=np.float32(0)), np.float32(0)))
    scale = np.float32(np.float32(hi - lo) / np.float32(255))
    if scale == 0:
        scale = np.float32(1)
    zero = np.rint(np.float32(0) - np.float32(lo / scale))
    zero_point = np.asarray(0 if np.isnan(zero) else np.clip(zero, 0, 255), np.uint8)
    return quantize_linear(x, np.asarray(scale), zero_point), np.asarray(scale), zero_point


def lookup(x: Array, table: Array) -> Array:
    return np.asarray(table[x.view(np.uint8)])


def qlinear_softmax(x: Array, table: Array, *, axis: int, ratio: float, y: Quantized) -> Array:
    """e = table[m − x], m the maximum; one division of the ratio by `arith.lane_sum`(e), one product, `quantized`."""
    rows = np.moveaxis(x, axis, -1).astype(np.int32)
    largest = np.full(rows.shape[:-1], np.iinfo(x.dtype).min, np.int32)
    for column in np.moveaxis(rows, -1, 0):
        largest = np.maximum(largest, column)
    e = table[largest[..., None] - rows]
    factor = np.float32(ratio) / arith.lane_sum(e)
    return np.moveaxis(quantized(e * factor[..., None], y), -1, axis)


def conv_integer(
    x: Array,
    w: Array,
    x_zero_point: Array,
    w_zero_point: Array,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    group: int = 1,
) -> Array:
    """Taps in the padding take part as the zero point of X, which is the number 0."""
    left = _centred(x, x_zero_point, ())
    right = _centred(w, w_zero_point, (-1, *(1,) * (w.ndim - 1)))
    return _int32(_conv(left, right, strides, pads, dilations, group))


def qlinear_conv(
    x: Array,
    w: Array,
    x_zero_point: Array,
    w_zero_point: Array,
    multiplier: Array,
    bias: Array | None = None,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    group: int = 1,
    y: Quantized,
) -> Array:
    sums = conv_integer(x, w, x_zero_point, w_zero_point, strides=strides, pads=pads, dilations=dilations, group=group)
    channels = (-1, *(1,) * (x.ndim - 2))
    return requantize(_biased(sums, bias, channels), multiplier.reshape(channels), y)


def matmul_integer(a: Array, b: Array, a_zero_point: Array, b_zero_point: Array) -> Array:
    return _int32(np.matmul(_centred(a, a_zero_point, ()), _centred(b, b_zero_point, (-1,))))


def qlinear_matmul(
    a: Array,
    b: Array,
    a_zero_point: Array,
    b_zero_point: Array,
    multiplier: Array,
    bias: Array | None = None,
    *,
    y: Quantized,
) -> Array:
    sums = matmul_integer(a, b, a_zero_point, b_zero_point)
    return requantize(_biased(sums, bias, (-1,)), multiplier.reshape(-1), y)


def qlinear_add(
    a: Array, b: Array, *, a_ratio: float, b_ratio: float, a_zero_point: int, b_zero_point: int, y: Quantized
) -> Array:
    """Two products, then their sum, each rounded to float32."""
    left = (a.astype(np.int32) - np.int32(a_zero_point)).astype(np.float32) * np.float32(a_ratio)
    right = (b.astype(np.int32) - np.int32(b_zero_point)).astype(np.float32) * np.float32(b_ratio)
    return quantized(left + right, y)


def qlinear_mul(a: Array, b: Array, *, ratio: float, a_zero_point: int, b_zero_point: int, y: Quantized) -> Array:
    """The product of the integers is exact."""
    product = (a.astype(np.int32) - np.int32(a_zero_point)) * (b.astype(np.int32) - np.int32(b_zero_point))
    return requantize(product, np.float32(ratio), y)


def requantize(sums: Array, multiplier: Array | np.float32, y: Quantized) -> Array:
    """int32 to float32 with one rounding, one product, then `quantized`."""
    return quantized(sums.astype(np.float32) * multiplier, y)


def quantized(r: Array, y: Quantized) -> Array:
    """Round to even, then clamp to [lo − zero point, hi − zero point], then + zero point."""
    bounded = np.clip(np.rint(r), np.float32(y.lo - y.zero_point), np.float32(y.hi - y.zero_point))
    return (bounded.astype(np.int32) + np.int32(y.zero_point)).astype(y.dtype.numpy)


def _centred(x: Array, zero_point: Array, shape: tuple[int, ...]) -> Array:
    return np.asarray(x.astype(np.int64) - zero_point.astype(np.int64).reshape(shape if zero_point.size > 1 else ()))


def _int32(sums: Array) -> Array:
    """The low 32 bits."""
    return sums.astype(np.uint64).astype(np.uint32).view(np.int32)


def _biased(sums: Array, bias: Array | None, shape: tuple[int, ...]) -> Array:
    return sums if bias is None else _int32(sums.astype(np.int64) + bias.astype(np.int64).reshape(shape))


def _conv(
    x: Array, w: Array, strides: tuple[int, ...], pads: tuple[int, ...], dilations: tuple[int, ...], group: int
) -> Array:
    """Convolution of int64 tensors, tap by tap."""
    spatial = x.ndim - 2
    sides = [(0, 0), (0, 0), *((pads[i], pads[spatial + i]) for i in range(spatial))]
    padded = np.pad(x, sides)
    n, filters, depth = len(x), w.shape[0] // group, w.shape[1]
    out = [(padded.shape[2 + i] - dilations[i] * (w.shape[2 + i] - 1) - 1) // strides[i] + 1 for i in range(spatial)]
    y = np.zeros((n, group, filters, math.prod(out)), np.int64)
    for tap in np.ndindex(*w.shape[2:]):
        window = tuple(slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dilations, out, strides))
        pixels = padded[(slice(None), slice(None), *window)].reshape(n, group, depth, math.prod(out))
        weights = w[(slice(None), slice(None), *tap)].reshape(group, filters, depth)
        if depth == 1:
            y += weights[None] * pixels
        else:
            y += np.matmul(weights[None], pixels)
    return y.reshape(n, group * filters, *out)
