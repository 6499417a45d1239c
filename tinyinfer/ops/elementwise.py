"""Element-wise arithmetic: unary, binary with broadcasting, clamps."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import Clamp, TensorType


def unary_float(x: TensorType) -> TensorType:
    """Y has the type of X; float only."""
    check.dtype(x, check.FLOAT, "X")
    return x


def unary_numeric(x: TensorType) -> TensorType:
    """Y has the type of X; float32, int64, int32."""
    check.dtype(x, check.NUMERIC, "X")
    return x


def clip(x: TensorType, *, clamp: Clamp) -> TensorType:
    """Y = clamp(X). ONNX Relu and Clip with constant bounds."""
    check.dtype(x, check.FLOAT, "X")
    return x


def arithmetic(a: TensorType, b: TensorType) -> TensorType:
    """C = A op B with multidirectional broadcasting; float32, int64, int32."""
    dtype = check.same_dtype([a, b])
    check.dtype(a, check.NUMERIC, "A")
    return TensorType(dtype, check.broadcast(a.shape, b.shape))
