"""Comparisons, boolean algebra, selection and element type conversion."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import DType, TensorType

BOOL = (DType.BOOL,)


def equal(a: TensorType, b: TensorType) -> TensorType:
    """C = A = B as booleans, with multidirectional broadcasting; all element types but int8."""
    check.dtype(a, (*check.NUMERIC, DType.UINT8, DType.BOOL), "A")
    check.same_dtype([a, b])
    return TensorType(DType.BOOL, check.broadcast(a.shape, b.shape))


def comparison(a: TensorType, b: TensorType) -> TensorType:
    """C = A op B as booleans, with multidirectional broadcasting; float32, int64, int32."""
    check.dtype(a, check.NUMERIC, "A")
    check.same_dtype([a, b])
    return TensorType(DType.BOOL, check.broadcast(a.shape, b.shape))


def connective(a: TensorType, b: TensorType) -> TensorType:
    """C = A op B of booleans, with multidirectional broadcasting."""
    check.dtype(a, BOOL, "A")
    check.dtype(b, BOOL, "B")
    return TensorType(DType.BOOL, check.broadcast(a.shape, b.shape))


def not_(x: TensorType) -> TensorType:
    """Y is true where X is false."""
    check.dtype(x, BOOL, "X")
    return x


def where(condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
    """Y = condition ? A : B, all three broadcast together; A and B of any one element type."""
    check.dtype(condition, BOOL, "condition")
    return TensorType(check.same_dtype([a, b]), check.broadcast(condition.shape, a.shape, b.shape))


def cast(x: TensorType, *, to: DType) -> TensorType:
    """Y is X in the element type `to`; any pair of types."""
    return TensorType(to, x.shape)
