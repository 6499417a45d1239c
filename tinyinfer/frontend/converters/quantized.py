"""Quantised operators of ONNX and of com.microsoft. Scales and zero points are checked here, by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from tinyinfer import scales
from tinyinfer.errors import ShapeError, UnsupportedError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.frontend.contrib import DOMAIN
from tinyinfer.frontend.converters.linear import product
from tinyinfer.frontend.converters.spatial import kernel_of, pads_of, window_of
from tinyinfer.graph import Value
from tinyinfer.types import Array, DType, Quantized

BYTES = (DType.INT8, DType.UINT8)


def _checked_scale(ctx: Context, index: int, single: bool = True) -> Array:
    """A constant scale: float32, finite, above 0; one value unless `single` is false."""
    scale = ctx.constant(index)
    value = ctx.input(index)
    assert scale is not None
    what = f"scale {value.name!r} (input {index}, {ctx.operand_names[index]})"
    if single and scale.size != 1:
        raise ctx.error(f"{what} has shape {list(scale.shape)}; expected one value", ShapeError)
    bad = scale[~(np.isfinite(scale) & (scale > 0))]
    if bad.size:
        raise ctx.error(f"{what} holds {bad.reshape(-1)[0]}; accepted: finite numbers above 0")
    return np.asarray(scale.reshape(()) if scale.size == 1 else scale.reshape(-1), np.float32)


def _checked_zero(ctx: Context, index: int, dtype: DType, single: bool = True) -> Array:
    """A constant zero point of the type of what it belongs to; absent: 0."""
    if ctx.optional(index) is None:
        return np.zeros((), dtype.numpy)
    zero = ctx.constant(index)
    assert zero is not None
    what = f"zero point {ctx.input(index).name!r} (input {index}, {ctx.operand_names[index]})"
    if zero.dtype != dtype.numpy:
        raise ctx.error(f"{what} is {zero.dtype}; expected {dtype.value}, the type of the tensor it belongs to")
    if single and zero.size != 1:
        raise ctx.error(f"{what} has shape {list(zero.shape)}; expected one value", ShapeError)
    return np.asarray(zero.reshape(()) if zero.size == 1 else zero.reshape(-1))


@dataclass(frozen=True)
class _Scaled:
    """A tensor of bytes with constant scale and zero point."""

    value: Value
    scale: Array
    zero: Array

    @property
    def point(self) -> int:
        return int(self.zero)


def _scaled(ctx: Context, index: int, single: bool = True) -> _Scaled:
    """Operands `index` (bytes), `index` + 1 (scale) and `index` + 2 (zero point)."""
    value = ctx.input(index)
    if value.dtype not in BYTES:
        raise ctx.error(f"input {index} ({value.name!r}) is {value.type}; accepted: int8, uint8", UnsupportedError)
    return _Scaled(value, _checked_scale(ctx, index + 1, single), _checked_zero(ctx, index + 2, value.dtype, single))


def _result(ctx: Context, index: int, like: DType) -> tuple[Array, Quantized]:
    """Scale of the result (operand `index`), its zero point and type (the next one; `like` where that is absent)."""
    zero = ctx.optional(index + 1)
    dtype = like if zero is None else zero.dtype
    if dtype not in BYTES:
        raise ctx.error(f"the result would be {dtype.value}; accepted: int8, uint8", UnsupportedError)
    point = int(_checked_zero(ctx, index + 1, dtype))
    return _checked_scale(ctx, index), Quantized.full(dtype, point)


def _constants(ctx: Context, **arrays: Array) -> list[Value]:
    return [ctx.builder.constant(array, f"{ctx.outputs[0]}/{name}") for name, array in arrays.items()]


def _multiplier(ctx: Context, x: Array, w: Array, y: Array) -> Value:
    value = scales.multiplier(x, w, y)
    if value is None:
        raise ctx.error("the scales of the inputs are out of proportion to that of the output (more than 2^100 times)")
    return _constants(ctx, multiplier=value)[0]


def _ratio(ctx: Context, x: Array, y: Array) -> float:
    value = scales.ratio(x, y)
    if value is None:
        raise ctx.error("the scale of an input is out of proportion to that of the output (more than 2^100 times)")
    return value


def _along(ctx: Context, x: Value, index: int) -> int:
    """The axis along which operand `index` has its values; several values must be one for each slice of it."""
    count = ctx.input(index).type.size
    if count == 1:
        return 0
    axis = ctx.axis(1 if ctx.attr("axis") is None else ctx.attr("axis"), x.type.rank)
    if ctx.input(index).shape != (x.shape[axis],):
        raise ctx.error(
            f"{ctx.input(index).name!r} (input {index}, {ctx.operand_names[index]}) has shape "
            f"{list(ctx.input(index).shape)}; expected one value or {x.shape[axis]}, one for each slice of axis {axis}",
            ShapeError,
        )
    return axis


def _require_no_blocks(ctx: Context) -> None:
    if ctx.attr("block_size"):
        accepted = "0: one scale for a tensor or for each slice of an axis"
        raise ctx.rejected("block_size", ctx.attr("block_size"), accepted)


def _require_as_many(ctx: Context, scale: Value, zero: Value) -> None:
    if zero.type.size != scale.type.size:
        raise ctx.error(
            f"zero point {zero.name!r} is {zero.type}, scale {scale.name!r} is {scale.type}; expected as many values",
            ShapeError,
        )


def _output_type(ctx: Context) -> DType:
    """The type that the attribute output_dtype asks for where there is no zero point; uint8 by default."""
    types = {0: DType.UINT8, TensorProto.UINT8: DType.UINT8, TensorProto.INT8: DType.INT8}
    wanted = ctx.attr("output_dtype") or 0
    if wanted not in types:
        raise ctx.rejected("output_dtype", wanted, f"{TensorProto.UINT8} (uint8) or {TensorProto.INT8} (int8)")
    return types[wanted]


def quantize_linear(ctx: Context) -> Value:
    """Several scales are written out: round, shift, clamp and convert."""
    _require_no_blocks(ctx)
    x = ctx.input(0)
    if x.dtype is DType.INT32:
        x = ctx.step("Cast", x, to=DType.FLOAT)
    axis = _along(ctx, x, 1)
    scale, zero = ctx.input(1), ctx.optional(2)
    if scale.is_constant:
        _checked_scale(ctx, 1, single=False)
    if zero is None:
        zero = _constants(ctx, zero=np.zeros(scale.shape, _output_type(ctx).numpy))[0]
    if zero.dtype not in BYTES:
        raise ctx.error(f"the result would be {zero.dtype.value}; accepted: int8, uint8", UnsupportedError)
    _require_as_many(ctx, scale, zero)
    if scale.type.size == 1:
        return ctx.result("QuantizeLinear", x, ctx.reshape(scale, ()), ctx.reshape(zero, ()))
    shape = tuple(-1 if i == axis else 1 for i in range(x.type.rank))
    shape = tuple(x.shape[axis] if d == -1 else d for d in shape)
    rounded = ctx.step("Round", ctx.step("Div", x, ctx.reshape(scale, shape)))
    shifted = ctx.step("Add", rounded, ctx.step("Cast", ctx.reshape(zero, shape), to=DType.FLOAT))
    return ctx.result("Cast", shifted, to=zero.dtype)


def dequantize_linear(ctx: Context) -> Value:
    """Constants of int32 (biases) are folded. Variable int32, and bytes with several scales, are written out:
    subtract, convert, multiply. Constants with scales for blocks are folded.
    """
    if ctx.attr("block_size"):
        return _dequantized_blocks(ctx, ctx.attr("block_size"))
    x, scale, zero = ctx.input(0), ctx.input(1), ctx.optional(2)
    axis = _along(ctx, x, 1)
    if scale.is_constant:
        _checked_scale(ctx, 1, single=False)
    if zero is None:
        zero = _constants(ctx, zero=np.zeros(scale.shape, x.dtype.numpy))[0]
    _require_as_many(ctx, scale, zero)
    if zero.dtype is not x.dtype:
        raise ctx.error(f"zero point {zero.name!r} is {zero.dtype.value}; expected {x.dtype.value}, as {x.name!r} is")
    arrays = [v.data for v in (x, scale, zero) if v.data is not None]
    if len(arrays) == 3 and x.dtype is DType.INT32:
        return ctx.fixed(scales.evaluate("DequantizeLinear", *arrays, axis=axis))
    if len(arrays) == 3 or (scale.type.size == 1 and x.dtype in BYTES):
        form = () if scale.type.size == 1 else scale.shape
        return ctx.result("DequantizeLinear", x, ctx.reshape(scale, form), ctx.reshape(zero, form), axis=axis)
    shape = tuple(d if i == axis and scale.type.size > 1 else 1 for i, d in enumerate(x.shape))
    wide = [v if v.dtype is DType.INT32 else ctx.step("Cast", v, to=DType.INT32) for v in (x, ctx.reshape(zero, shape))]
    return ctx.result("Mul", ctx.step("Cast", ctx.step("Sub", *wide), to=DType.FLOAT), ctx.reshape(scale, shape))


def _dequantized_blocks(ctx: Context, block: int) -> Value:
    """Constant weights whose scales are for `block` neighbours along an axis."""
    x, scale = ctx.constant(0), ctx.constant(1)
    zero = ctx.constant(2)
    axis = ctx.axis(1 if ctx.attr("axis") is None else ctx.attr("axis"), ctx.input(0).type.rank)
    if x is None or scale is None or (zero is None and ctx.optional(2) is not None):
        raise ctx.error("blocks of a tensor that is not constant are not supported; accepted: constants")
    blocks = tuple(-(-d // block) if i == axis else d for i, d in enumerate(x.shape))
    if scale.shape != blocks or (zero is not None and zero.shape != blocks):
        shapes = f"scales {list(scale.shape)}" + ("" if zero is None else f", zero points {list(zero.shape)}")
        raise ctx.error(f"{shapes}; expected {list(blocks)} for blocks of {block} along axis {axis}", ShapeError)
    if not bool(np.isfinite(scale).all()):
        raise ctx.error(f"scales {ctx.input(1).name!r} hold numbers that are not finite")
    zeros = np.zeros(blocks, x.dtype) if zero is None else zero
    operands = (ctx.input(0), ctx.input(1), *_constants(ctx, zero=zeros))
    return ctx.result("DequantizeLinear", *operands, axis=axis, block_size=block)


def dynamic_quantize_linear(ctx: Context) -> tuple[Value, ...]:
    return ctx.results("DynamicQuantizeLinear", ctx.input(0))


def _window_attrs(ctx: Context, x: Value, w: Value) -> dict[str, Any]:
    window = window_of(ctx, x, kernel_of(ctx, w))
    return {
        "strides": window.strides, "pads": pads_of(ctx, x, window), "dilations": window.dilations,
        "group": ctx.attr("group"),
    }  # fmt: skip


def qlinear_conv(ctx: Context) -> Value:
    x, w = _scaled(ctx, 0), _scaled(ctx, 3, single=False)
    _require_constants(ctx, 3, 8)
    scale, y = _result(ctx, 6, x.value.dtype)
    zeros = _constants(ctx, x_zero=x.zero, w_zero=w.zero)
    return ctx.result(
        "QLinearConv", x.value, w.value, *zeros, _multiplier(ctx, x.scale, w.scale, scale), ctx.optional(8),
        **_window_attrs(ctx, x.value, w.value), y=y,
    )  # fmt: skip


def _require_constants(ctx: Context, *indices: int) -> None:
    """Weights, their zero points and biases are packed when compiling."""
    for index in indices:
        ctx.constant(index)


def conv_integer(ctx: Context) -> Value:
    x, w = ctx.input(0), ctx.input(1)
    _require_constants(ctx, 1, 3)
    return ctx.result("ConvInteger", x, w, *_zero_operands(ctx, x, w), **_window_attrs(ctx, x, w))


def _zero_operands(ctx: Context, left: Value, right: Value) -> list[Value]:
    """Zero points at operands 2 and 3; 0 where absent."""
    zeros = []
    for index, operand in ((2, left), (3, right)):
        zero = ctx.optional(index)
        if zero is None:
            zero = _constants(ctx, **{f"zero{index}": np.zeros((), operand.dtype.numpy)})[0]
        elif zero.dtype is not operand.dtype:
            raise ctx.error(f"zero point {zero.name!r} is {zero.dtype.value}; expected {operand.dtype.value}")
        zeros.append(ctx.reshape(zero, ()) if zero.type.size == 1 else zero)
    return zeros


def _refuse_rows(ctx: Context, *indices: int) -> None:
    """Scales or zero points for each row of A are ONNX's but not supported."""
    a = ctx.input(0)
    for index in indices:
        values = ctx.optional(index)
        if values is not None and values.type.size != 1 and a.type.rank > 1 and values.type.size == a.shape[-2]:
            what = f"input {index} ({ctx.operand_names[index]}) has a value for each row of A"
            raise ctx.error(f"{what}; accepted: one value", UnsupportedError)


def matmul_integer(ctx: Context) -> Value:
    _refuse_rows(ctx, 2)
    a, b = ctx.input(0), ctx.input(1)
    return product(ctx, "MatMulInteger", a, b, *_zero_operands(ctx, a, b))


def qlinear_matmul(ctx: Context) -> Value:
    _refuse_rows(ctx, 1, 2)
    a, b = _scaled(ctx, 0), _scaled(ctx, 3, single=False)
    scale, y = _result(ctx, 6, a.value.dtype)
    zeros = _constants(ctx, a_zero=a.zero, b_zero=b.zero)
    factor = _multiplier(ctx, a.scale, b.scale, scale)
    return product(ctx, "QLinearMatMul", a.value, b.value, *zeros, factor, y=y)


def qgemm(ctx: Context) -> Value:
    """alpha·A'·B' + C; without a scale for the result that is float32."""
    a, b, c = _scaled(ctx, 0), _scaled(ctx, 3, single=False), ctx.optional(6)
    left = ctx.step("Transpose", a.value, perm=(1, 0)) if ctx.flag("transA") else a.value
    right = ctx.step("Transpose", b.value, perm=(1, 0)) if ctx.flag("transB") else b.value
    n = right.shape[-1]
    if c is not None and c.shape not in ((n,), (1, n)):
        raise ctx.error(f"C is {c.type}; expected {n} values", ShapeError)
    bias = None if c is None else ctx.reshape(c, (n,))
    zeros = _constants(ctx, a_zero=a.zero, b_zero=b.zero)
    alpha = np.float32(ctx.attr("alpha"))
    if ctx.optional(7) is not None:
        _require_constants(ctx, 6)
        scale, y = _result(ctx, 7, a.value.dtype)
        factor = _multiplier(ctx, alpha * a.scale, b.scale, scale)
        return ctx.result("QLinearMatMul", left, right, *zeros, factor, bias, y=y)
    sums = ctx.step("MatMulInteger", left, right, *zeros)
    if bias is not None:
        sums = ctx.step("Add", sums, bias)
    (unit,) = _constants(ctx, unit=np.asarray(alpha * a.scale * b.scale, np.float32))
    return ctx.result("Mul", ctx.step("Cast", sums, to=DType.FLOAT), unit)


def qlinear_add(ctx: Context) -> Value:
    a, b = _scaled(ctx, 0), _scaled(ctx, 3)
    scale, y = _result(ctx, 6, a.value.dtype)
    return ctx.result(
        "QLinearAdd", a.value, b.value, a_ratio=_ratio(ctx, a.scale, scale), b_ratio=_ratio(ctx, b.scale, scale),
        a_zero_point=a.point, b_zero_point=b.point, y=y,
    )  # fmt: skip


def qlinear_mul(ctx: Context) -> Value:
    a, b = _scaled(ctx, 0), _scaled(ctx, 3)
    scale, y = _result(ctx, 6, a.value.dtype)
    factor = _multiplier(ctx, a.scale, b.scale, scale).data
    assert factor is not None
    return ctx.result(
        "QLinearMul", a.value, b.value, ratio=float(factor), a_zero_point=a.point, b_zero_point=b.point, y=y
    )


def qlinear_average_pool(ctx: Context) -> Value:
    def windows(x: Value) -> dict[str, Any]:
        window = window_of(ctx, x, ctx.attr("kernel_shape"))
        return {
            "kernel_shape": window.kernel, "strides": window.strides, "pads": pads_of(ctx, x, window),
            "dilations": window.dilations, "ceil_mode": ctx.flag("ceil_mode") and ctx.attr("auto_pad") == "NOTSET",
            "count_include_pad": ctx.flag("count_include_pad"),
        }  # fmt: skip

    return _pooled(ctx, windows)


def qlinear_global_average_pool(ctx: Context) -> Value:
    return _pooled(ctx, lambda x: scales.whole_window(x.shape[2:]), flat=True)


def _pooled(ctx: Context, windows: Callable[[Value], dict[str, Any]], flat: bool = False) -> Value:
    """With channels_last, transposed before and after. `flat`: more than two spatial axes count as one."""
    x = _scaled(ctx, 0)
    scale, y = _result(ctx, 3, x.value.dtype)
    maps, rank, last = x.value, x.value.type.rank, ctx.flag("channels_last")
    flat = flat and rank > 4
    if last:
        maps = ctx.step("Transpose", maps, perm=(0, rank - 1, *range(1, rank - 1)))
    if flat:
        maps = ctx.reshape(maps, (*maps.shape[:2], math.prod(maps.shape[2:])))
    attrs = {"ratio": _ratio(ctx, x.scale, scale), "x_zero_point": x.point, "y": y}
    add = ctx.step if flat or last else ctx.result
    window = windows(maps)
    if scales.fits_window(maps.dtype, x.zero, window["kernel_shape"]):
        pooled = add("QLinearAveragePool", maps, **window, **attrs)
    else:
        zero = np.asarray(y.zero_point, y.dtype.numpy)
        parameters = _constants(ctx, x_scale=x.scale, x_zero=x.zero, y_scale=scale, y_zero=zero)
        mean = ctx.step("AveragePool", ctx.step("DequantizeLinear", maps, *parameters[:2], axis=0), **window)
        pooled = add("QuantizeLinear", mean, *parameters[2:])
    if flat:
        pooled = ctx.reshape(pooled, (*maps.shape[:2], *(1,) * (rank - 2)))
    return ctx.result("Transpose", pooled, perm=(0, *range(2, rank), 1)) if last else pooled


def qlinear_softmax(ctx: Context) -> Value:
    """Before opset 13 softmax is over all axes from `axis` on."""
    x = _scaled(ctx, 0)
    scale, y = _result(ctx, 3, x.value.dtype)
    ratio, shape = scales.softmax_ratio(scale), x.value.shape
    if ratio is None:
        raise ctx.error(f"scale {ctx.input(3).name!r} of the result is {scale}; accepted: above 2^-22")
    axis = ctx.axis(ctx.attr("axis"), len(shape))
    (table,) = _constants(ctx, table=scales.exponentials(x.scale))
    if ctx.attr("opset") >= 13:
        return ctx.result("QLinearSoftmax", x.value, table, axis=axis, ratio=ratio, y=y)
    rows = ctx.reshape(x.value, (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return ctx.reshape(ctx.step("QLinearSoftmax", rows, table, axis=1, ratio=ratio, y=y), shape)


def _by_table(ctx: Context, op: str, **attrs: Any) -> Value:
    x = _scaled(ctx, 0)
    scale, y = _result(ctx, 3, x.value.dtype)
    zero = np.asarray(y.zero_point, y.dtype.numpy)
    entries = scales.table(x.value.dtype, x.scale, x.zero, scale, zero, lambda r: scales.evaluate(op, r, **attrs))
    return ctx.result("Lookup", x.value, *_constants(ctx, table=entries))


def qlinear_sigmoid(ctx: Context) -> Value:
    return _by_table(ctx, "Sigmoid")


def qlinear_leaky_relu(ctx: Context) -> Value:
    return _by_table(ctx, "LeakyRelu", alpha=ctx.attr("alpha"))


def qlinear_concat(ctx: Context) -> Value:
    """Operands come as (bytes, scale, zero point) after scale and zero point of the result."""
    scale, y = _checked_scale(ctx, 0), _result_zero(ctx)
    if (len(ctx.inputs) - 2) % 3:
        raise ctx.error(f"{len(ctx.inputs)} inputs; expected 2 and three for each tensor")
    parts = [_rescaled(ctx, _variadic(ctx, index), scale, y) for index in range(2, len(ctx.inputs), 3)]
    return ctx.result("Concat", *parts, axis=ctx.axis(ctx.attr("axis"), parts[0].type.rank))


def qlinear_where(ctx: Context) -> Value:
    x, y = _scaled(ctx, 1), _scaled(ctx, 4)
    scale, z = _result(ctx, 7, x.value.dtype)
    zero = np.asarray(z.zero_point, z.dtype.numpy)
    return ctx.result("Where", ctx.input(0), *(_rescaled(ctx, v, scale, zero) for v in (x, y)))


def _rescaled(ctx: Context, x: _Scaled, scale: Array, zero: Array) -> Value:
    """The bytes of `x` as they would be with this scale and zero point."""
    if x.value.dtype.numpy == zero.dtype and x.scale == scale and x.zero == zero:
        return x.value
    entries = scales.table(x.value.dtype, x.scale, x.zero, scale, zero)
    return ctx.step("Lookup", x.value, *_constants(ctx, table=entries))


def _result_zero(ctx: Context) -> Array:
    dtype = ctx.input(1).dtype
    return _checked_zero(ctx, 1, dtype)


def _variadic(ctx: Context, index: int) -> _Scaled:
    value, scale, zero = ctx.input(index), ctx.constant(index + 1), ctx.constant(index + 2)
    if scale is None or zero is None or scale.size != 1 or zero.size != 1 or not 0 < float(scale.reshape(())) < np.inf:
        raise ctx.error(f"input {index} ({value.name!r}) needs one scale, finite and above 0, and one zero point")
    if value.dtype not in BYTES or zero.dtype != value.dtype.numpy:
        raise ctx.error(f"input {index} ({value.name!r}) is {value.type}, its zero point {zero.dtype}; accepted: bytes")
    return _Scaled(value, scale.reshape(()), zero.reshape(()))


def matmul_nbits(ctx: Context) -> Value:
    """Weights of 4 or 8 bits in blocks along K, each with a scale and a zero point (2^(bits − 1) where absent)."""
    a, bits, block = ctx.input(0), ctx.attr("bits"), ctx.attr("block_size")
    k, n = ctx.attr("K"), ctx.attr("N")
    if bits not in (4, 8):
        raise ctx.rejected("bits", bits, "4 or 8")
    if ctx.optional(4) is not None:
        raise ctx.error("g_idx (input 4) reorders blocks, which is not supported; accepted: none", UnsupportedError)
    if min(k, n) < 1 or block < 16 or block & (block - 1):
        raise ctx.error(f"K={k}, N={n}, block_size={block}; expected sizes ≥ 1 and a power of two ≥ 16")
    blocks = -(-k // block)
    packed, scales, zeros = ctx.constant(1), ctx.constant(2), ctx.constant(3)
    assert packed is not None
    assert scales is not None
    if packed.size != n * blocks * block * bits // 8 or scales.size != n * blocks:
        raise ctx.error(
            f"B has {packed.size} bytes and scales {scales.size} values; "
            f"expected {n * blocks * block * bits // 8} and {n * blocks} for K={k}, N={n}, block_size={block}",
            ShapeError,
        )
    if not bool((np.isfinite(scales)).all()):
        raise ctx.error(f"scales {ctx.input(2).name!r} hold numbers that are not finite")
    q = _unpacked(packed.reshape(n * blocks, -1), bits).reshape(n, -1)
    if zeros is not None and zeros.dtype == np.float32:
        # Differences of floats: nothing that bytes could keep.
        w = (q.reshape(n, blocks, block).astype(np.float32) - zeros.reshape(n, blocks, 1)) * scales.reshape(n, -1, 1)
        (weights,) = _constants(ctx, weights=np.ascontiguousarray(w.reshape(n, -1)[:, :k].T))
        return ctx.result("MatMul", a, weights, ctx.optional(5))
    points = np.full((n, blocks), 1 << (bits - 1), np.uint8)
    if zeros is not None:
        points = _unpacked(zeros.reshape(n, -1), bits)[:, :blocks].astype(np.uint8)
    columns = {"weights": q[:, :k].astype(np.uint8), "scales": scales.reshape(n, blocks), "zero_points": points}
    operands = _constants(ctx, **{name: np.ascontiguousarray(array.T) for name, array in columns.items()})
    weights = ctx.step("DequantizeLinear", *operands, axis=0, block_size=block)
    return ctx.result("MatMul", a, weights, ctx.optional(5))


def _unpacked(packed: Array, bits: int) -> Array:
    """Rows of bytes as rows of `bits`-bit numbers, low half first."""
    if bits == 8:
        return packed
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(len(packed), -1)


CONVERTERS: dict[str, Converter] = {
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize_linear,
    f"{DOMAIN}::DequantizeLinear": dequantize_linear,
    f"{DOMAIN}::MatMulNBits": matmul_nbits,
    f"{DOMAIN}::QGemm": qgemm,
    f"{DOMAIN}::QLinearAdd": qlinear_add,
    f"{DOMAIN}::QLinearAveragePool": qlinear_average_pool,
    f"{DOMAIN}::QLinearConcat": qlinear_concat,
    f"{DOMAIN}::QLinearGlobalAveragePool": qlinear_global_average_pool,
    f"{DOMAIN}::QLinearLeakyRelu": qlinear_leaky_relu,
    f"{DOMAIN}::QLinearMul": qlinear_mul,
    f"{DOMAIN}::QLinearSigmoid": qlinear_sigmoid,
    f"{DOMAIN}::QLinearSoftmax": qlinear_softmax,
    f"{DOMAIN}::QLinearWhere": qlinear_where,
    f"{DOMAIN}::QuantizeLinear": quantize_linear,
}
