"""Lowering of element-wise quantised operators, and how kernels name eight-bit types.

Kernels see bytes as int8: the sign bit of uint8 is flipped on the way in and out, which moves zero points by 128.
"""

from __future__ import annotations

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.types import Clamp, DType, Quantized
from tinyinfer.wasm_backend.lower.elementwise import broadcast
from tinyinfer.wasm_backend.lowering import Argument, Lowering, Pointer, Strided
from tinyinfer.wasm_backend.strides import channels_last, strides_of


def flip(dtype: DType) -> int:
    """The bits that turn a byte of this type into an int8."""
    return 0x80 if dtype is DType.UINT8 else 0


def results(y: Quantized) -> dict[str, Argument]:
    """Bounds before the zero point is added, zero point and sign flip of the result, as the kernels name them."""
    return {
        "lo": y.lo - y.zero_point, "hi": y.hi - y.zero_point, "zy": y.zero_point - flip(y.dtype), "fy": flip(y.dtype),
    }  # fmt: skip


def quantize_linear(node: Node, to: Lowering) -> None:
    x, scale, zero = node.operands
    _quantize(to, x, node.output, to.output(node.output), to.input(scale), to.input(zero))


def _quantize(to: Lowering, x: Value, y: Value, target: Pointer, scale: Pointer, zero: Pointer) -> None:
    """Element by element, or from planes to channels-last pixels, image by image."""
    layout = to.layout(y)
    if layout == to.layout(x) or x.is_constant or layout != channels_last(x.type.rank):
        source = to.input(x, layout)
        to.step("f32_quantize", x=source, y=target, scale=scale, zero=zero, f=flip(y.dtype), m0=0, m1=x.type.size)
        return
    source, (images, planes) = to.input(x), x.shape[:2]
    size = x.type.size // images
    for image in range(images):
        to.step(
            "f32_quantize_pixels",
            x=source + 4 * image * size, y=target + image * size, scale=scale, zero=zero, f=flip(y.dtype),
            c=planes, n=size // planes, m0=0, m1=size // planes,
        )  # fmt: skip


def dequantize_linear(node: Node, to: Lowering) -> None:
    """One scale for the tensor: several occur with constants only, which are folded."""
    x, scale, zero = node.operands
    assert scale.type.size == zero.type.size == 1
    assert x.dtype is not DType.INT32
    to.step(
        "x8_dequantize",
        x=to.input(x, to.layout(node.output)), y=to.output(node.output), scale=to.input(scale), zero=to.input(zero),
        f=flip(zero.dtype), m0=0, m1=x.type.size,
    )  # fmt: skip


def dequantize_sums(node: Node, to: Lowering) -> None:
    (x, scale), bias = node.operands[:2], (*node.inputs, None)[2]
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    n = x.shape[node.attrs["axis"]]
    factors = to.input(scale)
    if scale.type.size != n:
        single, factors = factors, to.scratch(4 * n, f"{node.name}.scale")
        to.copy(Strided(factors, DType.FLOAT, (n,), (1,)), Strided(single, DType.FLOAT, (n,), (0,)))
    # -0 changes no number.
    start = to.const(np.full(n, -0.0, np.float32), f"{node.name}.bias") if bias is None else to.input(bias)
    to.step(
        "i32_dequantize_rows",
        x=to.input(x, to.layout(node.output)), y=to.output(node.output, inplace=x), s=factors, b=start,
        lo=clamp.lo, hi=clamp.hi, n=n, m0=0, m1=x.type.size // n if n else 0,
    )  # fmt: skip


def dynamic_quantize_linear(node: Node, to: Lowering) -> None:
    (x,) = node.operands
    y, scale, zero = node.outputs
    source = to.input(x, to.layout(x) if not x.is_constant else None)
    target, scale_place, zero_place = to.output(y), to.output(scale), to.output(zero)
    to.step("f32_quantize_range", scale=scale_place, zero=zero_place, x=source, n=x.type.size, m0=0, m1=1)
    _quantize(to, x, y, target, scale_place, zero_place)


def lookup(node: Node, to: Lowering) -> None:
    x, table = node.operands
    source = to.input(x, to.layout(node.output))
    to.step("x8_lookup", x=source, y=to.output(node.output, inplace=x), t=to.input(table), m0=0, m1=x.type.size)


def qlinear_add(node: Node, to: Lowering) -> None:
    _pair(node, to, "x8_qadd", node.attrs["a_ratio"], node.attrs["b_ratio"])


def qlinear_mul(node: Node, to: Lowering) -> None:
    _pair(node, to, "x8_qmul", node.attrs["ratio"], 0.0)


def _pair(node: Node, to: Lowering, kernel: str, ra: float, rb: float) -> None:
    a, b = node.operands
    y: Quantized = node.attrs["y"]
    left, right = _expanded(to, a, node.output), _expanded(to, b, node.output)
    donor = next((v for v in (a, b) if not v.is_constant and v.type.size == node.output.type.size), None)
    to.step(
        kernel,
        a=left, b=right, y=to.output(node.output, inplace=donor), ra=ra, rb=rb, **results(y),
        za=node.attrs["a_zero_point"] - flip(a.dtype), zb=node.attrs["b_zero_point"] - flip(b.dtype),
        fa=flip(a.dtype), fb=flip(b.dtype), m0=0, m1=node.output.type.size,
    )  # fmt: skip


def _expanded(to: Lowering, value: Value, like: Value) -> Pointer:
    """`value` in the shape and layout of `like`."""
    layout = to.layout(like)
    if value.shape == like.shape:
        return to.input(value, layout)
    target = to.scratch(like.type.size, f"{value.name}.expanded")
    dense = Strided(target, value.dtype, like.shape, strides_of(like.shape, layout))
    to.copy(dense, broadcast(to, value, like.shape, layout))
    return target


def qlinear_softmax(node: Node, to: Lowering) -> None:
    """Rows along the axis. The table is turned around, and as long as any difference of two bytes."""
    x, table = node.operands
    y: Quantized = node.attrs["y"]
    axis = node.attrs["axis"]
    order = (*(a for a in to.layout(x) if a != axis), axis)
    assert table.data is not None
    entries = to.const(np.pad(table.data[::-1], (0, 255)), f"{node.name}.exponentials")
    source = to.input(x, order)
    to.step(
        "x8_softmax",
        x=source, y=to.output(node.output, inplace=x, layout=order), t=entries, ratio=node.attrs["ratio"],
        zy=y.zero_point - flip(y.dtype), fx=0x80 - flip(x.dtype), fy=flip(y.dtype),
        n=x.shape[axis], m0=0, m1=x.type.size // x.shape[axis],
    )  # fmt: skip
