"""Rewrites keep the meaning: every rule on its own example, and whole pipelines on random graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential import assert_same_bits, run_hostile
from tests.graphs import feeds, graphs
from tests.strategies import seeds
from tinyinfer import compiler, passes, registry, rewrite
from tinyinfer.equivalence import compare, first_break
from tinyinfer.graph import Graph, GraphBuilder, Value
from tinyinfer.passes.common import merge_equal
from tinyinfer.passes.examples import conv, matmul, weights
from tinyinfer.passes.examples import given as placeholder
from tinyinfer.ref import interpreter
from tinyinfer.types import Array, Clamp, DType, TensorType

ALL_RULES = list({rule.title: rule for step in passes.PIPELINE for rule in step.rules}.values())
EXACT_RULES = [rule for rule in ALL_RULES if rule.promise.exact]


def reference(graph: Graph, inputs: dict[str, Array]) -> dict[str, Array]:
    return interpreter.run(graph, inputs, registry.reference_of)


def build(example: rewrite.Example) -> Graph:
    b = registry.builder("example")
    b.output("y", example(b))
    return b.build()


def operators(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.title)
def test_rule_keeps_its_example(rule: rewrite.Rule) -> None:
    before = build(rule.example)
    after = rewrite.apply_rules(before, [rule], registry.SEMANTICS)
    after.verify()
    assert [str(n) for n in after.nodes] != [str(n) for n in before.nodes], "the rule does not match its example"
    for seed in range(3):
        inputs = feeds(before, seed, special=0.2 if rule.promise.exact else 0.0)
        comparison = compare(before, after, inputs)
        assert comparison.compared
        assert comparison.deviations == []
        if rule.promise.exact:
            assert_same_bits(reference(after, inputs)["y"], reference(before, inputs)["y"], rule.title)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.title)
def test_rule_keeps_its_promise_for_any_numbers(rule: rewrite.Rule) -> None:
    before = build(rule.example)
    after = rewrite.apply_rules(before, [rule], registry.SEMANTICS)
    for seed, scale in enumerate([1e-30, 1e-3, 1.0, 30.0, 1e4, 1e30]):
        inputs = {n: a if a.dtype != np.float32 else a * np.float32(scale) for n, a in feeds(before, seed).items()}
        assert compare(before, after, inputs).deviations == []
        hostile = feeds(before, seed, special=0.5)
        assert compare(before, after, hostile).deviations == []


@given(graphs(), seeds())
def test_exact_rules_keep_every_bit_of_random_graphs(graph: Graph, seed: int) -> None:
    inputs = feeds(graph, seed, special=0.1)
    merged = merge_equal(rewrite.prune(graph), registry.SEMANTICS)
    after = rewrite.apply_rules(merged, EXACT_RULES, registry.SEMANTICS)
    after.verify()
    expected, actual = reference(graph, inputs), reference(after, inputs)
    for name in expected:
        assert_same_bits(actual[name], expected[name], f"output {name}\n{graph}\n{after}")


@given(graphs(), seeds())
def test_pipeline_keeps_random_graphs_within_rounding(graph: Graph, seed: int) -> None:
    inputs = feeds(graph, seed)
    expected, actual = reference(graph, inputs), reference(passes.run(graph), inputs)
    for name in expected:
        # Every folded scale changes a rounding; cancellation makes the largest value the right yardstick.
        scale = max(1.0, *(float(np.abs(a).max()) for a in _intermediate(graph, inputs)))
        assert np.abs(actual[name] - expected[name]).max() <= 2e-5 * scale


def _intermediate(graph: Graph, inputs: dict[str, Array]) -> list[Array]:
    outputs = [a for _, arrays in interpreter.trace(graph, inputs, registry.reference_of) for a in arrays]
    return [a for a in outputs if a.size] or [np.zeros(1)]


@given(graphs(), seeds(), st.sampled_from([0.0, 0.1]))
def test_every_rewrite_keeps_its_promise_on_random_graphs(graph: Graph, seed: int, special: float) -> None:
    inputs = feeds(graph, seed, special)
    after = passes.run(graph)
    comparison = compare(graph, after, inputs)
    assert comparison.deviations == [], f"{first_break(graph, inputs)}\n{graph}\n{after}"


@given(graphs(), seeds())
def test_plan_equals_reference_on_random_graphs(engine: str, graph: Graph, seed: int) -> None:
    inputs = feeds(graph, seed, special=0.1)
    for stage in (graph, passes.run(graph)):
        expected = reference(stage, inputs)
        actual = run_hostile(compiler.lower(stage), inputs, engine, 0xFF, seed)
        for name in expected:
            assert_same_bits(actual[name], expected[name], f"output {name} under {engine}\n{stage}")


def test_convolution_takes_up_normalization_residual_and_clamp() -> None:
    def example(b: GraphBuilder) -> Value:
        x = placeholder(b, 1, 5, 6, 6)
        variance = b.constant(np.ones(5, np.float32), "variance")
        y = b.add1("BatchNormalization", conv(b, x), *(weights(b, 5, seed=i) for i in range(3)), variance, epsilon=1e-5)
        return b.add1("Clip", b.add1("Add", x, y), clamp=Clamp(0.0))

    graph = passes.run(build(example))
    (node,) = graph.nodes
    assert node.op == "Conv"
    assert node.attrs["clamp"] == Clamp(0.0)
    assert node.inputs[3] is graph.inputs["x"]


def test_a_value_read_elsewhere_is_not_fused_away() -> None:
    def example(b: GraphBuilder) -> Value:
        y = conv(b, placeholder(b, 1, 5, 6, 6))
        b.output("raw", y)
        return b.add1("Clip", y, clamp=Clamp(0.0))

    assert operators(passes.run(build(example))) == ["Conv", "Clip"]


def test_equal_expressions_are_computed_once_even_with_equal_but_distinct_constants() -> None:
    def example(b: GraphBuilder) -> Value:
        x = placeholder(b, 4, 6)
        return b.add1("Sub", matmul(b, x), matmul(b, x))

    assert operators(merge_equal(build(example), registry.SEMANTICS)) == ["MatMul", "Sub"]


def test_an_embedding_and_its_transpose_are_stored_once() -> None:
    def example(b: GraphBuilder) -> Value:
        table = np.random.default_rng(3).standard_normal((40, 6)).astype(np.float32)
        indices = b.input("i", TensorType(DType.INT64, (1, 5)))
        hidden = b.add1("Clip", b.add1("Gather", b.constant(table), indices, axis=0), clamp=Clamp(-1.0, 1.0))
        return b.add1("MatMul", hidden, b.constant(table.T))

    graph = build(example)
    after = passes.run(graph)
    inputs: dict[str, Array] = {"i": np.array([[3, -1, 39, 99, 0]])}
    assert_same_bits(reference(after, inputs)["y"], reference(graph, inputs)["y"], str(after))
    assert compiler.lower(after).weight_bytes < 1.5 * 40 * 6 * 4 < compiler.lower(graph).weight_bytes


def test_heads_are_merged_and_embeddings_gathered_without_copies() -> None:
    def example(b: GraphBuilder) -> Value:
        heads = b.add1("MatMul", placeholder(b, 3, 5, 4, name="a"), placeholder(b, 3, 4, 8, name="b"))
        rows = b.add1("Gather", weights(b, 24, 9), b.input("i", TensorType(DType.INT64, (5,))), axis=1)
        merged = b.add1("Reshape", b.add1("Transpose", heads, perm=(1, 0, 2)), shape=(5, 24))
        return b.add1("Add", merged, b.add1("Transpose", rows, perm=(1, 0)))

    steps = [step.kernel for step in compiler.lower(build(example)).steps]
    assert steps == ["f32_pack", "f32_batched_gemm", "i64_gather_panels", "f32_add"]


def test_queries_keys_and_values_of_one_product_need_no_copies() -> None:
    def example(b: GraphBuilder) -> Value:
        qkv = b.add1("MatMul", placeholder(b, 5, 8), weights(b, 8, 96, seed=1), weights(b, 96, seed=2))
        q, k, v = b.add("Split", qkv, axis=1, split=(32, 32, 32))
        q, v = (b.add1("Transpose", b.add1("Reshape", x, shape=(5, 2, 16)), perm=(1, 0, 2)) for x in (q, v))
        k = b.add1("Transpose", b.add1("Reshape", k, shape=(5, 2, 16)), perm=(1, 2, 0))
        scores = b.add1("Div", b.add1("MatMul", q, k), b.constant(np.array(2.0, np.float32)))
        masked = b.add1("Add", scores, placeholder(b, 1, 5, name="mask"))
        heads = b.add1("MatMul", b.add1("Softmax", masked, axis=2), v)
        return b.add1("Reshape", b.add1("Transpose", heads, perm=(1, 0, 2)), shape=(5, 32))

    graph = build(example)
    after = passes.run(graph)
    # Dividing by a power of two is exact wherever it happens.
    assert_same_bits(*(reference(g, feeds(graph, 1))["y"] for g in (after, graph)), str(after))
    steps = [step.kernel for step in compiler.lower(after).steps]
    product = ["f32_pack", "f32_batched_gemm"]
    assert sorted(steps) == sorted(["f32_gemm"] * 3 + ["x32_copy"] + product + ["f32_softmax"] + product), steps


def test_narrow_parts_stay_columns_of_one_product() -> None:
    def example(b: GraphBuilder) -> Value:
        parts = b.add("Split", matmul(b, placeholder(b, 5, 6), columns=7), axis=1, split=(1, 6))
        b.output("first", parts[0])
        return parts[1]

    assert operators(passes.run(build(example))) == ["MatMul", "Split"]


def test_what_rules_leave_they_leave_again() -> None:
    """Rules end: none undoes another on any example."""
    for rule in ALL_RULES:
        rules = next(step.rules for step in passes.PIPELINE if rule in step.rules)
        ended = rewrite.apply_rules(build(rule.example), rules, registry.SEMANTICS)
        assert rewrite.apply_rules(ended, rules, registry.SEMANTICS) is ended, rule.title


def test_rules_without_end_are_stopped() -> None:
    @rewrite.rule("Reshape → Reshape", rewrite.P("Reshape", ("x",), "node"), lambda b: placeholder(b, 1))
    def again(m: rewrite.Match, to: rewrite.Target) -> Value | None:
        return to.replace(m.node("node"))

    graph = build(lambda b: b.add1("Reshape", placeholder(b, 6), shape=(2, 3)))
    after = rewrite.apply_rules(graph, [again], registry.SEMANTICS)
    after.verify()
    assert operators(after) == ["Reshape"]


def test_a_scale_behind_more_movement_than_sweeps_compiles() -> None:
    """A rule moves the scale by one node each time that it goes through the graph."""

    def example(b: GraphBuilder) -> Value:
        x = placeholder(b, 2, 3)
        for _ in range(rewrite.MAX_SWEEPS):
            x = b.add1("Reshape", b.add1("Transpose", x, perm=(1, 0)), shape=(2, 3))
        return b.add1("Mul", x, b.constant(np.array(0.5, np.float32)))

    before = build(example)
    after = passes.run(before)
    inputs = feeds(before, 0)
    assert_same_bits(reference(after, inputs)["y"], reference(before, inputs)["y"], "y")


def test_prune_drops_what_no_output_reads() -> None:
    def example(b: GraphBuilder) -> Value:
        x = placeholder(b, 4, 6)
        matmul(b, x)
        return b.add1("Clip", x, clamp=Clamp(0.0))

    assert operators(rewrite.prune(build(example))) == ["Clip"]


def test_patterns_name_operators_of_the_table() -> None:
    @rewrite.rule("Reshap → x", rewrite.P("Relu", (rewrite.P("Abs|Reshap", ("x",)),)), lambda b: placeholder(b, 1))
    def misspelt(m: rewrite.Match, to: rewrite.Target) -> Value | None:
        return None

    with pytest.raises(ValueError, match="rule 'Reshap → x': no operator is named Relu"):
        passes.rules("misspelt", "", [misspelt])
    inner = replace(misspelt, pattern=misspelt.pattern.operands[0])
    with pytest.raises(ValueError, match="no operator is named Reshap"):
        passes.rules("misspelt", "", [inner])
