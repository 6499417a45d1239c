"""Normalisations by statistics that are given (batch) or taken from X itself (instance, layer, local response)."""

from __future__ import annotations

import math

from tinyinfer.ops import check
from tinyinfer.types import TensorType


def batch_normalization(
    x: TensorType, scale: TensorType, bias: TensorType, mean: TensorType, var: TensorType, *, epsilon: float
) -> TensorType:
    """Y = (X − mean) / √(var + epsilon) · scale + bias along axis 1. ONNX BatchNormalization, inference."""
    _channels(x, {"scale": scale, "B": bias, "input_mean": mean, "input_var": var}, 2)
    _epsilon(epsilon)
    return x


def instance_normalization(x: TensorType, scale: TensorType, bias: TensorType, *, epsilon: float) -> TensorType:
    """`batch_normalization` with mean and variance of each [n, c] over its spatial axes. ONNX InstanceNormalization."""
    _channels(x, {"scale": scale, "B": bias}, 3)
    _epsilon(epsilon)
    return x


def layer_normalization(
    x: TensorType, scale: TensorType, bias: TensorType | None = None, *, axis: int, epsilon: float
) -> TensorType:
    """Y = (X − mean) / √(var + epsilon) · scale + bias, statistics over the axes from `axis` on.

    ONNX LayerNormalization; scale and bias have the shape of these axes.
    """
    check.axis(axis, x.rank)
    normalized = x.shape[axis:]
    for operand, what in ((x, "X"), (scale, "Scale"), (bias, "B")):
        if operand is not None:
            check.dtype(operand, check.FLOAT, what)
            if what != "X":
                check.require(operand.shape == normalized, f"{what} is {operand}; expected shape {normalized}")
    _epsilon(epsilon)
    return x


def lrn(x: TensorType, *, size: int, alpha: float, beta: float, bias: float) -> TensorType:
    """Y = X / (bias + alpha/size · Σ X²)^beta, the sum over `size` neighbouring channels. ONNX LRN."""
    check.dtype(x, check.FLOAT, "X")
    check.require(x.rank >= 2, f"X is {x}; expected rank ≥ 2")
    check.require(size >= 1, f"size={size}: must be ≥ 1")
    return x


def _channels(x: TensorType, operands: dict[str, TensorType], rank: int) -> None:
    """X has at least `rank` dimensions, and each operand one value for each channel."""
    check.dtype(x, check.FLOAT, "X")
    check.require(x.rank >= rank, f"X is {x}; expected rank ≥ {rank}")
    for what, operand in operands.items():
        check.dtype(operand, check.FLOAT, what)
        check.require(
            operand.shape == (x.shape[1],), f"{what} is {operand}; expected one value for each of {x.shape[1]} channels"
        )


def _epsilon(epsilon: float) -> None:
    check.require(math.isfinite(epsilon), f"epsilon={epsilon}: must be finite")
