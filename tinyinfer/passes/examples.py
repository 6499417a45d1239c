"""Building blocks for the examples that rules carry."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.types import DType, TensorType

PLAIN: dict[str, Any] = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}


def given(b: GraphBuilder, *shape: int, name: str = "x") -> Value:
    """A float32 graph input."""
    return b.input(name, TensorType(DType.FLOAT, shape))


def weights(b: GraphBuilder, *shape: int, seed: int = 0) -> Value:
    """Random float32 constants."""
    return b.constant(np.random.default_rng(seed).standard_normal(shape).astype(np.float32), "w")


def conv(b: GraphBuilder, x: Value, filters: int = 5, seed: int = 1) -> Value:
    """A 3×3 convolution with bias."""
    return b.add1("Conv", x, weights(b, filters, x.shape[1], 3, 3, seed=seed), weights(b, filters, seed=9), **PLAIN)


def matmul(b: GraphBuilder, x: Value, columns: int = 7) -> Value:
    """A product with a constant matrix."""
    return b.add1("MatMul", x, weights(b, x.shape[-1], columns, seed=2))
