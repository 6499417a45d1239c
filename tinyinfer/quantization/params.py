"""Scales and zero points: real = (quantised - zero_point) · scale (ONNX, QuantizeLinear and DequantizeLinear)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization.kinds import QuantType
from tinyinfer.types import Array

# Below it 1 / scale is no float32; weights this small are zero for all purposes.
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
# Biases stay below half of int32, so that they leave room for the sum of products they are added to.
LARGEST_BIAS = 2**30


@dataclass(frozen=True, slots=True)
class QuantParams:
    """How the values of one tensor are quantised: one scale, or one for each slice along `axis`.

    `scale` is float32 and `zero_point` of the type's NumPy type; both have shape [] or [size of axis].
    """

    scale: Array
    zero_point: Array
    type: QuantType
    axis: int | None = None

    def along(self, parameter: Array, rank: int) -> Array:
        """A parameter reshaped so that it broadcasts over a tensor of this rank."""
        if self.axis is None:
            return parameter
        return parameter.reshape([-1 if i == self.axis else 1 for i in range(rank)])


def range_scale(low: float, high: float, type: QuantType, symmetric: bool = False) -> np.float32:
    """The scale with which a type covers [low, high] and zero; 0 where it would be too small to be a scale."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    smallest, largest = type.limits
    if symmetric:
        exact = max(-low, high) / (largest - _middle(type, largest))
    else:
        exact = (high - low) / (largest - smallest)
    scale = np.float32(exact)
    return scale if scale >= SMALLEST_SCALE else np.float32(0.0)


def from_range(low: float, high: float, type: QuantType, symmetric: bool = False, tensor: str = "") -> QuantParams:
    """Parameters that cover [low, high] and zero, which is represented exactly.

    Symmetric: the zero point is the middle of the type's range, and ±max(-low, high) are represented.
    QuantizationError when the range holds nothing but zero, or is not finite.
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    if not np.isfinite(high - low):
        raise QuantizationError(f"tensor {tensor!r}: its range is [{low}, {high}]; expected finite numbers")
    scale = range_scale(low, high, type, symmetric)
    if not scale:
        raise QuantizationError(
            f"tensor {tensor!r} was zero in all calibration data, which gives no range; calibrate with data that "
            "reaches it, or exclude the nodes that read or write it"
        )
    smallest, largest = type.limits
    zero_point = _middle(type, largest)
    if not symmetric:
        zero_point = int(np.clip(np.rint(smallest - low / float(scale)), smallest, largest))
    return QuantParams(np.asarray(scale, np.float32), np.asarray(zero_point, type.numpy), type)


def from_weights(
    weights: Array,
    axis: int | None,
    type: QuantType,
    *,
    symmetric: bool = True,
    reduce_range: bool = False,
    smallest_scale: Array | float = SMALLEST_SCALE,
) -> QuantParams:
    """Parameters of a constant: for the whole tensor (`axis` None) or for each slice along `axis`.

    Symmetric parameters of a signed type use [-127, 127], so that no weight is the one value without a negative.
    `reduce_range` leaves one bit unused. `smallest_scale` bounds the scales from below, for each slice; a slice of
    zeros gets it, or 1 where nothing else bounds it.
    """
    smallest, largest = type.limits
    if reduce_range:
        smallest, largest = smallest // 2, largest // 2
    axes = tuple(i for i in range(weights.ndim) if i != axis) if axis is not None else None
    low = np.minimum(weights.min(axis=axes), 0).astype(np.float64)
    high = np.maximum(weights.max(axis=axes), 0).astype(np.float64)
    middle = _middle(type, largest)
    if symmetric:
        exact = np.maximum(-low, high) / (largest - middle)
    else:
        exact = (high - low) / (largest - smallest)
    floor = np.maximum(np.asarray(smallest_scale, np.float64), SMALLEST_SCALE)
    empty = (exact < SMALLEST_SCALE) & (floor <= SMALLEST_SCALE)
    scale = np.where(empty, 1.0, np.maximum(exact, floor)).astype(np.float32)
    zero_point = np.full(scale.shape, middle)
    if not symmetric:
        zero_point = np.clip(np.rint(smallest - low / scale.astype(np.float64)), smallest, largest)
    return QuantParams(scale, zero_point.astype(type.numpy), type, axis)


def _middle(type: QuantType, largest: int) -> int:
    """The zero point of symmetric parameters, for a range that ends at `largest`."""
    return 0 if type.signed else (largest + 1) // 2


def quantize(values: Array, params: QuantParams) -> Array:
    """QuantizeLinear: saturate(round(x / scale) + zero_point), halves to even, in float32."""
    smallest, largest = params.type.limits
    scale, zero = (params.along(p, values.ndim) for p in (params.scale, params.zero_point))
    rounded = np.rint(values.astype(np.float32) / scale) + zero.astype(np.float32)
    return np.asarray(np.clip(rounded, smallest, largest).astype(params.type.numpy))


def dequantize(values: Array, params: QuantParams) -> Array:
    """DequantizeLinear: (q - zero_point) · scale in float32."""
    scale, zero = (params.along(p, values.ndim) for p in (params.scale, params.zero_point))
    return np.asarray((values.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale)


def bias_scale(input_scale: Array, weight_scale: Array) -> Array:
    """The scale of an int32 bias, that of the products it is added to."""
    return np.asarray(np.float32(input_scale) * weight_scale, np.float32)


def smallest_weight_scale(bias: Array, input_scale: Array) -> Array:
    """How large the weights' scales must be at least for the bias to fit in int32 at its scale."""
    return np.asarray(np.abs(bias.astype(np.float64)) / LARGEST_BIAS / float(input_scale))


def quantize_bias(bias: Array, scale: Array) -> Array:
    """int32 values of a bias; computed in float64, whose 53 bits hold them all."""
    rounded = np.rint(bias.astype(np.float64) / scale.astype(np.float64))
    return np.asarray(np.clip(rounded, -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32))
