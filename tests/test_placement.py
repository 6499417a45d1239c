"""Values that are parts of others: no copies where strides allow, the same bits everywhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.differential import assert_same_bits, describe, run_hostile
from tests.graphs import feeds
from tests.strategies import seeds, tensor
from tinyinfer import compiler, passes, registry, rewrite
from tinyinfer.graph import Graph, GraphBuilder, Value
from tinyinfer.ref import interpreter
from tinyinfer.types import Clamp, DType, TensorType
from tinyinfer.wasm_backend import layout, placement, strides
from tinyinfer.wasm_backend.kernel_module import load_kernels

COPIES = {"x8_copy", "x32_copy", "x64_copy", "x32_transpose"}


# ── random graphs of parts ───────────────────────────────────────────────────────────────────────────────────────────


def convolve(
    b: GraphBuilder, x: Value, filters: int, size: int, residual: Value | None = None, group: int = 1
) -> Value:
    w = b.constant(tensor(filters + size, (filters, x.shape[1] // group, size, size), scale=0.5), "w")
    attrs = {"strides": (1, 1), "pads": (size // 2,) * 4, "dilations": (1, 1), "group": group}
    return b.add1("Conv", x, w, None, residual, **attrs)


def pool(b: GraphBuilder, op: str, x: Value) -> Value:
    attrs = {"kernel_shape": (3, 3), "strides": (1, 1), "pads": (1,) * 4, "dilations": (1, 1), "ceil_mode": False}
    return b.add1(op, x, **attrs, **({"count_include_pad": False} if op == "AveragePool" else {}))


def upsample(b: GraphBuilder, x: Value) -> Value:
    n, c, h, w = x.shape
    return b.add1(
        "Resize", x, sizes=(n, c, 2 * h, 2 * w), scales=(1.0, 1.0, 2.0, 2.0), mode="nearest", roi=(),
        coordinate_transformation_mode="asymmetric", nearest_mode="floor", cubic_coeff_a=-0.75,
        exclude_outside=False, extrapolation_value=0.0,
    )  # fmt: skip


def split(b: GraphBuilder, x: Value, axis: int, first: int) -> tuple[Value, ...]:
    return b.add("Split", x, axis=axis, split=(first, x.shape[axis] - first))


def grow_map(draw: st.DrawFn, b: GraphBuilder, x: Value, values: list[Value]) -> Value | None:
    """A kernel over feature maps, some with a residual."""
    if x.type.rank != 4:
        return None
    kind = draw(st.sampled_from(["residual", "conv", "depthwise", "groups", "pool", "upsample"]))
    size = draw(st.sampled_from([1, 3]))
    channels = x.shape[1]
    added = draw(st.sampled_from([None, *(v for v in values if v.type == x.type)]))
    if kind == "pool":
        return pool(b, draw(st.sampled_from(["MaxPool", "AveragePool"])), x)
    if kind == "upsample":
        return upsample(b, x)
    if kind == "depthwise":
        return convolve(b, x, channels, size, added, channels)
    if kind == "groups":
        return convolve(b, x, channels, size, None, 2 if channels % 2 == 0 else 1)
    return convolve(b, x, *((channels, size, added) if kind == "residual" else (draw(st.integers(1, 9)), size)))


def grow_concat(draw: st.DrawFn, b: GraphBuilder, x: Value, values: list[Value]) -> Value:
    axis = draw(st.integers(0, x.type.rank - 1))
    outside = (*x.shape[:axis], *x.shape[axis + 1 :])
    fits = [v for v in values if v.type.rank == x.type.rank and (*v.shape[:axis], *v.shape[axis + 1 :]) == outside]
    return b.add1("Concat", *draw(st.lists(st.sampled_from(fits), min_size=1, max_size=4)), axis=axis)


def grow_slice(draw: st.DrawFn, b: GraphBuilder, x: Value, values: list[Value]) -> Value:
    steps = tuple(draw(st.sampled_from([1, 1, 2, -1])) for _ in x.shape)
    starts = tuple(draw(st.integers(0, n - 1)) for n in x.shape)
    sizes = tuple(
        draw(st.integers(1, (n - 1 - at) // step + 1 if step > 0 else at // -step + 1))
        for n, at, step in zip(x.shape, starts, steps)
    )
    return b.add1("Slice", x, starts=starts, sizes=sizes, steps=steps)


def grow_elements(draw: st.DrawFn, b: GraphBuilder, x: Value, values: list[Value]) -> Value:
    op = draw(st.sampled_from(["Abs", "Clip", "LeakyRelu", "Add", "Mul", "Sub", "Softmax"]))
    if op in ("Add", "Mul", "Sub"):
        return b.add1(op, x, draw(st.sampled_from([v for v in values if v.type == x.type])))
    attrs = {"Clip": {"clamp": Clamp(0.0, 6.0)}, "LeakyRelu": {"alpha": 0.1}, "Softmax": {"axis": 1}}
    return b.add1(op, x, **attrs.get(op, {}))


def grow_shape(draw: st.DrawFn, b: GraphBuilder, x: Value, values: list[Value]) -> Value:
    if draw(st.booleans()):
        return b.add1("Transpose", x, perm=tuple(draw(st.permutations(range(x.type.rank)))))
    n, c, *rest = x.shape
    shapes = [(n, c, *rest[:-2], int(np.prod(rest[-2:]))), (n, *rest, c), (n * c, *rest), (*x.shape, 1)]
    return b.add1("Reshape", x, shape=draw(st.sampled_from(shapes)))


def grow_product(draw: st.DrawFn, b: GraphBuilder, x: Value, values: list[Value]) -> Value:
    """A matrix product, or rows that a Gather picks."""
    if draw(st.booleans()):
        w = tensor(x.type.size, (x.shape[-1], draw(st.integers(1, 9))), scale=0.5)
        return b.add1("MatMul", x, b.constant(w, "w"))
    axis = draw(st.integers(0, x.type.rank - 1))
    picked = draw(st.lists(st.integers(0, x.shape[axis] - 1), min_size=1, max_size=10))
    return b.add1("Gather", x, b.constant(np.array(picked), "picked"), axis=axis)


def grow_pad(draw: st.DrawFn, b: GraphBuilder, x: Value, values: list[Value]) -> Value:
    pads = tuple(draw(st.integers(0, 2)) for _ in range(2 * x.type.rank))
    mode = draw(st.sampled_from(["constant", "edge", "reflect", "wrap"]))
    return b.add1("Pad", x, pads=pads, mode=mode, value=1.0)


GROWTH = [grow_pad, grow_map, grow_map, grow_concat, grow_slice, grow_elements, grow_elements, grow_shape, grow_product]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Feature maps that are split, sliced, computed on and concatenated, in any order."""
    b = registry.builder("parts")
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 4)), draw(st.integers(1, 5)))
    values = [b.input("x", TensorType(DType.FLOAT, shape))]
    for _ in range(draw(st.integers(3, 14))):
        x = values[-1 - min(draw(st.integers(0, 4)), len(values) - 1)]
        if draw(st.integers(0, 7)) == 0:
            axis = draw(st.integers(0, x.type.rank - 1))
            grown = split(b, x, axis, draw(st.integers(1, x.shape[axis] - 1))) if x.shape[axis] > 1 else ()
        else:
            grown = (draw(st.sampled_from(GROWTH))(draw, b, x, values),)
        values.extend(v for v in grown if v is not None and v.type.rank >= 2 and v.type.size <= 6000)
    for i, v in enumerate(dict.fromkeys([values[-1], *draw(st.lists(st.sampled_from(values), max_size=3))])):
        b.output(f"y{i}", v)
    return rewrite.prune(b.build())


@settings(max_examples=300)
@given(graphs(), seeds(), st.integers(0, 2**20))
def test_parts_have_the_bits_of_the_reference(engine: str, graph: Graph, seed: int, at: int) -> None:
    plan, given_ = compiler.lower(graph), feeds(graph, seed)
    assert plan.live_bytes <= plan.arena_bytes
    actual = run_hostile(plan, given_, engine, 0xFF, at)
    for name, expected in interpreter.run(graph, given_, registry.reference_of).items():
        assert_same_bits(actual[name], expected, f"{graph}\n{describe(plan)}\noutput {name}")


# ── graphs without copies ────────────────────────────────────────────────────────────────────────────────────────────


def feature_map(b: GraphBuilder, *shape: int, name: str = "x") -> Value:
    """A channels-last value to start from: a convolution of an input."""
    return convolve(b, b.input(name, TensorType(DType.FLOAT, shape)), shape[1], 1)


def dense_block(b: GraphBuilder) -> Value:
    """Each convolution reads the concatenation of all results before it."""
    parts = [feature_map(b, 1, 6, 5, 6)]
    for _ in range(3):
        joined = b.add1("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        parts.append(b.add1("Swish", convolve(b, joined, 5, 3)))
    return b.add1("Concat", *parts, axis=1)


def cross_stage(b: GraphBuilder) -> Value:
    """Half of the channels through a bottleneck with a residual connection, all of them concatenated."""
    kept, passed = split(b, b.add1("Swish", feature_map(b, 2, 12, 5, 6)), 1, 6)
    deep = b.add1("Add", passed, b.add1("Swish", convolve(b, passed, 6, 3)))
    return convolve(b, b.add1("Concat", b.add1("Abs", kept), deep, axis=1), 5, 1)


def pyramid(b: GraphBuilder) -> Value:
    """Pooled in a row, resampled, all scales concatenated."""
    x = feature_map(b, 1, 6, 6, 6)
    pooled = pool(b, "MaxPool", x)
    half = split(b, feature_map(b, 1, 10, 3, 3, name="half"), 1, 4)[1]
    small = convolve(b, half, 3, 3)
    return b.add1("Concat", convolve(b, x, 5, 3), pooled, pool(b, "AveragePool", pooled), upsample(b, small), axis=1)


def heads(b: GraphBuilder) -> Value:
    """Detections of two scales, flattened and joined along the positions."""
    scales = [feature_map(b, 1, 6, n, n, name=f"x{n}") for n in (4, 2)]
    flat = [b.add1("Reshape", convolve(b, x, 6, 3), shape=(1, 6, x.shape[2] ** 2)) for x in scales]
    return b.add1("Transpose", b.add1("Concat", *flat, axis=2), perm=(0, 2, 1))


def border(b: GraphBuilder) -> Value:
    """The result of an element-wise operator with a border of mirrored pixels: only those are copied."""
    x = b.add1("Abs", feature_map(b, 1, 6, 6, 6))
    return convolve(b, b.add1("Pad", x, pads=(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect", value=0.0), 3, 3)


def test_padding_copies_the_border_only(engine) -> None:
    b = registry.builder("case")
    b.output("y", border(b))
    graph = b.build()
    plan = compiler.lower(graph)
    names = [p.name for p in load_kernels().signature("x32_copy")]
    copies = [dict(zip(names, s.args)) for s in plan.steps if s.kernel == "x32_copy"]
    assert sum(c["n5"] * c["m1"] for c in copies) == 6 * (8 * 8 - 6 * 6), describe(plan)
    actual = run_hostile(plan, feeds(graph, 0), engine, 0x7F, 5)["y"]
    assert_same_bits(actual, interpreter.run(graph, feeds(graph, 0), registry.reference_of)["y"], "border")


@pytest.mark.parametrize("build", [dense_block, cross_stage, pyramid, heads])
def test_no_copies_inside(build, engine) -> None:
    """What is copied is the input on its way to channels-last and the output on its way back, no more."""
    b = registry.builder("case")
    b.output("y", build(b))
    graph = passes.run(b.build())
    plan = compiler.lower(graph)
    first = [i for i, node in enumerate(graph.nodes) if node.operands[0] in graph.inputs.values()]
    last = len(graph.nodes) - 1
    inside = [s for s in plan.steps if s.kernel in COPIES and s.node not in (*first, last)]
    assert inside == [], describe(plan)
    actual = run_hostile(plan, feeds(graph, 0), engine, 0x7F, 5)["y"]
    assert_same_bits(actual, interpreter.run(graph, feeds(graph, 0), registry.reference_of)["y"], build.__name__)


def test_a_place_is_refused_when_it_would_hold_more_memory() -> None:
    """A small map made first and concatenated last: in place, the whole result would be alive all the time."""
    b = registry.builder("case")
    early = b.add1("Abs", feature_map(b, 1, 2, 8, 8))
    x = early
    for _ in range(3):
        x = convolve(b, x, 48, 1)
    x = convolve(b, x, 30, 1)
    b.output("y", convolve(b, b.add1("Concat", x, early, axis=1), 1, 1))
    graph = b.build()
    parts = placement.choose(graph, layout.choose(graph, registry.layout_of), registry.SEMANTICS)
    assert x in parts
    assert early not in parts


# ── strides ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_reshaped_strides_are_those_of_numpy(shape, data) -> None:
    """Where NumPy reshapes without a copy, so do we, to the same elements; elsewhere neither does."""
    perm = data.draw(st.permutations(range(len(shape))))
    x = np.arange(int(np.prod(shape)), dtype=np.int8).reshape(shape).transpose(perm)
    x = x[tuple(slice(data.draw(st.integers(0, n - 1)), None) for n in x.shape)]
    size = x.size
    factors = [n for n in range(1, size + 1) if size % n == 0]
    first = data.draw(st.sampled_from(factors))
    target = data.draw(st.permutations([first, size // first, 1]))
    found = strides.reshaped(x.shape, x.strides, tuple(target))
    view = x.view()
    try:
        view.shape = tuple(target)
    except AttributeError:
        assert found is None
        return
    assert found is not None
    assert strides.same(target, found, view.strides)


def test_pitch() -> None:
    last = (0, 2, 3, 1)
    assert strides.pitch((1, 4, 5, 6), last, strides.strides_of((1, 4, 5, 6), last)) == 4
    assert strides.pitch((2, 4, 5, 6), last, strides.strides_of((2, 9, 5, 6), last)) == 9
    assert strides.pitch((1, 4, 5, 6), last, strides.strides_of((1, 4, 5, 7), last)) is None
    assert strides.pitch((1, 4, 5, 6), last, strides.strides_of((1, 4, 5, 6), (0, 1, 2, 3))) is None


def test_groups_of_a_reshape_have_equal_products() -> None:
    for shape, target in itertools.permutations([(2, 3, 4), (6, 4), (1, 24), (4, 6), (2, 1, 12), (24,)], 2):
        for mine, theirs in strides.regroup(shape, target):
            assert np.prod([shape[i] for i in mine]) == np.prod([target[i] for i in theirs])
