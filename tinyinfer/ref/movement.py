"""Operators that move elements without computing. Any element type; no element changes a bit."""

from __future__ import annotations

import itertools

import numpy as np

from tinyinfer.types import Array


def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.asarray(x.reshape(shape))


def transpose(x: Array, *, perm: tuple[int, ...]) -> Array:
    return np.asarray(x.transpose(perm))


def concat(*inputs: Array, axis: int) -> Array:
    return np.concatenate(inputs, axis=axis)


def split(x: Array, *, axis: int, split: tuple[int, ...]) -> tuple[Array, ...]:
    ends = itertools.accumulate(split)
    return tuple(np.take(x, np.arange(end - n, end), axis) for n, end in zip(split, ends, strict=True))


def slice_(x: Array, *, starts: tuple[int, ...], sizes: tuple[int, ...], steps: tuple[int, ...]) -> Array:
    for axis, (start, size, step) in enumerate(zip(starts, sizes, steps, strict=True)):
        x = np.take(x, start + step * np.arange(size), axis)
    return x


def expand(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(x, shape)


def tile(x: Array, *, repeats: tuple[int, ...]) -> Array:
    for axis, (n, count) in enumerate(zip(x.shape, repeats, strict=True)):
        x = np.take(x, np.arange(n * count) % max(n, 1), axis)
    return x


def pad(x: Array, *, pads: tuple[int, ...], mode: str = "constant", value: float | int = 0) -> Array:
    """Axis by axis: position i of the padded axis, counted from the first element of x, shows element

    edge      min(max(i, 0), n − 1)
    wrap      i mod n
    reflect   t = i mod 2(n − 1), folded back to 2(n − 1) − t where t ≥ n; the only element when n = 1
    """
    begins, ends = pads[: x.ndim], pads[x.ndim :]
    if mode == "constant":
        y = np.full([b + n + e for b, n, e in zip(begins, x.shape, ends, strict=True)], value, x.dtype)
        y[tuple(slice(b, b + n) for b, n in zip(begins, x.shape, strict=True))] = x
        return y
    for axis, (before, n, after) in enumerate(zip(begins, x.shape, ends, strict=True)):
        i = np.arange(-before, n + after)
        if mode == "edge":
            shown = np.minimum(np.maximum(i, 0), n - 1)
        elif mode == "wrap":
            shown = i % max(n, 1)
        else:
            period = max(2 * (n - 1), 1)
            shown = np.where(i % period < n, i % period, period - i % period)
        x = np.take(x, shown, axis)
    return x


def gather(x: Array, indices: Array, *, axis: int) -> Array:
    """index → index + n if it is below 0; then min(max(index, 0), n − 1)."""
    n = x.shape[axis]
    wide = indices.astype(np.int64)
    counted = np.where(wide < 0, wide + n, wide)
    return np.asarray(np.take(x, np.minimum(np.maximum(counted, 0), n - 1), axis))


def depth_to_space(x: Array, *, blocksize: int, mode: str = "DCR") -> Array:
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        blocks = x.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return np.asarray(blocks.reshape(n, c // b**2, h * b, w * b))


def space_to_depth(x: Array, *, blocksize: int) -> Array:
    n, c, h, w = x.shape
    b = blocksize
    blocks = x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return np.asarray(blocks.reshape(n, c * b**2, h // b, w // b))
