"""Matrix products."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import Clamp, DType, TensorType


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


def matmul_nbits(
    a: TensorType,
    b: TensorType,
    scales: TensorType,
    zero_points: TensorType,
    bias: TensorType | None = None,
    residual: TensorType | None = None,
    *,
    block_size: int,
    clamp: Clamp = Clamp(),
) -> TensorType:
    """Y = clamp(A·(B − zero points)·scales + bias + residual): a product with weights of bytes, or of four bits each.

    com.microsoft MatMulNBits, and MatMul by dequantised constants. B is uint8 [K, N], a value to a byte however many
    bits it has, K even; scales and zero points are [⌈K/block_size⌉, N], for `block_size` values of a column each, an
    even number.
    """
    check.dtype(b, (DType.UINT8,), "B")
    check.require(b.rank == 2 and b.shape[0] > 0 and b.shape[0] % 2 == 0, f"B is {b}; expected [K, N], K even")
    check.require(block_size > 0 and block_size % 2 == 0, f"block_size is {block_size}; expected an even number > 0")
    blocks = (-(-b.shape[0] // block_size), b.shape[1])
    check.dtype(scales, check.FLOAT, "scales")
    check.dtype(zero_points, (DType.UINT8,), "zero points")
    for operand, what in ((scales, "scales"), (zero_points, "zero points")):
        check.require(operand.shape == blocks, f"{what} are {operand}; expected {list(blocks)}")
    return matmul(a, TensorType(DType.FLOAT, b.shape), bias, residual, clamp=clamp)
