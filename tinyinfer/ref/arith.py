"""The arithmetic that operators are made of: multiply-add, clamp, maximum, and sums in a stated order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from tinyinfer.types import Array, Clamp

LANES = 4

# What `madd` is on each tier; nothing else differs between them.
FUSED = {"simd128": False, "relaxed": True}
_fused = ContextVar("fused", default=False)


@contextmanager
def tier(name: str) -> Iterator[None]:
    """Within the block `madd` is that of the tier `name`; outside of any block, that of simd128."""
    if name not in FUSED:
        raise ValueError(f"unknown tier {name!r}; known: {', '.join(FUSED)}")
    token = _fused.set(FUSED[name])
    try:
        yield
    finally:
        _fused.reset(token)


def madd(a: Array, b: Array | np.float32, c: Array | np.float32) -> Array:
    """a·b + c. simd128: the product is rounded to float32, then the sum. relaxed: rounded once (`fused_madd`)."""
    return fused_madd(a, b, c) if _fused.get() else np.asarray(a * b + c)


def fused_madd(a: Array, b: Array | np.float32, c: Array | np.float32) -> Array:
    """a·b + c of float32 rounded once, to nearest, ties to even: IEEE-754 fusedMultiplyAdd.

    In float64 the product is exact and the sum s is rounded to 53 bits. Rounding s again gives the wrong float32
    only where s is a midpoint of two of them and the sum was not exact; its last 28 bits are 0 then. There s is
    rounded to odd instead: to the neighbour on the side of the exact sum, which Knuth's TwoSum finds. (Boldo and
    Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008.)
    """
    product: Array = np.multiply(a, b, dtype=np.float64)
    total: Array = np.asarray(np.add(product, c, dtype=np.float64))
    suspect = total.view(np.int64) & np.int64(0xFFFFFFF) == 0
    if suspect.any():
        product, addend = (np.broadcast_to(x, total.shape)[suspect] for x in (product, np.asarray(c, np.float64)))
        total[suspect] = _to_odd(total[suspect], product, addend)
    return total.astype(np.float32)


def _to_odd(total: Array, a: Array, b: Array) -> Array:
    """a + b rounded to odd in float64, where `total` is the sum rounded to nearest and even; NaN and ∞ pass."""
    rest = total - a
    error = (a - (total - rest)) + (b - rest)
    away = (error > 0) == (total > 0)
    step = np.where(away, np.int64(1), np.int64(-1)) * ((error < 0) | (error > 0))
    return np.asarray(total.view(np.int64) + step).view(np.float64)


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
