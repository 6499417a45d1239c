"""Matrix products (ONNX MatMul, Gemm). Order: bias, then k ascending, one accumulator per output."""

from __future__ import annotations

import numpy as np

from tinyinfer.ref import arith
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
