"""Lowering of normalisations."""

from __future__ import annotations

import math

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.types import Array
from tinyinfer.wasm_backend.lower.elementwise import one_loop, one_row
from tinyinfer.wasm_backend.lowering import Lowering, Pointer, Rows
from tinyinfer.wasm_backend.strides import Layout, channels_last, equivalent, plain


def batch_normalization(node: Node, to: Lowering) -> None:
    """The factor scale / √(var + epsilon) is made when compiling, or by three small steps when it is variable."""
    x, scale, bias, mean, var = node.operands
    factor = _factor(node, to, scale, var)
    layout = _map_layout(to, node)
    if layout[-1] == 1:
        source, y = to.rows(x, layout), to.output_rows(node.output, layout, inplace=x)
    else:
        pixels = math.prod(x.shape[2:]) * 4
        source = Rows(to.input(x, layout), pixels)
        y = Rows(to.output(node.output, inplace=x, layout=layout), pixels)
    _apply(to, y, source, to.input(mean), factor, to.input(bias), x.shape, layout, x.shape[0])


def _factor(node: Node, to: Lowering, scale: Value, var: Value) -> Pointer:
    channels: int = node.operands[0].shape[1]
    epsilon: Array = np.array([node.attrs["epsilon"]], np.float32)
    if scale.data is not None and var.data is not None:
        with np.errstate(all="ignore"):
            return to.const(scale.data / np.sqrt(var.data + epsilon), f"{node.name}.factor")
    factor = to.scratch(channels * 4, f"{node.name}.factor")
    to.step("f32_add", y=factor, a=to.input(var), b=to.const(epsilon, "epsilon"), **one_loop(channels, "b"))
    to.step("f32_sqrt", y=factor, x=factor, **one_row(channels))
    to.step("f32_div", y=factor, a=to.input(scale), b=factor, **one_loop(channels))
    return factor


def instance_normalization(node: Node, to: Lowering) -> None:
    """Statistics of every channel of every image, then, image by image, what BatchNormalization does with them."""
    x, scale, bias = node.operands
    batch, channels = x.shape[:2]
    layout = _map_layout(to, node)
    source = to.input(x, layout)
    inner = 1 if equivalent(x.shape, layout, plain(x.type.rank)) else channels
    mean, factor = (to.scratch(batch * channels * 4, f"{node.name}.{what}") for what in ("mean", "factor"))
    to.step(
        "f32_instancenorm",
        mean=mean, a=factor, x=source, scale=to.input(scale), eps=node.attrs["epsilon"],
        c=channels, n=math.prod(x.shape[2:]), inner=inner, m0=0, m1=batch * channels,
    )  # fmt: skip
    y = to.output(node.output, inplace=x, layout=layout)
    row = (channels if layout[-1] == 1 else math.prod(x.shape[2:])) * 4
    for image in range(batch):
        pixels, own = image * (x.type.size // batch) * 4, image * channels * 4
        maps = Rows(y + pixels, row), Rows(source + pixels, row)
        _apply(to, *maps, mean + own, factor + own, to.input(bias), x.shape, layout, 1)


def layer_normalization(node: Node, to: Lowering) -> None:
    """Rows of all axes from `axis` on."""
    x, scale = node.operands[:2]
    n = math.prod(x.shape[node.attrs["axis"] :])
    source = to.input(x)
    bias = to.input(node.operands[2]) if len(node.operands) > 2 else to.zeros(n * 4)
    y = to.output(node.output, inplace=x)
    to.step(
        "f32_layernorm",
        y=y, x=source, scale=to.input(scale), b=bias, eps=node.attrs["epsilon"], n=n, m0=0, m1=x.type.size // n,
    )  # fmt: skip


def lrn(node: Node, to: Lowering) -> None:
    """The scaled sum of squares, its power, and x divided by it, all in the place of the output."""
    (x,) = node.operands
    size, attrs = x.type.size, node.attrs
    layout = channels_last(x.type.rank)
    source, y = to.input(x, layout), to.output(node.output, layout=layout)
    to.step(
        "f32_lrn",
        y=y, x=source, a=float(np.float32(attrs["alpha"]) / np.float32(attrs["size"])), bias=attrs["bias"],
        channels=x.shape[1], before=(attrs["size"] - 1) // 2, after=attrs["size"] // 2, m0=0, m1=size // x.shape[1],
    )  # fmt: skip
    beta = to.const(np.array([attrs["beta"]], np.float32), "beta")
    to.step("f32_pow", y=y, a=y, b=beta, **one_loop(size, "b"))
    to.step("f32_div", y=y, a=source, b=y, **one_loop(size))


def _map_layout(to: Lowering, node: Node) -> Layout:
    """How the feature maps are stored, if that is a usual way; else row-major."""
    stored, rank = to.layout(node.output), node.output.type.rank
    return stored if stored in (plain(rank), channels_last(rank)) else plain(rank)


def _apply(
    to: Lowering, y: Rows, x: Rows, mean: Pointer, factor: Pointer, bias: Pointer,
    shape: tuple[int, ...], layout: Layout, images: int,
) -> None:  # fmt: skip
    """f32_batchnorm over `images` feature maps of `shape`: rows of channels, or rows of one channel's pixels."""
    channels, pixels = shape[1], math.prod(shape[2:])
    across = layout[-1] == 1
    rows, n = (pixels, channels) if across else (channels, pixels)
    to.step(
        "f32_batchnorm",
        y=y.pointer, x=x.pointer, mean=mean, a=factor, b=bias, c=channels, n=n, s=4 if across else 0,
        ldy=y.pitch, ldx=x.pitch, m0=0, m1=images * rows,
    )  # fmt: skip
