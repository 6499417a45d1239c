"""Element-wise operators: unary, binary with broadcasting, clamps, comparisons, selection."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import Clamp, DType, TensorType


def unary_float(x: TensorType) -> TensorType:
    """Y has the type of X; float only."""
    check.dtype(x, check.FLOAT, "X")
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


def comparison(a: TensorType, b: TensorType) -> TensorType:
    """C = A op B as booleans, with multidirectional broadcasting."""
    check.same_dtype([a, b])
    return TensorType(DType.BOOL, check.broadcast(a.shape, b.shape))
