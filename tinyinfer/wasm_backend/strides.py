"""Strided views: how kernels see tensors, and the algebra that makes them as flat as possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Layout = tuple[int, ...]
"""Storage order of a value's logical axes: (0, 2, 3, 1) stores NCHW logic as NHWC bytes."""


def plain(rank: int) -> Layout:
    """Row-major storage."""
    return tuple(range(rank))


def channels_last(rank: int) -> Layout:
    """Axis 1 innermost: NHWC for rank 4, NLC for rank 3."""
    return (0, *range(2, rank), 1) if rank > 2 else plain(rank)


def strides_of(shape: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """Element strides of each logical axis for dense storage in `layout`."""
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(layout):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def equivalent(shape: Sequence[int], a: Layout, b: Layout) -> bool:
    """Whether two layouts store `shape` in the same bytes: unit dimensions do not matter."""
    return [i for i in a if shape[i] != 1] == [i for i in b if shape[i] != 1]


@dataclass(frozen=True)
class Loops:
    """A loop nest, outermost first, and for each operand its element strides."""

    shape: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    def padded(self, rank: int) -> Loops:
        """The same nest with unit loops in front, `rank` deep."""
        extra = rank - len(self.shape)
        return Loops((1,) * extra + self.shape, tuple((0,) * extra + s for s in self.strides))


def collapse(shape: Sequence[int], *strides: Sequence[int]) -> Loops:
    """Drop unit loops and merge neighbouring loops that all operands walk through without a break."""
    merged: list[tuple[int, tuple[int, ...]]] = []
    for axis, extent in enumerate(shape):
        steps = tuple(s[axis] for s in strides)
        if extent == 1:
            continue
        if merged and all(outer == step * extent for outer, step in zip(merged[-1][1], steps, strict=True)):
            merged[-1] = (merged[-1][0] * extent, steps)
        else:
            merged.append((extent, steps))
    return Loops(tuple(m[0] for m in merged), tuple(tuple(m[1][i] for m in merged) for i in range(len(strides))))


def split_outer(loops: Loops, rank: int) -> list[tuple[Loops, tuple[int, ...]]]:
    """The nest as several nests of at most `rank` loops, each with every operand's element offset."""
    if len(loops.shape) <= rank:
        return [(loops.padded(rank), (0,) * len(loops.strides))]
    inner = Loops(loops.shape[1:], tuple(s[1:] for s in loops.strides))
    return [
        (nest, tuple(o + i * s[0] for o, s in zip(offsets, loops.strides, strict=True)))
        for i in range(loops.shape[0])
        for nest, offsets in split_outer(inner, rank)
    ]


def transposition(loops: Loops) -> Loops | None:
    """A nest of a copy (target, source) as [batch, cols, rows], if there is such a reading, else None.

    The target is dense along rows and the source along cols.
    """
    rank = len(loops.shape)
    target, source = loops.strides
    if rank not in (2, 3) or target[-1] != 1 or source[-1] <= 1 or 1 not in source:
        return None
    cols = source.index(1)
    order = (*(i for i in range(rank - 1) if i != cols), cols, rank - 1)
    shape, strides = (loops.shape[i] for i in order), (tuple(s[i] for i in order) for s in loops.strides)
    return Loops(tuple(shape), tuple(strides)).padded(3)


def element_count(loops: Loops) -> int:
    return math.prod(loops.shape)


def same(shape: Sequence[int], a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two sets of strides mean the same elements of `shape`: those of unit dimensions do not matter."""
    return 0 in shape or all(n == 1 or s == t for n, s, t in zip(shape, a, b, strict=True))


def pitch(shape: Sequence[int], layout: Layout, strides: Sequence[int]) -> int | None:
    """Elements between neighbouring rows along the innermost axis of `layout`; None unless all rows are dense and
    equally far apart in the order of `layout`."""
    *outer, inner = layout
    if shape[inner] != 1 and strides[inner] != 1:
        return None
    loops = collapse([shape[i] for i in outer], [strides[i] for i in outer])
    if len(loops.shape) > 1:
        return None
    return loops.strides[0][0] if loops.shape else shape[inner]


def blocks(shape: Sequence[int], layout: Layout, strides: Sequence[int], axis: int) -> tuple[int, int] | None:
    """Elements between blocks, which are the axes around `axis` in `layout`, and between their rows along `axis`; None
    unless all blocks are equally far apart and what lies inside `axis` is dense."""
    at = layout.index(axis)
    outer = collapse([shape[i] for i in layout[:at]], [strides[i] for i in layout[:at]])
    row = math.prod(shape[i] for i in layout[at + 1 :])
    inner = collapse([shape[i] for i in layout[at + 1 :]], [strides[i] for i in layout[at + 1 :]])
    step = strides[axis] if shape[axis] != 1 else row
    if len(outer.shape) > 1 or inner.shape not in ((), (row,)) or (row > 1 and inner.strides[0] != (1,)):
        return None
    if row == 1 and step != 1:
        return None
    return (outer.strides[0][0] if outer.shape else 0), step


def regroup(shape: Sequence[int], target: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The axes that a reshape of `shape` to `target` keeps together: shortest runs of either with equal products.

    Unit dimensions are left out. No dimension is 0.
    """
    groups: list[tuple[list[int], list[int]]] = []
    left, right = ([i for i, n in enumerate(dims) if n != 1] for dims in (shape, target))
    while left:
        mine, theirs = [left.pop(0)], [right.pop(0)]
        while (a := math.prod(shape[i] for i in mine)) != (b := math.prod(target[i] for i in theirs)):
            if a < b:
                mine.append(left.pop(0))
            else:
                theirs.append(right.pop(0))
        groups.append((mine, theirs))
    return groups


def reshaped(shape: Sequence[int], strides: Sequence[int], target: Sequence[int]) -> tuple[int, ...] | None:
    """Strides of the same elements under another shape; None where some axes that merge do not follow on."""
    if 0 in shape:
        return strides_of(target, plain(len(target)))
    found: dict[int, int] = {}
    for mine, theirs in regroup(shape, target):
        loops = collapse([shape[i] for i in mine], [strides[i] for i in mine])
        if len(loops.shape) > 1:
            return None
        step = loops.strides[0][0]
        for axis in reversed(theirs):
            found[axis] = step
            step *= target[axis]
    step = 1
    for axis in reversed(range(len(target))):
        step = found.setdefault(axis, step) * target[axis]
    return tuple(found[axis] for axis in range(len(target)))


def part(strides: Sequence[int], axis: int, start: int, step: int = 1) -> tuple[int, tuple[int, ...]]:
    """Element offset and strides of the indices start, start + step, … of an axis."""
    return start * strides[axis], (*strides[:axis], strides[axis] * step, *strides[axis + 1 :])


def regrouped(shape: Sequence[int], layout: Layout, target: Sequence[int]) -> tuple[Layout, Layout]:
    """Layouts of the same bytes under two shapes, the closest to `layout` of the first: what merges is row-major."""
    if 0 in shape:
        return plain(len(shape)), plain(len(target))
    groups = sorted(regroup(shape, target), key=lambda group: max(layout.index(axis) for axis in group[0]))
    mine, theirs = ([axis for group in groups for axis in group[side]] for side in (0, 1))
    return _with_units(mine, shape), _with_units(theirs, target)


def _with_units(order: list[int], shape: Sequence[int]) -> Layout:
    """An order of the other axes completed by unit dimensions, which leave the usual layouts recognisable."""
    rank = len(shape)
    full = (*(axis for axis in range(rank) if axis not in order), *order)
    usual = (plain(rank), channels_last(rank))
    return next((layout for layout in usual if equivalent(shape, layout, full)), full)
