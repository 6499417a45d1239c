"""Packing of constant weights into the panels that kernels read."""

from __future__ import annotations

import numpy as np

from tinyinfer.types import Array

PANEL = 8
"""Columns of a GEMM panel: two f32 vectors."""

VECTOR = 4
"""Lanes of an f32 vector."""


def pad_last(x: Array, multiple: int) -> Array:
    """x with zeros appended to its last axis up to a multiple."""
    extra = -x.shape[-1] % multiple
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, extra)])


def panels(w: Array) -> Array:
    """[K, N] to [⌈N/8⌉, K, 8]: each panel holds eight columns, row by row."""
    padded = pad_last(w, PANEL)
    return np.ascontiguousarray(padded.reshape(len(w), padded.shape[1] // PANEL, PANEL).transpose(1, 0, 2))


def bias(b: Array | None, n: int, multiple: int) -> Array:
    """[N] (or zeros) padded to a multiple."""
    return pad_last(np.zeros(n, np.float32) if b is None else b, multiple)


def depthwise(w: Array) -> Array:
    """[taps, C] to [⌈C/4⌉, taps, 4], and three more blocks of slack: kernels read sixteen channels at once."""
    padded = pad_last(w, VECTOR)
    blocks = padded.reshape(len(w), -1, VECTOR).transpose(1, 0, 2)
    return np.pad(blocks, ((0, 3), (0, 0), (0, 0)))
