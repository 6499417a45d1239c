"""Lowering of operators that move elements: views where the bytes can stay, strided copies elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lower.linear import constant_panels
from tinyinfer.wasm_backend.lowering import Lowering, Pointer, Strided
from tinyinfer.wasm_backend.strides import collapse, part, plain, regrouped, same

MAX_GATHER_COPIES = 8
"""Constant indices become at most this many strided copies."""


def reshape(node: Node, to: Lowering) -> None:
    """The bytes stay where strides can tell so; else axes that merge are brought into their order."""
    (x,), y = node.operands, node.output
    source = to.strided(x)
    if not to.reshape(y, source):
        stored = tuple(sorted(range(x.type.rank), key=lambda axis: -abs(source.strides[axis])))
        before, after = regrouped(x.shape, stored, y.shape)
        to.view(y, to.input(x, before), after)


def transpose(node: Node, to: Lowering) -> None:
    """The bytes stay; strides say where the axes are."""
    source, perm = to.strided(node.operands[0]), node.attrs["perm"]
    shape, strides = (tuple(values[axis] for axis in perm) for values in (source.shape, source.strides))
    to.alias(node.output, Strided(source.pointer, source.dtype, shape, strides))


def concat(node: Node, to: Lowering) -> None:
    """Each input that was not made in its place along the axis is copied there."""
    axis: int = node.attrs["axis"]
    y = to.output_strided(node.output)
    start = 0
    for x in node.operands:
        place, source = _part(y, axis, start, x.shape[axis]), to.strided(x)
        _move(to, place, source)
        start += x.shape[axis]


def split(node: Node, to: Lowering) -> None:
    """The outputs are parts of the input; consumers that cannot read them there make a copy."""
    (x,) = node.operands
    axis: int = node.attrs["axis"]
    source, start = to.strided(x), 0
    for y in node.outputs:
        to.alias(y, _part(source, axis, start, y.shape[axis]))
        start += y.shape[axis]


def slice_(node: Node, to: Lowering) -> None:
    """As `split`."""
    source = to.strided(node.operands[0])
    windows = zip(node.attrs["starts"], node.attrs["sizes"], node.attrs["steps"], strict=True)
    for axis, (start, size, step) in enumerate(windows):
        source = _part(source, axis, start, size, step)
    to.alias(node.output, source)


def expand(node: Node, to: Lowering) -> None:
    """Repeated axes are read with stride 0."""
    source = to.strided(node.operands[0])
    y = to.output_strided(node.output)
    extra = len(y.shape) - len(source.shape)
    strides = tuple(0 if n == 1 else s for n, s in zip(source.shape, source.strides, strict=True))
    to.copy(y, Strided(source.pointer, y.dtype, y.shape, (0,) * extra + strides))


def tile(node: Node, to: Lowering) -> None:
    """Every axis becomes two: the repetition, read with stride 0, and the axis of X."""
    source, repeats = to.strided(node.operands[0]), node.attrs["repeats"]
    y = to.output_strided(node.output)
    axes = list(zip(repeats, source.shape, source.strides, y.strides, strict=True))
    shape = tuple(n for count, extent, _, _ in axes for n in (count, extent))
    from_strides = tuple(s for _, _, step, _ in axes for s in (0, step))
    to_strides = tuple(s for _, extent, _, step in axes for s in (extent * step, step))
    to.copy(Strided(y.pointer, y.dtype, shape, to_strides), Strided(source.pointer, y.dtype, shape, from_strides))


def pad(node: Node, to: Lowering) -> None:
    """`place_padded` with the attributes of the node. `x` itself may have been made in its place."""
    source, y = to.strided(node.operands[0]), to.output_strided(node.output)
    value = to.const(np.array([node.attrs.get("value", 0.0)], y.dtype.numpy), "value")
    place_padded(to, y, source, node.attrs["pads"], value, node.attrs.get("mode", "constant"))


def place_padded(
    to: Lowering, y: Strided, source: Strided, pads: tuple[int, ...], value: Pointer, mode: str = "constant"
) -> None:
    """Axis by axis, `y` falls into runs that read `source` with one step; what is outside of it is filled.

    `pads` are those before the axes of `source`, then those behind them; `value` is the address of one element.
    """
    rank = len(y.shape)

    def fill(target: Strided, source: Strided, axis: int) -> None:
        if axis == rank:
            _move(to, target, source)
            return
        if mode != "constant":
            to.table(source.shape[axis] + pads[axis] + pads[rank + axis])
        for run in _padded_runs(source.shape[axis], pads[axis], pads[rank + axis], mode):
            inside = _part(target, axis, run.start, run.size)
            if run.first is None:
                to.copy(inside, Strided(value, inside.dtype, inside.shape, (0,) * rank))
            else:
                fill(inside, _part(source, axis, run.first, run.size, run.step), axis + 1)

    fill(y, source, 0)


def gather(node: Node, to: Lowering) -> None:
    """Constant indices that fall into few runs are strided copies; otherwise a kernel copies row by row."""
    x, indices = node.operands
    axis: int = node.attrs["axis"]
    known = indices.data if indices.type.rank <= 1 else None
    runs = [] if known is None else _index_runs(_resolved(known, x.shape[axis]), MAX_GATHER_COPIES)
    if known is not None and len(runs) <= MAX_GATHER_COPIES:
        source, y = to.strided(x), to.output_strided(node.output)
        shape, strides = y.shape, y.strides
        if indices.type.rank == 0:
            shape, strides = (*shape[:axis], 1, *shape[axis:]), (*strides[:axis], 0, *strides[axis:])
        for run in runs:
            target = _part(Strided(y.pointer, y.dtype, shape, strides), axis, run.start, run.size)
            to.copy(target, _part(source, axis, run.first or 0, run.size, run.step))
    elif x.data is not None and x.dtype is DType.FLOAT and x.type.rank == 2 and axis == 1 and x.shape[1] >= pack.PANEL:
        _gather_columns(to, x, indices, node.output)
    else:
        _gather_rows(to, x, indices, node.output, axis)


def _gather_rows(to: Lowering, x: Value, indices: Value, output: Value, axis: int) -> None:
    y = to.output(output, layout=plain(output.type.rank))
    inner = math.prod(x.shape[axis + 1 :])
    to.step(
        f"{indices.dtype.prefix}_gather",
        x=to.input(x), indices=to.input(indices), y=y,
        d=x.shape[axis], n=indices.type.size, run=inner * x.dtype.size,
        m0=0, m1=output.type.size // max(inner, 1),
    )  # fmt: skip


def _gather_columns(to: Lowering, x: Value, indices: Value, output: Value) -> None:
    """Columns of a constant matrix come out of the panels that a product with it reads too: it is stored once."""
    y = to.output_strided(output)
    places = collapse(indices.shape, y.strides[1:])
    if len(places.shape) > 1:
        to.output(output, layout=plain(output.type.rank))
        y = to.strided(output)
        places = collapse(indices.shape, y.strides[1:])
    (step,) = places.padded(1).strides[0]
    to.step(
        f"{indices.dtype.prefix}_gather_panels",
        y=y.pointer, w=constant_panels(to, x, f"{x.name}.panels"), indices=to.input(indices),
        k=x.shape[0], d=x.shape[1], yi=step * 4, yk=y.strides[0] * 4, m0=0, m1=indices.type.size,
    )  # fmt: skip


def depth_to_space(node: Node, to: Lowering) -> None:
    x, y = to.strided(node.operands[0]), to.output_strided(node.output)
    b: int = node.attrs["blocksize"]
    crd = node.attrs.get("mode", "DCR") == "CRD"
    _move_blocks(to, pixels=y, channels=x, blocksize=b, channel_major=crd, reverse=False)


def space_to_depth(node: Node, to: Lowering) -> None:
    x, y = to.strided(node.operands[0]), to.output_strided(node.output)
    _move_blocks(to, pixels=x, channels=y, blocksize=node.attrs["blocksize"], channel_major=False, reverse=True)


def _move_blocks(
    to: Lowering, *, pixels: Strided, channels: Strided, blocksize: int, channel_major: bool, reverse: bool
) -> None:
    """Copy between [N, C, H·b, W·b] and [N, C·b², H, W] as loops over (n, c, h, block row, w, block column)."""
    b = blocksize
    n, c, height, width = pixels.shape
    shape = (n, c, height // b, b, width // b, b)
    sn, sc, sh, sw = pixels.strides
    block = Strided(pixels.pointer, pixels.dtype, shape, (sn, sc, sh * b, sh, sw * b, sw))
    sn, sc, sh, sw = channels.strides
    of_channel, of_row, of_column = (b * b, b, 1) if channel_major else (1, b * c, c)
    strides = (sn, sc * of_channel, sh, sc * of_row, sw, sc * of_column)
    stacked = Strided(channels.pointer, channels.dtype, shape, strides)
    to.copy(*((stacked, block) if reverse else (block, stacked)))


def _move(to: Lowering, place: Strided, source: Strided) -> None:
    """Copy what is not in its place already."""
    if place.pointer != source.pointer or not same(place.shape, place.strides, source.strides):
        to.copy(place, source)


def _part(x: Strided, axis: int, start: int, size: int, step: int = 1) -> Strided:
    """`size` indices of an axis, from `start` in steps."""
    offset, strides = part(x.strides, axis, start if size else 0, step)
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return Strided(x.pointer + offset * x.dtype.size, x.dtype, shape, strides)


@dataclass(frozen=True)
class _Run:
    """Neighbouring output indices start … start + size − 1 that read first, first + step, …; None: nothing."""

    start: int
    size: int
    first: int | None
    step: int = 1


def _padded_runs(extent: int, begin: int, end: int, mode: str) -> list[_Run]:
    """The runs of an axis; those that are all of x form one."""
    inside, after = _Run(begin, extent, 0), begin + extent
    if mode == "constant":
        return [run for run in (_Run(0, begin, None), inside, _Run(after, end, None)) if run.size]
    indices: Array = np.pad(np.arange(extent), (begin, end), mode)  # type: ignore[call-overload]
    behind = [replace(run, start=run.start + after) for run in _index_runs(indices[after:])]
    return [*_index_runs(indices[:begin]), inside, *behind]


def _index_runs(indices: Array, most: int | None = None) -> list[_Run]:
    """The index map cut into arithmetic progressions, greedily; no more than `most` + 1 of them."""
    values = indices.reshape(-1).astype(np.int64)
    steps = np.diff(values)
    breaks = np.flatnonzero(steps[1:] != steps[:-1]) + 2  # places that do not go on from the two before them
    runs: list[_Run] = []
    start = 0
    while start < len(values) and (most is None or len(runs) <= most):
        at = np.searchsorted(breaks, start + 2)
        end = int(breaks[at]) if at < len(breaks) else len(values)
        step = int(steps[start]) if end - start > 1 else 1
        runs.append(_Run(start, end - start, int(values[start]), step))
        start = end
    return runs


def _resolved(indices: Array, extent: int) -> Array:
    """Gather indices counted from the start and inside the axis."""
    return np.clip(np.where(indices < 0, indices + extent, indices), 0, extent - 1)
