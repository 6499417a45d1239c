"""Comparing arrays as the law does: the same bits, with every NaN counted as one value and ±0 kept apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyinfer.types import Array


def same_bits(a: Array, b: Array) -> Array:
    """Element-wise bit equality of two arrays of one element type and shape."""
    if a.dtype.kind != "f":
        return np.asarray(a == b)
    raw = np.dtype(f"u{a.dtype.itemsize}")
    bits = np.ascontiguousarray(a).view(raw) == np.ascontiguousarray(b).view(raw)
    return np.asarray(bits.reshape(a.shape) | (np.isnan(a) & np.isnan(b)))


def show(value: Any) -> str:
    """A NumPy scalar as a person and as a machine read it: `0.1 (0x1.99999ap-4, bits 3dcccccd)`."""
    scalar = np.asarray(value)
    bits = scalar.reshape(1).view(np.uint8)[::-1].tobytes().hex()
    if scalar.dtype.kind != "f":
        return f"{scalar.item()!r} (bits {bits})"
    return f"{scalar[()]!s} ({float(value).hex()}, bits {bits})"
