"""Operators that move elements without computing."""

from __future__ import annotations

import numpy as np

from tinyinfer.types import Array


def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.asarray(x.reshape(shape))


def transpose(x: Array, *, perm: tuple[int, ...]) -> Array:
    return np.asarray(x.transpose(perm))


def concat(*inputs: Array, axis: int) -> Array:
    return np.concatenate(inputs, axis=axis)
