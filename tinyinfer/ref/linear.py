"""Matrix products (ONNX MatMul, Gemm). Order: bias, then k ascending, one accumulator per output."""

from __future__ import annotations

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.ref.quantized import dequantize_linear
from tinyinfer.types import Array, Clamp


def matmul(
    a: Array, b: Array, bias: Array | None = None, residual: Array | None = None, *, clamp: Clamp = Clamp()
) -> Array:
    """The residual is added last, before the clamp, with one rounding."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    left = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    right = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    y = np.empty((*batch, a.shape[-2], b.shape[-1]), np.float32)
    for i in np.ndindex(*batch):
        y[i] = arith.dot_rows(left[i], right[i], bias)
    if residual is not None:
        y = y + residual
    return arith.clamp(y, clamp)


def matmul_nbits(
    a: Array,
    b: Array,
    scales: Array,
    zero_points: Array,
    bias: Array | None = None,
    residual: Array | None = None,
    *,
    block_size: int,
    clamp: Clamp = Clamp(),
) -> Array:
    """The product of A and the weights that `dequantize_linear` makes of B."""
    weights = dequantize_linear(b, scales, zero_points, axis=0, block_size=block_size)
    return matmul(a, weights, bias, residual, clamp=clamp)
