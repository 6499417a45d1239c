"""Lowering of resampling: one kernel call for each resized axis, in ascending order, in any layout.

Tables of source positions and weights are made here, when compiling, from exact rational coordinates.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.lower.quantized import flip
from tinyinfer.wasm_backend.lowering import Argument, Lowering, Pointer, Strided
from tinyinfer.wasm_backend.strides import Layout, blocks, strides_of

Row = list[tuple[int, Fraction]]
"""The taps of one output element: unclamped source index and weight."""


def resize(node: Node, to: Lowering) -> None:
    """Axes that map onto themselves are skipped; the elements to extrapolate are filled in at the end."""
    (x,) = node.operands
    y = node.output
    layout = to.layout(y)
    coordinates = [coordinate_table(node, axis) for axis in range(x.type.rank)]
    resized = [a for a, places in enumerate(coordinates) if places != list(range(x.shape[a]))]
    source, shape = to.input(x, layout), list(x.shape)
    if not resized:
        to.view(y, source)
        return
    for axis in resized:
        rows = [taps(node, place, x.shape[axis]) for place in coordinates[axis]]
        before = tuple(shape)
        shape[axis] = y.shape[axis]
        target = _target(to, y, tuple(shape), axis, last=axis == resized[-1])
        _resample(to, target, source, before, layout, axis, rows)
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


def coordinate_table(node: Node, axis: int) -> list[Fraction]:
    """The exact place in X of every element of Y along `axis`: slope · j + offset."""
    length, size = node.operands[0].shape[axis], node.output.shape[axis]
    step = 1 / Fraction(node.attrs["scales"][axis])
    half, end = Fraction(1, 2), length - 1
    mode: str = node.attrs["coordinate_transformation_mode"]
    if mode == "tf_crop_and_resize":
        roi = node.attrs["roi"]
        first, final = (Fraction(roi[i]) * end for i in (axis, len(roi) // 2 + axis))
        slope, offset = ((final - first) / (size - 1), first) if size > 1 else (half, (first + final) / 2)
    elif mode == "align_corners":
        slope, offset = Fraction(end, max(size - 1, 1)), Fraction(0)
    elif mode == "asymmetric" or (mode == "pytorch_half_pixel" and size == 1):
        slope, offset = step, Fraction(0)
    else:
        slope, offset = step, step / 2 - half
        if mode == "half_pixel_symmetric":
            offset += (length - size * step) / 2
    return [slope * j + offset for j in range(size)]


def taps(node: Node, place: Fraction, length: int) -> Row:
    """The taps that make the element at `place`: one for nearest, two for linear, four for cubic."""
    mode: str = node.attrs["mode"]
    if mode == "nearest":
        return [(_round(node.attrs["nearest_mode"], place), Fraction(1))]
    if mode == "linear":
        place = max(Fraction(0), min(place, Fraction(length - 1)))
        base = math.floor(place)
        return [(i, max(1 - abs(place - i), Fraction(0))) for i in (base, base + 1)]
    a = Fraction(node.attrs["cubic_coeff_a"])
    base = math.floor(place)
    row = [(i, _keys(abs(place - i), a)) for i in range(base - 1, base + 3)]
    if node.attrs["exclude_outside"]:
        row = [(i, w if 0 <= i < length else Fraction(0)) for i, w in row]
        total = sum(w for _, w in row) or 1
        row = [(i, w / total) for i, w in row]
    return row


def _round(mode: str, place: Fraction) -> int:
    """The whole coordinate for `place`, which counts as the float32 next to it."""
    near = Fraction(float(np.float32(float(place))))
    below = math.floor(near)
    rest = near - below
    up = {
        "floor": False,
        "ceil": rest > 0,
        "round_prefer_floor": rest > Fraction(1, 2),
        "round_prefer_ceil": rest >= Fraction(1, 2),
    }
    return below + up[mode]


def _keys(distance: Fraction, a: Fraction) -> Fraction:
    """The cubic convolution kernel (Keys, 1981) at a distance of at most 2."""
    d = distance
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a


def _resample(
    to: Lowering, y: Strided, x: Pointer, shape: tuple[int, ...], layout: Layout, axis: int, rows: list[Row]
) -> None:
    """One axis of x [shape]."""
    position, size = layout.index(axis), y.dtype.size
    outer = math.prod(shape[a] for a in layout[:position])
    inner = math.prod(shape[a] for a in layout[position + 1 :])
    length, distances = shape[axis], blocks(y.shape, layout, y.strides, axis)
    assert distances is not None
    offsets = np.array([[min(max(i, 0), length - 1) * inner * size for i, _ in row] for row in rows], np.int32)
    kernel, tables = _tables(to, y.dtype, offsets, [[w for _, w in row] for row in rows])
    to.step(
        kernel,
        y=y.pointer, x=x, **tables, len=length, out=len(rows), inner=inner, yo=distances[0] * size,
        ldy=distances[1] * size, m0=0, m1=outer * len(rows),
    )  # fmt: skip


def _tables(
    to: Lowering, dtype: DType, offsets: Array, weights: list[list[Fraction]]
) -> tuple[str, dict[str, Argument]]:
    """The kernel, and its byte offsets of the taps within the axis and their weights: tap after tap as floats, or for
    bytes two taps of each element, the second weighing a whole number of 2⁻¹⁴, so that both are 1 together.
    """
    if dtype is DType.FLOAT:
        floats = np.array([[float(w) for w in row] for row in weights], np.float32)
        index, weight = to.const(_planes(offsets), "index"), to.const(_planes(floats), "weight")
        return "f32_resize", {"index": index, "w": weight, "taps": offsets.shape[1]}
    one = 1 << 14
    second = np.array([math.floor(row[-1] * one + Fraction(1, 2)) if len(row) > 1 else 0 for row in weights], np.int32)
    columns = [offsets[:, 0], np.where(second > 0, offsets[:, -1], offsets[:, 0]), (one - second) | second << 16]
    table = to.const(np.stack(columns, 1).astype(np.int32), "taps")
    return "x8_resize", {"table": table, "f": flip(dtype)}


def _planes(table: Array) -> Array:
    """[elements, taps] to [taps, elements + 3]: a vector that starts at any element reads zeros past the last."""
    return np.pad(table.T, ((0, 0), (0, 3)))


def _extrapolate(node: Node, to: Lowering, coordinates: list[list[Fraction]]) -> None:
    """Overwrite the elements whose place lies outside X, run by run along each axis."""
    x, y = node.operands[0], node.output
    whole = to.strided(y)
    value = to.const(np.array([node.attrs["extrapolation_value"]], np.float32), "extrapolation")
    for axis, places in enumerate(coordinates):
        begin, last = 0, x.shape[axis] - 1
        for outside, run in itertools.groupby([not 0 <= place <= last for place in places]):
            count = len(list(run))
            if outside:
                part = (*y.shape[:axis], count, *y.shape[axis + 1 :])
                target = Strided(whole.pointer + begin * whole.strides[axis] * 4, DType.FLOAT, part, whole.strides)
                to.copy(target, Strided(value, DType.FLOAT, part, (0,) * len(part)))
            begin += count
