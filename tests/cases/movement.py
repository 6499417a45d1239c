"""Cases for kernels that move elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import near, shapes, tensors
from tinyinfer.types import Array

BYTES = [np.uint8, np.int8, np.bool_]
WORDS = [np.float32, np.int32]


@st.composite
def concat(draw: st.DrawFn, dtype: Any) -> Case:
    shape = draw(shapes(4, min_rank=1))
    axis = draw(st.integers(0, len(shape) - 1))
    parts = [
        draw(tensors((*shape[:axis], draw(near(4, most=6)), *shape[axis + 1 :]), dtype))
        for _ in range(draw(st.integers(1, 4)))
    ]
    return Case("Concat", tuple(parts), {"axis": axis})


def moved(parts: list[Array]) -> None:
    """Discard cases whose results are bytes of the input in order: those are views, and no kernel is called."""
    assume(not all(part.flags.c_contiguous for part in parts))


@st.composite
def split(draw: st.DrawFn, dtype: Any) -> Case:
    lengths = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any)))
    shape = draw(shapes(4, min_rank=1))
    axis = draw(st.integers(0, len(shape) - 1))
    x = draw(tensors((*shape[:axis], sum(lengths), *shape[axis + 1 :]), dtype))
    moved(np.split(x, np.cumsum(lengths)[:-1], axis))
    return Case("Split", (x,), {"axis": axis, "split": lengths})


@st.composite
def slice_(draw: st.DrawFn, dtype: Any) -> Case:
    shape = draw(shapes(5))
    starts, sizes, steps = [], [], []
    for extent in shape:
        start, step = draw(st.integers(0, extent - 1)), draw(st.sampled_from([1, 1, 1, 2, 3, -1, -2]))
        most = (extent - 1 - start) // step + 1 if step > 0 else start // -step + 1
        starts.append(start)
        steps.append(step)
        sizes.append(draw(st.integers(1, most)))
    attrs = {"starts": tuple(starts), "sizes": tuple(sizes), "steps": tuple(steps)}
    x = draw(tensors(shape, dtype))
    ends = [start + size * step for start, size, step in zip(starts, sizes, steps)]
    moved([x[tuple(slice(a, None if b < 0 else b, s) for a, b, s in zip(starts, ends, steps))]])
    return Case("Slice", (x,), attrs)


@st.composite
def expand(draw: st.DrawFn, dtype: Any) -> Case:
    shape = draw(shapes(5, most=6))
    kept = tuple(d if draw(st.booleans()) else 1 for d in shape)
    x = draw(tensors(kept[draw(st.integers(0, len(kept))) :], dtype))
    return Case("Expand", (x,), {"shape": shape})


@st.composite
def tile(draw: st.DrawFn, dtype: Any) -> Case:
    shape = draw(shapes(5, most=5))
    repeats = tuple(draw(st.integers(1, 3)) for _ in shape)
    return Case("Tile", (draw(tensors(shape, dtype)),), {"repeats": repeats})


@st.composite
def pad(draw: st.DrawFn, dtype: Any) -> Case:
    shape = draw(shapes(4, most=6))
    pads = tuple(draw(st.sampled_from([0, 0, 1, 2, 7])) for _ in range(2 * len(shape)))
    mode = draw(st.sampled_from(["constant", "reflect", "edge", "wrap"]))
    attrs = {"pads": pads, "mode": mode, "value": draw(st.sampled_from([0, 1]))}
    return Case("Pad", (draw(tensors(shape, dtype)),), attrs)


@st.composite
def gather(draw: st.DrawFn, dtypes: list[Any], index: Any, constant: bool = False) -> Case:
    """Valid, negative and wild indices; few when they are constant, so that the runs become copies."""
    shape = draw(shapes(4, min_rank=1))
    axis = draw(st.integers(0, len(shape) - 1))
    wanted = draw(shapes(1, most=8) if constant else shapes(3))
    valid = st.integers(-shape[axis], shape[axis] - 1)
    wild = st.integers(np.iinfo(index).min, np.iinfo(index).max)
    count = int(np.prod(wanted))
    drawn = draw(st.lists(st.one_of(valid, valid, valid, wild), min_size=count, max_size=count))
    indices = np.array(drawn, index).reshape(wanted)
    x = draw(tensors(shape, draw(st.sampled_from(dtypes))))
    return Case("Gather", (x, indices), {"axis": axis}, frozenset({1} if constant else ()))


@st.composite
def gather_columns(draw: st.DrawFn, index: Any) -> Case:
    """Columns of a constant matrix, of one whole panel at least."""
    k, n = draw(st.integers(1, 9)), draw(near(8, 16, least=8))
    indices = draw(st.lists(st.integers(-n - 2, n + 1), min_size=4, max_size=4))
    shape = draw(st.sampled_from([(4,), (2, 2), (1, 4)]))
    x = draw(tensors((k, n), np.float32))
    return Case("Gather", (x, np.array(indices, index).reshape(shape)), {"axis": 1}, frozenset({0}))


@st.composite
def blocks(draw: st.DrawFn, dtype: Any) -> Case:
    """DepthToSpace and SpaceToDepth; no extent is 1, so that the loops are not those of a transposition."""
    n, b, c, h, w = (draw(st.integers(least, 4)) for least in (1, 2, 2, 2, 2))
    if draw(st.booleans()):
        return Case("SpaceToDepth", (draw(tensors((n, c, h * b, w * b), dtype)),), {"blocksize": b})
    mode = draw(st.sampled_from(["DCR", "CRD"]))
    return Case("DepthToSpace", (draw(tensors((n, c * b * b, h, w), dtype)),), {"blocksize": b, "mode": mode})


@st.composite
def copy(draw: st.DrawFn, dtypes: list[Any]) -> Case:
    families = [concat, split, slice_, expand, tile, pad, blocks]
    if draw(st.integers(0, len(families))) == 0:
        return draw(gather(dtypes, np.int64, constant=True))
    return draw(draw(st.sampled_from(families))(draw(st.sampled_from(dtypes))))


@st.composite
def transpose(draw: st.DrawFn) -> Case:
    """Transpositions of the last axes of a matrix, or of images from channels-first to channels-last and back."""
    shape = (draw(st.integers(1, 3)), draw(near(4, 16, least=2)), draw(near(4, 16, least=2)))
    perm: tuple[int, ...] = (0, 2, 1)
    if draw(st.booleans()):
        split_axis = draw(st.sampled_from([1, 2]))
        assume(shape[split_axis] % 2 == 0)
        shape = (*shape[:split_axis], 2, shape[split_axis] // 2, *shape[split_axis + 1 :])
        perm = (0, 3, 1, 2) if split_axis == 1 else (0, 2, 3, 1)
    return Case("Transpose", (draw(tensors(shape, draw(st.sampled_from(WORDS)))),), {"perm": perm})


CASES = {
    "x8_copy": copy(BYTES),
    "x32_copy": copy(WORDS),
    "x64_copy": copy([np.int64]),
    "x32_transpose": transpose(),
    "i32_gather_panels": gather_columns(np.int32),
    "i64_gather_panels": gather_columns(np.int64),
    "i32_gather": gather([*BYTES, *WORDS, np.int64], np.int32),
    "i64_gather": gather([*BYTES, *WORDS, np.int64], np.int64),
}
