"""Lowering of convolutions: pointwise ones are matrix products, depthwise ones and all others have kernels."""

from __future__ import annotations

import math

from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, Clamp
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.filters import Filters
from tinyinfer.wasm_backend.lower.movement import place_padded
from tinyinfer.wasm_backend.lowering import Argument, Lowering, Pointer, Rows, Strided
from tinyinfer.wasm_backend.strides import channels_last, strides_of

WINOGRAD_BLOCK = 60
WINOGRAD_BYTES = 13 << 16
"""The most tiles of a block: enough that the transform of the filters is a small part of the work. The most bytes that
they take up: they stay in the second-level cache while all filters are multiplied by them."""

FEW_CHANNELS = 4
"""Inputs of at most this many channels are copied with their padding: taps on the border would be runs of so few."""


def conv(node: Node, to: Lowering) -> None:
    """Conv over channels-last feature maps; 1-D ones are 2-D with one row."""
    (x, w), (bias, residual) = node.operands[:2], (*node.inputs, None, None)[2:4]
    weights = Filters.of(to, w).transpose(2, 3, 1, 0)
    group: int = node.attrs.get("group", 1)
    unit = all(v == 1 for v in (*node.attrs["strides"], *w.shape[2:])) and not any(node.attrs["pads"])
    layout = to.layout(node.output)
    if group == 1 and unit:
        source = to.rows(x, layout)
        target, added = _target(to, node.output, residual)
        _pointwise(node, to, target, source, added, weights, bias)
    elif node.attrs.get("winograd", False):
        source = to.rows(x, layout)
        target, added = _target(to, node.output, residual)
        _winograd(node, to, target, source, added, weights, bias)
    elif group == x.shape[1] == node.output.shape[1]:
        pixels = to.input(x, layout)
        target, added = _target(to, node.output, residual)
        _depthwise(node, to, target, pixels, added, weights, bias)
    else:
        bordered = group == 1 and x.shape[1] <= FEW_CHANNELS and w.shape[-1] > 1 and any(node.attrs["pads"])
        pads: tuple[int, ...] = node.attrs["pads"] if bordered else (0,) * len(node.attrs["pads"])
        source = _bordered(to, x, pads) if bordered else to.rows(x, layout)
        target, added = _target(to, node.output, residual)
        _general(node, to, target, source, added, weights, bias, group, pads)


def _bordered(to: Lowering, x: Value, pads: tuple[int, ...]) -> Rows:
    """A copy of `x` with the padding around it: inside of it, whole rows of a kernel are one run of floats."""
    axes = len(pads) // 2
    around = (0, 0, *pads[:axes], 0, 0, *pads[axes:])
    shape = tuple(n + before + after for n, before, after in zip(x.shape, around, around[2 + axes :]))
    place = to.scratch(math.prod(shape) * 4, f"{x.name}.padded")
    target = Strided(place, x.dtype, shape, strides_of(shape, channels_last(len(shape))))
    place_padded(to, target, to.strided(x), around, to.zeros(4))
    return Rows(place, shape[1] * 4)


def _target(to: Lowering, y: Value, residual: Value | None) -> tuple[Rows, Pointer | int]:
    """The pixels of `y`, and those of a residual, which kernels find at the same distances."""
    layout = to.layout(y)
    if residual is None:
        return to.output_rows(y, layout), 0
    added = to.rows(residual, layout)
    target = to.output_rows(y, layout, inplace=residual)
    if added.pitch == target.pitch:
        return target, added.pointer
    dense = to.input(residual, layout)
    return Rows(to.output(y, layout=layout), y.shape[1] * y.dtype.size), dense


def bounds(node: Node) -> dict[str, Argument]:
    """The clamp as the kernels name it."""
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    return {"lo": clamp.lo, "hi": clamp.hi}


def start(to: Lowering, bias: Value | None, filters: int, label: str) -> Pointer:
    """What the accumulators start with: `bias` or zeros, readable up to sixteen values at once."""
    if bias is not None and bias.data is None:
        return to.input(bias)
    values: Array | None = None if bias is None else bias.data
    return to.const(pack.bias(values, filters, 4 * pack.VECTOR), f"{label}.B")


def _distances(node: Node, y: Rows) -> dict[str, int]:
    """Byte strides of the output's pixels, rows and images, which follow on."""
    oh, ow = window.pair(node.output.shape[2:], 1)
    return {"py": y.pitch, "yr": ow * y.pitch, "yi": oh * ow * y.pitch}


def _pointwise(node: Node, to: Lowering, y: Rows, x: Rows, r: Pointer | int, w: Filters, b: Value | None) -> None:
    channels, filters = w.shape[2:]
    to.step(
        "f32_gemm",
        c=y.pointer, a=x.pointer, r=r, w=w.panels(to, f"{node.name}.W"), b=start(to, b, filters, node.name),
        **bounds(node), k=channels, n=filters, lda=x.pitch, ldc=y.pitch, m0=0, m1=node.output.type.size // filters,
    )  # fmt: skip


def _depthwise(node: Node, to: Lowering, y: Rows, x: Pointer, r: Pointer | int, w: Filters, b: Value | None) -> None:
    channels = w.shape[-1]
    to.step(
        "f32_dwconv",
        y=y.pointer, x=x, r=r, w=w.depthwise(to, f"{node.name}.W"), b=start(to, b, channels, node.name), **bounds(node),
        c=channels, zero=to.zeros(channels * 4), **window.geometry(node, w.shape[:2]), **_distances(node, y),
    )  # fmt: skip


def _winograd(node: Node, to: Lowering, y: Rows, x: Rows, r: Pointer | int, w: Filters, b: Value | None) -> None:
    depth, filters = w.shape[2:]
    (ih, iw), (oh, ow) = node.operands[0].shape[2:], node.output.shape[2:]
    pt, pl = window.begins(node)
    tiles = node.output.shape[0] * -(-oh // 2) * -(-ow // 2)
    block = min(tiles, WINOGRAD_BLOCK, max(WINOGRAD_BYTES // (16 * 4 * (depth + 8)), 12))
    inputs, weights, products = block * depth * 4 + 64, depth * 8 * 4 + 64, (block + 5) * 16 * 8 * 4
    scratch = 16 * (inputs + weights) + products + 64 + 8 * block
    to.step(
        "f32_winograd",
        y=y.pointer, x=x.pointer, w=w.panels(to, f"{node.name}.W"), b=start(to, b, filters, node.name), r=r,
        zero=to.zeros(depth * 4), scratch=to.scratch(scratch, f"{node.name}.tiles", private=True),
        **bounds(node), ih=ih, iw=iw, ic=depth, oh=oh, ow=ow, oc=filters, k=9 * depth, pt=pt, pl=pl, px=x.pitch,
        **_distances(node, y), block=block, m0=0, m1=tiles,
    )  # fmt: skip


def _general(
    node: Node,
    to: Lowering,
    y: Rows,
    x: Rows,
    r: Pointer | int,
    w: Filters,
    b: Value | None,
    group: int,
    pads: tuple[int, ...],
) -> None:
    """One call for each group: a group is a slice of the channels of every pixel. `pads` are part of x already."""
    depth, filters = w.shape[2], w.shape[3] // group
    to.calls(group)
    base = start(to, b, w.shape[3], node.name)
    for g in range(group):
        first = g * filters
        to.step(
            "f32_conv",
            y=y.pointer + first * 4, x=x.pointer + g * depth * 4, r=r + first * 4 if isinstance(r, Pointer) else 0,
            w=w.cut(3, first, filters).panels(to, f"{node.name}.W"), b=base + first * 4, **bounds(node),
            ic=depth, oc=filters, zero=to.zeros(depth * 4), px=x.pitch,
            **window.geometry(node, w.shape[:2], pads), **_distances(node, y),
        )  # fmt: skip
