"""The arithmetic that operators are made of: multiply-add, clamp, maximum, and sums in a stated order."""

from __future__ import annotations

import numpy as np

from tinyinfer.types import Array, Clamp

LANES = 4


def madd(a: Array, b: Array | np.float32, c: Array | np.float32) -> Array:
    """a·b + c with two roundings: the product is rounded to float32, then the sum (simd128 tier)."""
    return np.asarray(a * b + c)


def clamp(x: Array, bounds: Clamp) -> Array:
    """min(max(x, lo), hi) where NaN and -0 pass unchanged: a bound replaces x only when strictly beyond it."""
    lo, hi = np.float32(bounds.lo), np.float32(bounds.hi)
    raised = np.where(x < lo, lo, x)
    return np.where(hi < raised, hi, raised)


def maximum(a: Array, b: Array) -> Array:
    """IEEE-754-2019 maximum: NaN if either is NaN; +0 is greater than -0."""
    larger = np.where(a < b, b, a)
    if not np.issubdtype(np.result_type(a, b), np.floating):
        return larger
    larger = np.where((a == b) & np.signbit(a), b, larger)
    return np.where(np.isnan(b), b, larger)


def minimum(a: Array, b: Array) -> Array:
    """IEEE-754-2019 minimum: NaN if either is NaN; -0 is less than +0."""
    smaller = np.where(b < a, b, a)
    if not np.issubdtype(np.result_type(a, b), np.floating):
        return smaller
    smaller = np.where((a == b) & np.signbit(b), b, smaller)
    return np.where(np.isnan(b), b, smaller)


def lane_sum(x: Array) -> Array:
    """Sum over the last axis with four partial sums; returns x.shape[:-1].

    Lane l starts at +0 and adds elements l, l+4, l+8, … in ascending order; elements past the end count as +0.
    The result is (lane0 + lane2) + (lane1 + lane3).
    """
    n = x.shape[-1]
    padded = np.zeros((*x.shape[:-1], -(-n // LANES) * LANES), x.dtype)
    padded[..., :n] = x
    blocks = np.moveaxis(padded.reshape(*x.shape[:-1], -(-n // LANES), LANES), -2, 0)
    lanes = np.zeros((*x.shape[:-1], LANES), x.dtype)
    for block in blocks:
        lanes = lanes + block
    return np.asarray((lanes[..., 0] + lanes[..., 2]) + (lanes[..., 1] + lanes[..., 3]))


def dot_rows(a: Array, w: Array, bias: Array | None) -> Array:
    """C[m, n] = bias[n] + Σk A[m, k]·W[k, n]: bias first, k ascending, one accumulator per output.

    a [M, K], w [K, N], bias [N] or None (+0). Blocked over m so that the accumulators stay in cache; blocking
    does not touch the order within an output.
    """
    m, k = a.shape
    n = w.shape[1]
    start = np.zeros(n, np.float32) if bias is None else bias
    out = np.empty((m, n), np.float32)
    rows = max(1, (1 << 15) // max(n, 1))
    columns = np.ascontiguousarray(a.T)
    for m0 in range(0, m, rows):
        m1 = min(m, m0 + rows)
        acc = np.broadcast_to(start, (m1 - m0, n)).astype(np.float32)
        for i in range(k):
            acc = madd(columns[i, m0:m1, None], w[i], acc)
        out[m0:m1] = acc
    return out
