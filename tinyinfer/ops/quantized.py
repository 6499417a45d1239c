"""Quantised operators: tensors of bytes that stand for (q − zero point)·scale."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.ops.conv import conv
from tinyinfer.types import Clamp, DType, Quantized, TensorType

BYTES = (DType.INT8, DType.UINT8)


def quantize_linear(x: TensorType, scale: TensorType, zero_point: TensorType) -> TensorType:
    """Y = saturate(round(X / scale) + zero point), in the zero point's element type.

    ONNX QuantizeLinear with one scale for the tensor. One for each slice of an axis is written out by the frontend.
    """
    check.dtype(x, check.FLOAT, "X")
    check.dtype(scale, check.FLOAT, "scale")
    check.dtype(zero_point, BYTES, "zero point")
    for operand, what in ((scale, "scale"), (zero_point, "zero point")):
        check.require(operand.size == 1, f"{what} is {operand}; expected one value")
    return TensorType(zero_point.dtype, x.shape)


def dequantize_linear(
    x: TensorType, scale: TensorType, zero_point: TensorType, *, axis: int = 0, block_size: int = 0
) -> TensorType:
    """Y = float(X − zero point)·scale; scale and zero point are single values or one for each slice of `axis`.

    With a `block_size`, they have the shape of X but for ⌈n / block_size⌉ along the axis: one for so many neighbours.
    ONNX DequantizeLinear. Several occur with constants only: the frontend writes them out for others.
    """
    check.dtype(x, (*BYTES, DType.INT32), "X")
    check.dtype(scale, check.FLOAT, "scale")
    check.same_dtype([x, zero_point])
    for operand, what in ((scale, "scale"), (zero_point, "zero point")):
        if block_size:
            along = check.axis(axis, x.rank)
            blocks = tuple(-(-d // block_size) if i == along else d for i, d in enumerate(x.shape))
            check.require(operand.shape == blocks, f"{what} is {operand}; expected {list(blocks)}")
        elif operand.size != 1:
            count = x.shape[check.axis(axis, x.rank)]
            check.require(operand.shape == (count,), f"{what} is {operand}; expected one value or {count}")
    return TensorType(DType.FLOAT, x.shape)


def dynamic_quantize_linear(x: TensorType) -> tuple[TensorType, TensorType, TensorType]:
    """uint8 values, scale and zero point that cover the range of X. ONNX DynamicQuantizeLinear."""
    check.dtype(x, check.FLOAT, "X")
    return TensorType(DType.UINT8, x.shape), TensorType(DType.FLOAT, ()), TensorType(DType.UINT8, ())


def dequantize_sums(
    x: TensorType, scale: TensorType, bias: TensorType | None = None, *, axis: int, clamp: Clamp = Clamp()
) -> TensorType:
    """Y = clamp(float(X)·scale + bias) for int32 sums; one scale or one for each slice of `axis`, as the biases are.

    What follows ConvInteger and MatMulInteger in models that are quantised dynamically.
    """
    check.dtype(x, (DType.INT32,), "X")
    count = x.shape[check.axis(axis, x.rank)]
    check.dtype(scale, check.FLOAT, "scale")
    check.require(scale.shape in ((), (1,), (count,)), f"scale is {scale}; expected one value or {count}")
    if bias is not None:
        check.dtype(bias, check.FLOAT, "bias")
        check.require(bias.shape == (count,), f"bias is {bias}; expected {count} values")
    return TensorType(DType.FLOAT, x.shape)


def lookup(x: TensorType, table: TensorType) -> TensorType:
    """Y = table[X as unsigned byte]: what an element-wise function between two quantisations comes to."""
    check.dtype(x, BYTES, "X")
    check.dtype(table, BYTES, "table")
    check.require(table.shape == (256,), f"table is {table}; expected 256 values")
    return TensorType(table.dtype, x.shape)


def qlinear_softmax(x: TensorType, table: TensorType, *, axis: int, ratio: float, y: Quantized) -> TensorType:
    """Y = saturate(round(e·ratio / Σe) + zero point) along `axis`, e = table[max(X) − X], ratio = 1 / y scale.

    com.microsoft QLinearSoftmax; the table is e^(−d·x scale) for d = 0, 1, … 255.
    """
    check.dtype(x, BYTES, "X")
    check.axis(axis, x.rank)
    check.dtype(table, check.FLOAT, "table")
    check.require(table.shape == (256,), f"table is {table}; expected 256 values")
    check.require(0 < ratio < 2**22, f"ratio={ratio}: must be above 0 and below 2^22")
    check.require(y == Quantized.full(y.dtype, y.zero_point), f"y={y}: must be all of the range")
    return TensorType(y.dtype, x.shape)


def conv_integer(
    x: TensorType,
    w: TensorType,
    x_zero_point: TensorType,
    w_zero_point: TensorType,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    group: int = 1,
) -> TensorType:
    """Y = Conv(X − x zero point, W − w zero point) in int32. ONNX ConvInteger; operands as in `qlinear_conv`."""
    _zero_points(x, w, x_zero_point, w_zero_point, w.shape[:1])
    floats = (TensorType(DType.FLOAT, x.shape), TensorType(DType.FLOAT, w.shape))
    y = conv(*floats, strides=strides, pads=pads, dilations=dilations, group=group)
    return TensorType(DType.INT32, y.shape)


def qlinear_conv(
    x: TensorType,
    w: TensorType,
    x_zero_point: TensorType,
    w_zero_point: TensorType,
    multiplier: TensorType,
    bias: TensorType | None = None,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    group: int = 1,
    y: Quantized,
) -> TensorType:
    """Y = saturate(round((Conv(X − x zero point, W − w zero point) + bias)·multiplier) + zero point).

    ONNX QLinearConv; multiplier = x scale·w scale / y scale, one value or one for each filter, as is the zero point of
    W; bias is int32.
    """
    sums = conv_integer(x, w, x_zero_point, w_zero_point, strides=strides, pads=pads, dilations=dilations, group=group)
    return _requantized(sums, multiplier, bias, w.shape[0], y)


def matmul_integer(a: TensorType, b: TensorType, a_zero_point: TensorType, b_zero_point: TensorType) -> TensorType:
    """Y = (A − a zero point)·(B − b zero point) in int32. ONNX MatMulInteger; operands as in `qlinear_matmul`."""
    for operand, what in ((a, "A"), (b, "B")):
        check.require(operand.rank >= 2, f"{what} is {operand}; expected rank ≥ 2")
    _zero_points(a, b, a_zero_point, b_zero_point, b.shape[-1:])
    check.require(a.shape[-1] == b.shape[-2], f"A is {a}, B is {b}: inner dimensions must be equal")
    batch = check.broadcast(a.shape[:-2], b.shape[:-2]) if a.rank + b.rank > 4 else ()
    return TensorType(DType.INT32, (*batch, a.shape[-2], b.shape[-1]))


def qlinear_matmul(
    a: TensorType,
    b: TensorType,
    a_zero_point: TensorType,
    b_zero_point: TensorType,
    multiplier: TensorType,
    bias: TensorType | None = None,
    *,
    y: Quantized,
) -> TensorType:
    """Y = saturate(round(((A − a zero point)·(B − b zero point) + bias)·multiplier) + zero point).

    ONNX QLinearMatMul, com.microsoft QGemm; multiplier and zero point of B are one value or one for each column.
    """
    sums = matmul_integer(a, b, a_zero_point, b_zero_point)
    return _requantized(sums, multiplier, bias, b.shape[-1], y)


def qlinear_add(
    a: TensorType,
    b: TensorType,
    *,
    a_ratio: float,
    b_ratio: float,
    a_zero_point: int,
    b_zero_point: int,
    y: Quantized,
) -> TensorType:
    """Y = saturate(round((A − a zero point)·a_ratio + (B − b zero point)·b_ratio) + zero point).

    com.microsoft QLinearAdd; the ratios are scale / y scale.
    """
    return _pair(a, b, y)


def qlinear_mul(
    a: TensorType, b: TensorType, *, ratio: float, a_zero_point: int, b_zero_point: int, y: Quantized
) -> TensorType:
    """Y = saturate(round((A − a zero point)·(B − b zero point)·ratio) + zero point), ratio = a scale·b scale / y scale.

    com.microsoft QLinearMul.
    """
    return _pair(a, b, y)


def _pair(a: TensorType, b: TensorType, y: Quantized) -> TensorType:
    for operand, what in ((a, "A"), (b, "B")):
        check.dtype(operand, BYTES, what)
    return TensorType(y.dtype, check.broadcast(a.shape, b.shape))


def _zero_points(
    x: TensorType, w: TensorType, x_zero_point: TensorType, w_zero_point: TensorType, channels: tuple[int, ...]
) -> None:
    for operand, zero, what in ((x, x_zero_point, "left"), (w, w_zero_point, "right")):
        check.dtype(operand, BYTES, f"the {what} operand")
        check.same_dtype([operand, zero])
    check.require(x_zero_point.size == 1, f"the left zero point is {x_zero_point}; expected one value")
    check.require(
        w_zero_point.size == 1 or w_zero_point.shape == channels,
        f"the right zero point is {w_zero_point}; expected one value or {list(channels)}",
    )


def _requantized(
    sums: TensorType, multiplier: TensorType, bias: TensorType | None, channels: int, y: Quantized
) -> TensorType:
    check.dtype(multiplier, check.FLOAT, "multiplier")
    check.require(
        multiplier.size == 1 or multiplier.shape == (channels,),
        f"multiplier is {multiplier}; expected one value or {channels}",
    )
    if bias is not None:
        check.dtype(bias, (DType.INT32,), "bias")
        check.require(bias.shape == (channels,), f"bias is {bias}; expected [{channels}]")
    return TensorType(y.dtype, sums.shape)
