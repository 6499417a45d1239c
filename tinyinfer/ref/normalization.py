"""Normalisations (ONNX BatchNormalization, InstanceNormalization, LayerNormalization, LRN).

Statistics of a row x of n elements: mean = lane_sum(x) / n; var = lane_sum((x − mean)·(x − mean)) / n, each operation
rounded once, n as float32. `arith.lane_sum` says in which order a row is summed.
"""

from __future__ import annotations

import math

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.ref.power import power
from tinyinfer.types import Array


def batch_normalization(x: Array, scale: Array, bias: Array, mean: Array, var: Array, *, epsilon: float) -> Array:
    """a = scale / √(var + epsilon); y = madd(x − mean, a, bias)."""
    factor = scale / np.sqrt(var + np.float32(epsilon))
    along = (-1, *(1,) * (x.ndim - 2))
    return arith.madd(x - mean.reshape(along), factor.reshape(along), bias.reshape(along))


def instance_normalization(x: Array, scale: Array, bias: Array, *, epsilon: float) -> Array:
    """Statistics over the spatial axes in row-major order, then as `batch_normalization`."""
    rows = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    centred, var = _centred(rows)
    factor = scale / np.sqrt(var + np.float32(epsilon))
    return arith.madd(centred, factor[..., None], bias[:, None]).reshape(x.shape)


def layer_normalization(x: Array, scale: Array, bias: Array | None = None, *, axis: int, epsilon: float) -> Array:
    """r = 1 / √(var + epsilon); y = madd((x − mean)·r, scale, bias). An absent bias counts as +0."""
    rows = x.reshape(*x.shape[:axis], math.prod(x.shape[axis:]))
    centred, var = _centred(rows)
    inverse = np.float32(1) / np.sqrt(var + np.float32(epsilon))
    shift = np.zeros(rows.shape[-1], np.float32) if bias is None else bias.reshape(-1)
    return arith.madd(centred * inverse[..., None], scale.reshape(-1), shift).reshape(x.shape)


def lrn(x: Array, *, size: int, alpha: float, beta: float, bias: float) -> Array:
    """s = +0, then s = madd(x, x, s) over the window's channels in ascending order, from ⌊(size − 1)/2⌋ before to
    ⌈(size − 1)/2⌉ after, as far as they exist; y = x / power(madd(alpha / size, s, bias), beta).
    """
    channels = x.shape[1]
    total = np.zeros_like(x)
    for c in range(channels):
        for i in range(max(0, c - (size - 1) // 2), min(channels, c + size // 2 + 1)):
            total[:, c] = arith.madd(x[:, i], x[:, i], total[:, c])
    weight = np.asarray(np.float32(alpha) / np.float32(size))
    scaled = arith.madd(weight, total, np.float32(bias))
    return np.asarray(x / power(scaled, np.asarray(beta, np.float32)))


def _centred(rows: Array) -> tuple[Array, Array]:
    """Rows minus their means, and the variances of the rows."""
    n = np.float32(rows.shape[-1])
    mean = arith.lane_sum(rows) / n
    centred = rows - mean[..., None]
    return centred, np.asarray(arith.lane_sum(centred * centred) / n)
