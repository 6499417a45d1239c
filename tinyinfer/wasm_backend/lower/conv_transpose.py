"""Lowering of ConvTranspose: outputs whose coordinates leave the same remainders form a convolution of their own.

Along one axis, output stride·t + p has the taps k with (p + pad − k·dilation) divisible by the stride. They are equally
spaced, and each reads input t plus a constant that falls from tap to tap: a convolution with stride 1 and a negative
dilation, whose outputs lie `stride` apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from tinyinfer.graph import Node
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.conv import bounds, start
from tinyinfer.wasm_backend.lower.filters import Filters
from tinyinfer.wasm_backend.lowering import Lowering, Pointer
from tinyinfer.wasm_backend.strides import channels_last


@dataclass(frozen=True)
class Phase:
    """The outputs first, first + stride, … (`count` of them): they have `taps` taps, every `step` from `tap` on."""

    first: int
    count: int
    tap: int
    step: int
    taps: int
    pad: int
    """Output number t reads input t − pad + j·dilation with its tap number j."""
    dilation: int


def phases(out: int, kernel: int, stride: int, dilation: int, pad: int) -> list[Phase]:
    """The phases that have outputs, some of them possibly without taps."""
    by_remainder: dict[int, list[int]] = {}
    for k in range(kernel):
        by_remainder.setdefault(k * dilation % stride, []).append(k)
    found = []
    for first in range(min(stride, out)):
        taps = by_remainder.get((first + pad) % stride, [])
        tap = taps[0] if taps else 0
        step = taps[1] - tap if len(taps) > 1 else 1
        found.append(
            Phase(
                first=first,
                count=-(-(out - first) // stride),
                tap=tap,
                step=step,
                taps=len(taps),
                pad=-((first + pad - tap * dilation) // stride),
                dilation=-(step * dilation // stride),
            )
        )
    return found


def conv_transpose(node: Node, to: Lowering) -> None:
    """One call for each phase of rows and of columns and, unless depthwise, for each group."""
    (x, w), bias = node.operands[:2], (*node.inputs, None)[2]
    y, group = node.output, node.attrs.get("group", 1)
    filters = y.shape[1]
    depth, each = x.shape[1] // group, filters // group
    depthwise = depth == each == 1 < group
    weights = Filters.of(to, w)
    source = to.input(x, channels_last(x.type.rank))
    base = start(to, bias, filters, node.name)
    target = to.output(y)
    to.calls(math.prod(min(s, n) for s, n in zip(node.attrs["strides"], y.shape[2:])) * (1 if depthwise else group))
    for rows, columns in product(*_axes(node)):
        pixel = (rows.first * window.pair(y.shape[2:], 1)[1] + columns.first) * filters * 4
        place = {**bounds(node), **_geometry(node, rows, columns)}
        taps = weights.cut(2, rows.tap, rows.taps, rows.step).cut(3, columns.tap, columns.taps, columns.step)
        if depthwise:
            packed = taps.transpose(2, 3, 1, 0).depthwise(to, f"{node.name}.W") if rows.taps * columns.taps else None
            to.step(
                "f32_dwconv",
                y=target + pixel, x=source, r=0, w=packed or _nothing(to, filters), b=base,
                c=filters, zero=to.zeros(filters * 4), **place,
            )  # fmt: skip
            continue
        for g in range(group):
            mine = taps.cut(0, g * depth, depth).transpose(2, 3, 0, 1)
            packed = mine.panels(to, f"{node.name}.W") if rows.taps * columns.taps else None
            to.step(
                "f32_conv",
                y=target + pixel + g * each * 4, x=source + g * depth * 4, r=0, w=packed or _nothing(to, each),
                b=base + g * each * 4, ic=depth if packed else 1, oc=each, px=depth * group * 4,
                zero=to.zeros(depth * 4), **place,
            )  # fmt: skip


def _axes(node: Node) -> tuple[list[Phase], list[Phase]]:
    """The phases of rows and of columns; a 1-D convolution has one row."""
    out, kernel = window.pair(node.output.shape[2:], 1), window.pair(node.operands[1].shape[2:], 1)
    strides, dilations = window.pair(node.attrs["strides"], 1), window.pair(node.attrs["dilations"], 1)
    pads = window.begins(node)
    rows, columns = (phases(*axis) for axis in zip(out, kernel, strides, dilations, pads))
    return rows, columns


def _geometry(node: Node, rows: Phase, columns: Phase) -> dict[str, int]:
    """Window, feature maps and output strides of one phase. Without taps, one that lies outside an empty input."""
    x, y = node.operands[0], node.output
    (ih, iw), (oh, ow) = window.pair(x.shape[2:], 1), window.pair(y.shape[2:], 1)
    sh, sw = window.pair(node.attrs["strides"], 1)
    empty = rows.taps * columns.taps == 0
    pixel = y.shape[1] * 4
    return {
        "ih": 0 if empty else ih, "iw": iw, "oh": rows.count, "ow": columns.count,
        "kh": 1 if empty else rows.taps, "kw": 1 if empty else columns.taps, "sh": 1, "sw": 1,
        "dh": rows.dilation, "dw": columns.dilation, "pt": rows.pad, "pl": columns.pad,
        "py": sw * pixel, "yr": sh * ow * pixel, "yi": oh * ow * pixel, "m0": 0, "m1": x.shape[0] * rows.count,
    }  # fmt: skip


def _nothing(to: Lowering, filters: int) -> Pointer:
    """Weights of one tap that changes no accumulator: +0 · -0 = -0, and acc + -0 = acc."""
    return to.const(np.full(-(-filters // 16) * 16 + 64, -0.0, np.float32), "nothing")
