"""Matrix products."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import Clamp, TensorType


def matmul(
    a: TensorType,
    b: TensorType,
    bias: TensorType | None = None,
    residual: TensorType | None = None,
    *,
    clamp: Clamp = Clamp(),
) -> TensorType:
    """Y = clamp(A·B + bias + residual) for A [..., M, K], B [..., K, N]; leading dimensions broadcast.

    ONNX MatMul and Gemm (transposes and scales made explicit by the frontend). Operands of rank 1 have been given
    a unit dimension by the frontend. `bias` is [N]; `residual` is [..., M, N], its leading dimensions broadcast to Y's.
    """
    for operand, what in ((a, "A"), (b, "B")):
        check.dtype(operand, check.FLOAT, what)
        check.require(operand.rank >= 2, f"{what} is {operand}; expected rank ≥ 2")
    check.require(a.shape[-1] == b.shape[-2], f"A is {a}, B is {b}: inner dimensions must be equal")
    batch = check.broadcast(a.shape[:-2], b.shape[:-2]) if a.rank + b.rank > 4 else ()
    y = TensorType(a.dtype, (*batch, a.shape[-2], b.shape[-1]))
    if bias is not None:
        check.require(bias.shape == (b.shape[-1],), f"bias is {bias}; expected [{b.shape[-1]}]")
    if residual is not None:
        check.dtype(residual, check.FLOAT, "residual")
        fits = residual.shape[-2:] == y.shape[-2:] and check.broadcast(residual.shape, y.shape) == y.shape
        check.require(residual.rank >= 2 and fits, f"residual is {residual}; expected {y} or what broadcasts to it")
    return y
