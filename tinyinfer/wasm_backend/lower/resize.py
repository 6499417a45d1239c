"""Lowering of resampling: one kernel call for each resized axis, in ascending order, in any layout.

Tables of source positions and weights are made here, when compiling, from exact rational coordinates.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.lower import rational
from tinyinfer.wasm_backend.lower.quantized import flip
from tinyinfer.wasm_backend.lower.rational import Rationals
from tinyinfer.wasm_backend.lowering import Argument, Lowering, Pointer, Strided
from tinyinfer.wasm_backend.strides import Layout, blocks, strides_of

TAPS = {"nearest": 1, "linear": 2, "cubic": 4}
"""Elements of X that make one of Y, along an axis."""


def resize(node: Node, to: Lowering) -> None:
    """Axes that map onto themselves are skipped; the elements to extrapolate are filled in at the end."""
    (x,) = node.operands
    y = node.output
    layout = to.layout(y)
    to.table(TAPS[node.attrs["mode"]] * sum(y.shape))
    coordinates = [rational.arithmetic(*line(node, axis), y.shape[axis], x.shape[axis]) for axis in range(x.type.rank)]
    resized = [a for a, places in enumerate(coordinates) if not places.counts(x.shape[a])]
    source, shape = to.input(x, layout), list(x.shape)
    if not resized:
        to.view(y, source)
        return
    for axis in resized:
        indices, weights = taps(node, coordinates[axis], x.shape[axis])
        before = tuple(shape)
        shape[axis] = y.shape[axis]
        target = _target(to, y, tuple(shape), axis, last=axis == resized[-1])
        _resample(to, target, source, before, layout, axis, indices, weights)
        source = target.pointer
    if node.attrs["coordinate_transformation_mode"] == "tf_crop_and_resize":
        _extrapolate(node, to, coordinates)


def _target(to: Lowering, y: Value, shape: tuple[int, ...], axis: int, *, last: bool) -> Strided:
    """Memory for the result after one axis."""
    layout = to.layout(y)
    if last and blocks(shape, layout, to.destination(y).strides, axis) is not None:
        return to.output_strided(y)
    pointer = to.output(y) if last else to.scratch(math.prod(shape) * y.dtype.size, f"{y.name}.{axis}")
    return Strided(pointer, y.dtype, shape, strides_of(shape, layout))


def line(node: Node, axis: int) -> tuple[Fraction, Fraction]:
    """Slope and offset: the exact place in X of element j of Y along `axis` is slope · j + offset."""
    length, size = node.operands[0].shape[axis], node.output.shape[axis]
    step = 1 / Fraction(node.attrs["scales"][axis])
    half, end = Fraction(1, 2), length - 1
    mode: str = node.attrs["coordinate_transformation_mode"]
    if mode == "tf_crop_and_resize":
        roi = node.attrs["roi"]
        first, final = (Fraction(roi[i]) * end for i in (axis, len(roi) // 2 + axis))
        return ((final - first) / (size - 1), first) if size > 1 else (half, (first + final) / 2)
    if mode == "align_corners":
        return Fraction(end, max(size - 1, 1)), Fraction(0)
    if mode == "asymmetric" or (mode == "pytorch_half_pixel" and size == 1):
        return step, Fraction(0)
    offset = step / 2 - half
    if mode == "half_pixel_symmetric":
        offset += (length - size * step) / 2
    return step, offset


def taps(node: Node, places: Rationals, length: int) -> tuple[Array, Rationals]:
    """The taps that make each element: unclamped source indices and weights, [elements, taps]."""
    mode: str = node.attrs["mode"]
    if mode == "nearest":
        indices = _round(node.attrs["nearest_mode"], places)[:, None]
        return indices, Rationals(np.ones_like(indices), 1)
    if mode == "linear":
        base, rest = places.clip(0, length - 1).split()
        return np.stack([base, base + 1], 1), Rationals(np.stack([places.below - rest, rest], 1), places.below)
    base, rest = places.split()
    indices = base[:, None] + np.arange(-1, 3)
    weights = _keys(rest, places.below, Fraction(node.attrs["cubic_coeff_a"]))
    if node.attrs["exclude_outside"]:
        above = np.where((indices >= 0) & (indices < length), weights.above, 0)
        total = above.sum(1, keepdims=True)
        weights = Rationals(above, np.where(total == 0, weights.below, total))
    return indices, weights


def _round(mode: str, places: Rationals) -> Array:
    """The whole coordinates for places, which count as the float32 next to them."""
    near = places.floats().astype(np.float32).astype(np.float64)
    below = np.clip(np.floor(near), -rational.FAR, rational.FAR)
    rest = near - below
    up = {"floor": rest < 0, "ceil": rest > 0, "round_prefer_floor": rest > 0.5, "round_prefer_ceil": rest >= 0.5}
    return np.asarray(below.astype(np.int64) + up[mode])


def _keys(rest: Array, one: int, a: Fraction) -> Rationals:
    """The cubic convolution kernel (Keys, 1981) for four taps around places that lie rest/one behind the second."""
    p, q = a.numerator, a.denominator
    rest, one = rational.integers(rest, one, bound=32 * (abs(p) + 3 * q) * one**3)
    inner = [(p + 2 * q) * d**3 - (p + 3 * q) * d**2 * one + q * one**3 for d in (rest, one - rest)]
    outer = [p * (d**3 - 5 * d**2 * one + 8 * d * one**2 - 4 * one**3) for d in (one + rest, 2 * one - rest)]
    return Rationals(np.stack([outer[0], inner[0], inner[1], outer[1]], 1), q * one**3)


def _resample(
    to: Lowering,
    y: Strided,
    x: Pointer,
    shape: tuple[int, ...],
    layout: Layout,
    axis: int,
    indices: Array,
    weights: Rationals,
) -> None:
    """One axis of x [shape]."""
    position, size = layout.index(axis), y.dtype.size
    outer = math.prod(shape[a] for a in layout[:position])
    inner = math.prod(shape[a] for a in layout[position + 1 :])
    length, distances = shape[axis], blocks(y.shape, layout, y.strides, axis)
    assert distances is not None
    offsets = (np.clip(indices, 0, length - 1) * (inner * size)).astype(np.int32)
    kernel, tables = _tables(to, y.dtype, offsets, weights)
    to.step(
        kernel,
        y=y.pointer, x=x, **tables, len=length, out=len(indices), inner=inner, yo=distances[0] * size,
        ldy=distances[1] * size, m0=0, m1=outer * len(indices),
    )  # fmt: skip


def _tables(to: Lowering, dtype: DType, offsets: Array, weights: Rationals) -> tuple[str, dict[str, Argument]]:
    """The kernel, and its byte offsets of the taps within the axis and their weights: tap after tap as floats, or for
    bytes two taps of each element, the second weighing a whole number of 2⁻¹⁴, so that both are 1 together.
    """
    if dtype is DType.FLOAT:
        floats = weights.floats().astype(np.float32)
        index, weight = to.const(_planes(offsets), "index"), to.const(_planes(floats), "weight")
        return "f32_resize", {"index": index, "w": weight, "taps": offsets.shape[1]}
    one = 1 << 14
    second = np.zeros(len(offsets), np.int32)
    if offsets.shape[1] > 1:
        second = Rationals(weights.above[:, 1], weights.below).rounded(one).astype(np.int32)
    columns = [offsets[:, 0], np.where(second > 0, offsets[:, -1], offsets[:, 0]), (one - second) | second << 16]
    table = to.const(np.stack(columns, 1).astype(np.int32), "taps")
    return "x8_resize", {"table": table, "f": flip(dtype)}


def _planes(table: Array) -> Array:
    """[elements, taps] to [taps, elements + 3]: a vector that starts at any element reads zeros past the last."""
    return np.pad(table.T, ((0, 0), (0, 3)))


def _extrapolate(node: Node, to: Lowering, coordinates: list[Rationals]) -> None:
    """Overwrite the elements whose place lies outside X, run by run along each axis."""
    x, y = node.operands[0], node.output
    whole = to.strided(y)
    value = to.const(np.array([node.attrs["extrapolation_value"]], np.float32), "extrapolation")
    for axis, places in enumerate(coordinates):
        outside = (places.above < 0) | (places.above > (x.shape[axis] - 1) * places.below)
        edges = [0, *(np.flatnonzero(outside[1:] != outside[:-1]) + 1).tolist(), len(outside)]
        for begin, end in pairwise(edges):
            if end > begin and outside[begin]:
                part = (*y.shape[:axis], end - begin, *y.shape[axis + 1 :])
                target = Strided(whole.pointer + begin * whole.strides[axis] * 4, DType.FLOAT, part, whole.strides)
                to.copy(target, Strided(value, DType.FLOAT, part, (0,) * len(part)))
