"""Plan ≡ reference where operands are stored in another order than row-major, channels-last among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.cases import CASES
from tests.differential import Case, assert_same_bits, check_case, feeds_of, run_hostile
from tests.strategies import near, tensors
from tinyinfer import compiler, registry
from tinyinfer.graph import Graph
from tinyinfer.ref import interpreter
from tinyinfer.types import Array, DType, TensorType
from tinyinfer.wasm_backend.strides import channels_last

KERNELS = [
    "f32_add", "f32_argmax", "f32_batched_gemm", "f32_batched_gemv", "f32_batchnorm", "f32_cast_u8", "f32_clip",
    "f32_equal", "f32_gemm", "f32_instancenorm", "f32_layernorm", "f32_lrn", "f32_pack", "f32_reduce_max",
    "f32_reduce_sum", "f32_resize", "i64_cast_bool", "i64_div", "i64_gather", "u8_equal", "u8_not", "x32_copy",
    "x32_transpose", "x32_where", "x64_copy", "x64_where", "x8_copy", "x8_where",
]  # fmt: skip


@st.composite
def orders(draw: st.DrawFn, rank: int) -> tuple[int, ...]:
    """Channels-last, where there are channels, or any order of the axes."""
    if rank > 2 and draw(st.booleans()):
        return channels_last(rank)
    return tuple(draw(st.permutations(range(rank))))


def after_a_transpose(case: Case, order: tuple[int, ...]) -> tuple[Graph, dict[str, Array]]:
    """A graph of this node, and its feeds, whose first operand is the view of a tensor with its axes in `order`."""
    builder, feeds = registry.builder("case"), feeds_of(case)
    feeds["x0"] = np.ascontiguousarray(case.inputs[0].transpose(order))
    values = [
        None
        if a is None
        else builder.constant(a, f"c{i}")
        if i in case.constants
        else builder.input(f"x{i}", TensorType(DType.of(a.dtype), feeds[f"x{i}"].shape))
        for i, a in enumerate(case.inputs)
    ]
    perm = tuple(order.index(axis) for axis in range(len(order)))
    first = builder.add1("Transpose", values[0], perm=perm)
    for i, value in enumerate(builder.add(case.op, first, *values[1:], **case.attrs)):
        builder.output(f"y{i}", value)
    return builder.build(), feeds


@pytest.mark.parametrize("kernel", KERNELS)
def test_operand_in_another_storage_order(kernel: str, engine: str) -> None:
    @settings(suppress_health_check=list(HealthCheck))  # many cases have nothing to transpose
    @given(CASES[kernel], st.integers(0, 2**20), st.data())
    def check(case, split, data):
        assume(case.inputs[0].ndim > 1 and 0 not in case.constants)
        graph, feeds = after_a_transpose(case, data.draw(orders(case.inputs[0].ndim)))
        actual = run_hostile(compiler.lower(graph), feeds, engine, 0xFF, split)
        for name, expected in interpreter.run(graph, feeds, registry.reference_of).items():
            assert_same_bits(actual[name], expected, f"{case}: output {name} under {engine}")

    check()


@given(st.data())
def test_matmul_reads_transposed_operands_where_they_are(engine, data):
    """A and B come out of a Transpose, as the heads of attention do: strides instead of copies."""
    m, k, n = (data.draw(near(4, 8, 16)) for _ in range(3))
    m = data.draw(st.sampled_from([1, m]))
    heads = data.draw(st.integers(1, 3))
    builder, feeds, operands = registry.builder("case"), {}, []
    for name, shape in (("a", (heads, m, k)), ("b", (heads, k, n))):
        perm = data.draw(st.permutations(range(3)).map(tuple))
        feeds[name] = data.draw(tensors(tuple(shape[perm.index(i)] for i in range(3))))
        x = builder.input(name, TensorType(DType.FLOAT, feeds[name].shape))
        operands.append(builder.add1("Transpose", x, perm=perm))
    builder.output("y", builder.add1("MatMul", *operands))
    graph = builder.build()
    actual = run_hostile(compiler.lower(graph), feeds, engine, 0xFF, 3)
    expected = interpreter.run(graph, feeds, registry.reference_of)
    assert_same_bits(actual["y"], expected["y"], str(graph))


def test_products_are_written_into_their_part_of_a_concat(engine):
    random, builder = np.random.default_rng(1), registry.builder("case")
    feeds = {"a": random.standard_normal((3, 5, 6), np.float32)}
    a = builder.input("a", TensorType(DType.FLOAT, (3, 5, 6)))
    b, c = (builder.constant(random.standard_normal((3, 6, n), np.float32)) for n in (8, 12))
    whole = builder.add1("Concat", builder.add1("MatMul", a, b), builder.add1("MatMul", a, c), axis=2)
    builder.output("y", builder.add1("Neg", whole))
    graph = builder.build()
    plan = compiler.lower(graph)
    assert {step.kernel for step in plan.steps} == {"f32_batched_gemm", "f32_neg"}
    expected = interpreter.run(graph, feeds, registry.reference_of)
    assert_same_bits(run_hostile(plan, feeds, engine, 0xFF, 3)["y"], expected["y"], str(graph))


@pytest.mark.parametrize(("left", "right"), [((0, 3), (3, 2)), ((2, 3), (3, 0)), ((0, 2, 3), (3, 2)), ((2, 0), (0, 3))])
@pytest.mark.parametrize("constant", [True, False])
def test_matmul_of_nothing(engine, left, right, constant):
    operands = np.ones(left, np.float32), np.ones(right, np.float32)
    check_case(Case("MatMul", operands, {}, frozenset({1} if constant else ())), engine)
