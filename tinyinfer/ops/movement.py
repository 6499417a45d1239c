"""Operators that move elements without computing: shape changes, permutation, joining, cutting, repetition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinyinfer.ops import check
from tinyinfer.types import DType, TensorType


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
    check.require(len(inputs) > 0, "expected at least one input")
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


def split(x: TensorType, *, axis: int, split: tuple[int, ...]) -> tuple[TensorType, ...]:
    """Consecutive parts of X along `axis`, of the lengths in `split`."""
    check.axis(axis, x.rank)
    check.require(
        min(split, default=0) >= 0 and sum(split) == x.shape[axis],
        f"split={split} does not add up to dimension {axis} of X {x}",
    )
    return tuple(x.with_shape((*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in split)


def slice_(x: TensorType, *, starts: tuple[int, ...], sizes: tuple[int, ...], steps: tuple[int, ...]) -> TensorType:
    """Y[i, …] = X[starts[0] + i·steps[0], …]: one start, size and step for each axis; steps may be negative.

    ONNX Slice with ends resolved to sizes and everything clamped to X: no index lies outside X.
    """
    for name, values in (("starts", starts), ("sizes", sizes), ("steps", steps)):
        check.require(len(values) == x.rank, f"{name}={values}: expected one value for each axis of X {x}")
    for axis, (start, size, step, extent) in enumerate(zip(starts, sizes, steps, x.shape, strict=True)):
        last = start + (size - 1) * step
        check.require(
            step != 0 and (size == 0 or (size > 0 and 0 <= start < extent and 0 <= last < extent)),
            f"axis {axis} of X {x}: start {start}, size {size}, step {step} leave the axis",
        )
    return x.with_shape(sizes)


def expand(x: TensorType, *, shape: tuple[int, ...]) -> TensorType:
    """Y is X broadcast to `shape`, the full shape of Y."""
    check.require(
        check.broadcast(x.shape, shape) == shape, f"X {x} does not broadcast to shape {shape}, which must be that of Y"
    )
    return x.with_shape(shape)


def tile(x: TensorType, *, repeats: tuple[int, ...]) -> TensorType:
    """Y[i, …] = X[i mod X.shape[0], …], each axis `repeats` times as long."""
    check.require(
        len(repeats) == x.rank and min(repeats, default=0) >= 0,
        f"repeats={repeats}: expected one value ≥ 0 for each axis of X {x}",
    )
    return x.with_shape(tuple(n * r for n, r in zip(x.shape, repeats, strict=True)))


PAD_MODES = ("constant", "reflect", "edge", "wrap")


def pad(x: TensorType, *, pads: tuple[int, ...], mode: str = "constant", value: float | int = 0) -> TensorType:
    """Y is X with pads[i] elements before and pads[rank + i] after axis i.

    mode  what lies outside of X: `value` ("constant"), its mirror image, the border not repeated ("reflect"), its
          nearest element ("edge"), or X again, as on a torus ("wrap"). `value` is an element of X's type.
    """
    check.require(mode in PAD_MODES, f"mode={mode!r}; accepted: {', '.join(PAD_MODES)}")
    check.require(
        len(pads) == 2 * x.rank and min(pads, default=0) >= 0,
        f"pads={pads}: expected {2 * x.rank} values ≥ 0, all begins, then all ends, for X {x}",
    )
    if mode == "constant":
        check.require(_is_element(value, x.dtype), f"value={value} is not a {x.dtype.value}, the element type of X")
    shape = []
    for axis, extent in enumerate(x.shape):
        extra = pads[axis] + pads[x.rank + axis]
        check.require(
            extent > 0 or extra == 0 or mode == "constant", f"X {x}: mode {mode} has nothing to repeat on axis {axis}"
        )
        shape.append(extent + extra)
    return x.with_shape(tuple(shape))


def _is_element(value: float | int, dtype: DType) -> bool:
    if dtype.is_float:
        return True
    if dtype is DType.BOOL:
        return value in (0, 1)
    limits = np.iinfo(dtype.numpy)
    return limits.min <= value <= limits.max and value == int(value)


def gather(x: TensorType, indices: TensorType, *, axis: int) -> TensorType:
    """Y[…, i, …] = X[…, indices[i], …]: the axes of `indices` replace `axis` of X.

    An index below 0 counts from the end. What is then still outside is clamped to the nearest valid index (ONNX
    leaves it undefined).
    """
    check.axis(axis, x.rank)
    check.dtype(indices, (DType.INT64, DType.INT32), "indices")
    check.require(x.shape[axis] > 0 or indices.size == 0, f"X {x} has no element on axis {axis} for indices {indices}")
    return x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def depth_to_space(x: TensorType, *, blocksize: int, mode: str = "DCR") -> TensorType:
    """[N, C, H, W] to [N, C/b², H·b, W·b]: channels become b×b blocks of pixels.

    mode  how the channels of X are counted: block row, block column, channel of Y ("DCR"), or channel of Y first
          ("CRD", the pixel shuffle).
    """
    check.require(mode in ("DCR", "CRD"), f"mode={mode!r}; accepted: DCR, CRD")
    check.require(x.rank == 4, f"X is {x}; expected [N, C, H, W]")
    check.require(
        blocksize > 0 and x.shape[1] % blocksize**2 == 0,
        f"X {x}: {x.shape[1]} channels do not divide into blocks of {blocksize}×{blocksize}",
    )
    n, c, h, w = x.shape
    return x.with_shape((n, c // blocksize**2, h * blocksize, w * blocksize))


def space_to_depth(x: TensorType, *, blocksize: int) -> TensorType:
    """[N, C, H, W] to [N, C·b², H/b, W/b]: the inverse of `depth_to_space` in mode DCR."""
    check.require(x.rank == 4, f"X is {x}; expected [N, C, H, W]")
    check.require(
        blocksize > 0 and x.shape[2] % blocksize == 0 and x.shape[3] % blocksize == 0,
        f"X {x}: height and width do not divide into blocks of {blocksize}×{blocksize}",
    )
    n, c, h, w = x.shape
    return x.with_shape((n, c * blocksize**2, h // blocksize, w // blocksize))


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
