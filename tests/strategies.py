"""Hypothesis strategies shared by all tests: sizes that cluster at tile edges, adversarial numbers, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyinfer.types import Array

SPECIAL_FLOATS = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38, -3.4028235e38,
     0.5, 1.5, 2.5, -0.5, -2.5, 6.0, 16777216.0, 88.7, -103.9],
    np.float32,
)  # fmt: skip

SPECIAL_INTS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))


def near(*tiles: int, least: int = 1, most: int = 40) -> st.SearchStrategy[int]:
    """Sizes at tile edges (1, t-1, t, t+1, 2t, 2t+1), or anything up to `most`."""
    edges = {least, least + 1} | {e for t in tiles for e in (t - 1, t, t + 1, 2 * t, 2 * t + 1)}
    return st.one_of(st.sampled_from(sorted(e for e in edges if least <= e <= most)), st.integers(least, most))


def seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**32 - 1)


def tensor(
    seed: int, shape: tuple[int, ...], dtype: Any = np.float32, special: float = 0.0, scale: float = 2.0
) -> Array:
    """Random elements: normal floats, small and large integers, with a share of adversarial ones."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind == np.bool_:
        return rng.random(shape) < 0.5
    if kind.kind in "iu":
        info = np.iinfo(kind)
        values = np.asarray(rng.integers(-9, 10, shape), np.int64)
        values = np.where(rng.random(shape) < 0.3, rng.integers(info.min, info.max, shape, np.int64, True), values)
        chosen = rng.choice(np.array([v for v in SPECIAL_INTS if info.min <= v <= info.max], np.int64), shape)
        return np.where(rng.random(shape) < special, chosen, values).astype(kind)
    values = (rng.standard_normal(shape) * scale).astype(np.float32)
    return np.where(rng.random(shape) < special, rng.choice(SPECIAL_FLOATS, shape), values).astype(np.float32)


@st.composite
def tensors(draw: st.DrawFn, shape: tuple[int, ...], dtype: Any = np.float32, scale: float = 2.0) -> Array:
    """A tensor of `shape`; half of the time with adversarial elements."""
    return tensor(draw(seeds()), shape, dtype, draw(st.sampled_from([0.0, 0.0, 0.2, 0.9])), scale)


def shapes(max_rank: int = 5, most: int = 9, min_rank: int = 0) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(near(4, 8, most=most), min_size=min_rank, max_size=max_rank).map(tuple)


@st.composite
def broadcastable(draw: st.DrawFn, max_rank: int = 5) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast together: unit and missing dimensions on either side."""
    full = draw(shapes(max_rank, most=7))
    sides = []
    for _ in range(2):
        side = tuple(d if draw(st.integers(0, 3)) else 1 for d in full)
        sides.append(side[draw(st.integers(0, len(side))) if draw(st.booleans()) else 0 :])
    return sides[0], sides[1]
