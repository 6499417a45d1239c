"""Lowering of pooling: one kernel call over channels-last feature maps, whose windows are listed when compiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyinfer.graph import Node
from tinyinfer.types import Array, DType, Quantized
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.quantized import flip
from tinyinfer.wasm_backend.lowering import Argument, Lowering, Rows
from tinyinfer.wasm_backend.strides import channels_last


@dataclass(frozen=True)
class Axis:
    """Windows along one axis: lengths of X and Y, the window, and how much padding counts in a mean."""

    length: int
    out: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    begin: int = 0
    counted: tuple[int, int] = (0, 0)

    def table(self, distance: int) -> Array:
        """For each window: byte offset of its first tap inside X, taps inside X, taps that count.

        `distance`: bytes from one element to the next.
        """
        start = np.arange(self.out) * self.stride - self.begin
        first, inside = self._taps(start, 0, self.length)
        before, after = self.counted
        _, counted = self._taps(start, -before, self.length + after)
        columns = [np.where(inside > 0, start + first * self.dilation, 0) * distance, inside, counted]
        return np.stack(columns, 1).astype(np.int32)

    def _taps(self, start: Array, low: int, high: int) -> tuple[Array, Array]:
        """The number of the first tap at or after `low` of windows that begin at `start`, and how many of it and of
        those that follow lie before `high`."""
        first = np.maximum(-((start - low) // self.dilation), 0)
        end = np.minimum((high - 1 - start) // self.dilation + 1, self.kernel)
        return first, np.maximum(end - first, 0)


def max_pool(node: Node, to: Lowering) -> None:
    """One step; large windows in two, maxima of rows and then of columns of these, which any order of taps allows."""
    (x,) = node.operands
    floats = x.dtype is DType.FLOAT
    kernel, extra = ("f32_maxpool", {}) if floats else ("x8_maxpool", {"q": flip(x.dtype)})
    source, target = _maps(node, to)
    down, across = _axes(node)
    taps = down.kernel * across.kernel
    if 2 * taps <= 3 * (down.stride * across.kernel + down.kernel):
        _pool(node, to, kernel, target, source, down, across, **extra)
        return
    pixel = x.shape[1] * x.dtype.size
    rows = Rows(to.scratch(x.shape[0] * down.length * across.out * pixel, f"{node.name}.rows"), pixel)
    _pool(node, to, kernel, rows, source, Axis(down.length, down.length), across, **extra)
    _pool(node, to, kernel, target, rows, down, Axis(across.out, across.out), **extra)


def average_pool(node: Node, to: Lowering) -> None:
    source, target = _maps(node, to)
    _pool(node, to, "f32_avgpool", target, source, *_axes(node))


def qlinear_average_pool(node: Node, to: Lowering) -> None:
    """What requantisation needs is read from memory: it is the same for all windows but for their counts."""
    (x,), y = node.operands, node.attrs["y"]
    source, target = _maps(node, to)
    constants = to.const(_requantization(node, flip(x.dtype), y), f"{node.name}.requantization")
    _pool(node, to, "x8_avgpool", target, source, *_axes(node), q=constants)


def _requantization(node: Node, sign: int, y: Quantized) -> Array:
    """The sixteen words that x8_avgpool reads."""
    four = 0x01010101
    lo, hi, ratio = np.array([y.lo - y.zero_point, y.hi - y.zero_point, node.attrs["ratio"]], np.float32).view(np.int32)
    rest = [sign * four, sign - node.attrs["x_zero_point"], ratio, 0x4B400000 - (y.zero_point - flip(y.dtype))]
    return np.array([*(lo,) * 4, *(hi,) * 4, *(flip(y.dtype) * four,) * 4, *rest], np.int64).astype(np.uint32)


def _maps(node: Node, to: Lowering) -> tuple[Rows, Rows]:
    """X and Y as pixels."""
    (x,), layout = node.operands, channels_last(node.output.type.rank)
    return to.rows(x, layout), to.output_rows(node.output, layout)


def _axes(node: Node) -> tuple[Axis, Axis]:
    """Rows and columns; those of a 1-D feature map are the columns of a single row."""
    x, y = node.operands[0], node.output
    padded = node.attrs.get("count_include_pad", False)
    begins, ends = window.begins(node), window.ends(node)
    columns = zip(
        window.pair(x.shape[2:], 1),
        window.pair(y.shape[2:], 1),
        window.pair(node.attrs["kernel_shape"], 1),
        window.pair(node.attrs["strides"], 1),
        window.pair(node.attrs["dilations"], 1),
        begins,
        zip(begins, ends) if padded else ((0, 0), (0, 0)),
    )
    down, across = (Axis(*column) for column in columns)
    return down, across


def _pool(node: Node, to: Lowering, kernel: str, y: Rows, x: Rows, down: Axis, across: Axis, **extra: Argument) -> None:
    value = node.operands[0]
    to.table(down.out + across.out)
    line = x.pitch * across.length
    to.step(
        kernel,
        y=y.pointer, x=x.pointer, rows=to.const(down.table(line), "rows"), cols=to.const(across.table(x.pitch), "cols"),
        size=value.shape[1] * value.dtype.size, oh=down.out, ow=across.out, ix=line * down.length, py=y.pitch,
        dy=line * down.dilation, dx=x.pitch * across.dilation, m0=0, m1=value.shape[0] * down.out, **extra,
    )  # fmt: skip
