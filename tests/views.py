"""Views: strategies that put movement in front of an operator's operands and behind its results.

A view shows an array inside a larger one, or in another order: what lies around it is garbage that nobody may read or
write. Lowering passes views on as strides, so they decide what strides kernels meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import tensor
from tinyinfer import registry
from tinyinfer.graph import Graph, GraphBuilder, Value
from tinyinfer.types import Array, DType, TensorType
from tinyinfer.wasm_backend.strides import channels_last, plain

View = tuple[Array, Callable[[GraphBuilder, Value], Value]]
"""An array, and the nodes that make the wanted one of it."""


def _garbage(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Elements that show in any result: NaN, or the type's largest number."""
    if dtype == np.bool_:
        return np.ones(shape, dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).max, dtype)


@st.composite
def sliced(draw: st.DrawFn, x: Array) -> View:
    """Every axis forwards or backwards, in steps, with elements before, between and behind."""
    steps = tuple(draw(st.sampled_from([1, -1, 1, 2, -2])) for _ in x.shape)
    before, after = (tuple(draw(st.integers(0, 2)) for _ in x.shape) for _ in range(2))
    spans = tuple((n - 1) * abs(s) + 1 if n else 0 for n, s in zip(x.shape, steps))
    source = _garbage(tuple(map(sum, zip(before, spans, after))), x.dtype)
    starts = tuple(b + (span - 1 if s < 0 and span else 0) for b, span, s in zip(before, spans, steps))
    places = [start + step * np.arange(n) for start, step, n in zip(starts, steps, x.shape)]
    source[np.ix_(*places)] = x
    attrs = {"starts": tuple(s if n else 0 for s, n in zip(starts, x.shape)), "sizes": x.shape, "steps": steps}
    return source, lambda b, v: b.add1("Slice", v, **attrs)


@st.composite
def flipped(draw: st.DrawFn, x: Array) -> View:
    """Some axes backwards, all but the innermost stored one among the choices, and stored channels-last or as it is.

    Nothing lies between the elements, so that rows stay equally far apart: kernels over pixels and rows take those.
    """
    last = draw(st.sampled_from([plain(x.ndim), channels_last(x.ndim)]))
    axes = (
        draw(st.sampled_from([last[:-1], last]))
        if draw(st.booleans())
        else draw(st.sets(st.sampled_from(last or (0,))))
    )
    steps = tuple(-1 if axis in axes and x.shape[axis] else 1 for axis in range(x.ndim))
    attrs = {"starts": tuple(n - 1 if s < 0 else 0 for n, s in zip(x.shape, steps)), "sizes": x.shape, "steps": steps}
    source = x[tuple(slice(None, None, s) for s in steps)].transpose(last)
    perm = tuple(last.index(axis) for axis in range(x.ndim))
    return source, lambda b, v: b.add1("Slice", b.add1("Transpose", v, perm=perm), **attrs)


@st.composite
def transposed(draw: st.DrawFn, x: Array) -> View:
    """The axes in another order."""
    order = tuple(draw(st.permutations(range(x.ndim))))
    perm = tuple(order.index(axis) for axis in range(x.ndim))
    return x.transpose(order), lambda b, v: b.add1("Transpose", v, perm=perm)


@st.composite
def split(draw: st.DrawFn, x: Array) -> View:
    """One part of a tensor."""
    if x.ndim == 0:
        return draw(reshaped(x))
    axis = draw(st.integers(0, x.ndim - 1))
    lengths = (draw(st.integers(0, 2)), x.shape[axis], draw(st.integers(0, 2)))
    parts = [x if i == 1 else _garbage((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype)
             for i, n in enumerate(lengths)]  # fmt: skip
    return np.concatenate(parts, axis), lambda b, v: b.add("Split", v, axis=axis, split=lengths)[1]


@st.composite
def reshaped(draw: st.DrawFn, x: Array) -> View:
    """The same elements under another shape."""
    at = draw(st.integers(0, x.ndim))
    shapes = [(x.size,), (*x.shape[:at], 1, *x.shape[at:])]
    if 0 < at < x.ndim:
        shapes.append((*x.shape[: at - 1], math.prod(x.shape[at - 1 : at + 1]), *x.shape[at + 1 :]))
    source = x.reshape(draw(st.sampled_from(shapes)))
    return source, lambda b, v: b.add1("Reshape", v, shape=x.shape)


@st.composite
def views(draw: st.DrawFn, x: Array) -> View:
    """One view, or a view of a view."""
    kinds = st.sampled_from([sliced, flipped, sliced, flipped, transposed, split, reshaped])
    source, last = draw(draw(kinds)(x))
    if draw(st.booleans()):
        return source, last
    source, first = draw(draw(kinds)(source))
    return source, lambda b, v: last(b, first(b, v))


@st.composite
def repeated(draw: st.DrawFn, case: Case, positions: frozenset[int]) -> Case:
    """The case with operands that may repeat one element along an axis."""
    inputs = list(case.inputs)
    for i in sorted(positions):
        x = inputs[i]
        if x is not None and x.size and x.ndim and draw(st.integers(0, 3)) == 0:
            axis = draw(st.integers(0, x.ndim - 1))
            inputs[i] = np.array(np.broadcast_to(np.take(x, [0], axis), x.shape))
    return Case(case.op, tuple(inputs), case.attrs, case.constants)


def _expanded(x: Array) -> View | None:
    """An array that is the same along some axes, as the Expand of a smaller one."""
    kept = tuple(
        1 if n > 1 and np.take(x, [0], axis).tobytes() * n == np.moveaxis(x, axis, 0).tobytes() else n
        for axis, n in enumerate(x.shape)
    )
    if kept == x.shape or 0 in x.shape:
        return None
    source = x[tuple(slice(0, n) for n in kept)]
    return source, lambda b, v: b.add1("Expand", v, shape=x.shape)


def placed(draw: st.DrawFn, b: GraphBuilder, y: Value, seed: int) -> tuple[Value, dict[str, Array]]:
    """`y` as a part of something larger, maybe in another order first, and the feeds of what lies beside it."""
    if y.type.rank and draw(st.booleans()):
        y = b.add1("Transpose", y, perm=tuple(draw(st.permutations(range(y.type.rank)))))
    if y.type.rank and draw(st.booleans()):
        axis = draw(st.integers(0, y.type.rank - 1))
        beside = (*y.shape[:axis], draw(st.integers(1, 3)), *y.shape[axis + 1 :])
        other = tensor(seed, beside, y.dtype.numpy)
        name = f"{y.name}.beside"
        parts = [y, b.input(name, TensorType(y.dtype, beside))]
        if draw(st.booleans()):
            parts.reverse()
        return b.add1("Concat", *parts, axis=axis), {name: other}
    pads = tuple(draw(st.integers(0, 2)) for _ in range(2 * y.type.rank))
    return b.add1("Pad", y, pads=pads, mode="constant", value=1), {}


@st.composite
def among_views(draw: st.DrawFn, case: Case) -> tuple[Graph, dict[str, Array]]:
    """A graph of the case's node, and its feeds: fed operands are views, results may be parts of larger tensors."""
    b = registry.builder("case")
    fed = frozenset(range(len(case.inputs))) - case.constants
    case = draw(repeated(case, fed))
    feeds: dict[str, Array] = {}
    values: list[Value | None] = []
    for i, x in enumerate(case.inputs):
        if x is None or i in case.constants:
            values.append(None if x is None else b.constant(x, f"c{i}"))
            continue
        expanded = _expanded(x)
        inner, after = (x, None) if expanded is None else expanded
        source, view = draw(views(inner))
        feeds[f"x{i}"] = np.array(source, order="C")
        shown = view(b, b.input(f"x{i}", TensorType(DType.of(source.dtype), source.shape)))
        values.append(shown if after is None else after(b, shown))
    for i, y in enumerate(b.add(case.op, *values, **case.attrs)):
        result = y
        if draw(st.booleans()):
            result, beside = placed(draw, b, y, i)
            feeds |= beside
        b.output(f"y{i}", _copied(b, result))
    return b.build(), feeds


def _copied(b: GraphBuilder, y: Value) -> Value:
    """What reads `y`: an output of a graph is never a part of something else."""
    return b.add1("Tile", y, repeats=(1,) * y.type.rank)
