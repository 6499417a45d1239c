"""Inputs for a model: random ones, and arrays read from files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from tinyinfer.errors import FeedError
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.plan import Binding

T = TypeVar("T")

# Integer inputs are mostly indices and small counts.
LARGEST_RANDOM_INTEGER = 9


def random_feeds(inputs: Iterable[Binding], seed: int = 0) -> dict[str, Array]:
    """The same values for the same seed: normal floats, all bytes, integers from 0 to 9, booleans."""
    rng = np.random.default_rng(seed)
    return {b.name: _random(rng, b) for b in inputs}


def _random(rng: np.random.Generator, binding: Binding) -> Array:
    shape, dtype = binding.shape, binding.dtype
    if dtype is DType.FLOAT:
        return rng.standard_normal(shape, dtype=np.float32)
    if dtype is DType.BOOL:
        return rng.integers(0, 2, shape).astype(np.bool_)
    if dtype.size == 1:
        limits = np.iinfo(dtype.numpy)
        return rng.integers(limits.min, limits.max + 1, shape).astype(dtype.numpy)
    return rng.integers(0, LARGEST_RANDOM_INTEGER + 1, shape).astype(dtype.numpy)


def constant_feeds(inputs: Iterable[Binding], value: float) -> dict[str, Array]:
    """Every input filled with `value`."""
    return {b.name: np.full(b.shape, value, b.dtype.numpy) for b in inputs}


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz` file by name; that of an `.npy` file under the name "". FeedError when unreadable."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise FeedError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FeedError(f"{path}: not a readable .npz or .npy file: {error}") from None


def by_position(named: Mapping[str, T], names: Sequence[str], prefix: str) -> dict[str, T]:
    """`named` with `<prefix>_<position>` replaced by the name at that position, where no such name exists.

    A lone unnamed entry goes to a lone name. Entries of the other prefix (`output_…` among inputs) are left out.
    """
    placeholders = {f"{prefix}_{i}": name for i, name in enumerate(names)}
    other = {"input": "output_", "output": "input_"}[prefix]
    found: dict[str, T] = {}
    for key, value in named.items():
        if key in names:
            found[key] = value
        elif key in placeholders:
            found[placeholders[key]] = value
        elif not key and len(names) == 1:
            found[names[0]] = value
        elif not key.startswith(other):
            found[key] = value
    return found
