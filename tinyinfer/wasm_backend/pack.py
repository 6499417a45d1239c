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


def conv_panels(w: Array) -> Array:
    """[M, C, KH, KW] to panels of [KH·KW·C, M]: the order in which a convolution accumulates."""
    return panels(w.transpose(2, 3, 1, 0).reshape(-1, w.shape[0]))


def depthwise(w: Array) -> Array:
    """[C, 1, KH, KW] to [⌈C/4⌉, KH·KW, 4], and three more blocks of slack: kernels read sixteen channels at once."""
    taps = pad_last(w.reshape(w.shape[0], -1).T, VECTOR)
    blocks = taps.reshape(len(taps), -1, VECTOR).transpose(1, 0, 2)
    return np.pad(blocks, ((0, 3), (0, 0), (0, 0)))
