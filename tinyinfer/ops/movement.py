"""Operators that move elements without computing: shape changes, permutation, joining, cutting."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinyinfer.ops import check
from tinyinfer.types import TensorType


def reshape(x: TensorType, *, shape: tuple[int, ...]) -> TensorType:
    """Y has the elements of X in row-major order under a new, fully known shape."""
    check.require(math.prod(shape) == x.size, f"X {x} has {x.size} elements; shape {shape} has {math.prod(shape)}")
    return x.with_shape(shape)


def transpose(x: TensorType, *, perm: tuple[int, ...]) -> TensorType:
    """Axis i of Y is axis perm[i] of X."""
    check.require(sorted(perm) == list(range(x.rank)), f"perm={perm} does not permute the axes of X {x}")
    return x.with_shape(tuple(x.shape[i] for i in perm))


def concat(*inputs: TensorType, axis: int) -> TensorType:
    """Y joins the inputs along `axis`; the other dimensions are equal."""
    first: TensorType = inputs[0]
    check.same_dtype(inputs)
    check.axis(axis, first.rank)
    rest = _without(first.shape, axis)
    check.require(
        all(t.rank == first.rank and _without(t.shape, axis) == rest for t in inputs),
        f"inputs {', '.join(map(str, inputs))} differ in more than axis {axis}",
    )
    joined = sum(t.shape[axis] for t in inputs)
    return first.with_shape((*first.shape[:axis], joined, *first.shape[axis + 1 :]))


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
