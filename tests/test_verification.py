"""`verify` finds what it must find: each test breaks a plan in one way and reads the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyinfer
from tests.conftest import PROFILE
from tests.differential import assert_same_bits
from tests.graphs import feeds, with_heads
from tests.small_models import adder, classifier, save
from tests.strategies import seeds
from tinyinfer import passes, registry, verification
from tinyinfer.bits import same_bits, show
from tinyinfer.compiler import CompiledModel, lower
from tinyinfer.errors import EngineError, FeedError
from tinyinfer.feeds import random_feeds
from tinyinfer.graph import Graph, Value
from tinyinfer.passes.examples import conv, weights
from tinyinfer.passes.examples import given as placeholder
from tinyinfer.ref import interpreter
from tinyinfer.rewrite import Match, P, Target, rule, sweeps
from tinyinfer.types import Clamp, DType, TensorType
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.plan import Plan
from tinyinfer.wasm_backend.session import PlanRunner
from tinyinfer.wasm_backend.tinf import ModelFile


@pytest.fixture
def blots(tmp_path: Path) -> CompiledModel:
    return tinyinfer.compile(save(classifier(), tmp_path / "blots.onnx"))


@pytest.fixture
def sums(tmp_path: Path) -> CompiledModel:
    return tinyinfer.compile(save(adder(), tmp_path / "sums.onnx"))


def with_plan(model: CompiledModel, plan: Plan) -> CompiledModel:
    return replace(model, file=replace(model.file, plans=(plan,)))


def with_kernel(model: CompiledModel, old: str, new: str) -> CompiledModel:
    """The model with every call of one kernel replaced by another of the same signature."""
    steps = tuple(replace(s, kernel=new) if s.kernel == old else s for s in model.plan.steps)
    assert steps != model.plan.steps
    return with_plan(model, replace(model.plan, steps=steps))


def with_flipped_weight(model: CompiledModel, prefix: str, element: int) -> CompiledModel:
    """The model with one bit in the middle of one packed weight's mantissa flipped."""
    assert any(weight.name.startswith(prefix) for weight in model.plan.weights)
    weights = []
    for weight in model.plan.weights:
        data = weight.data.copy()
        if weight.name.startswith(prefix):
            data.view(np.uint32).reshape(-1)[element] ^= 1 << 12
        weights.append(replace(weight, data=data))
    return with_plan(model, replace(model.plan, weights=tuple(weights)))


def test_an_intact_plan_is_identical(blots: CompiledModel, engine: str) -> None:
    report = tinyinfer.verify(blots, engines=[engine])
    assert report.ok
    assert report.identical
    assert report.first_mismatch is None
    assert [n.name for n in report.nodes] == [n.name for n in blots.plan.nodes]
    assert report.steps == len(blots.plan.steps)
    assert report.engines == (engine,)


def test_every_shape_plan_is_verified(tmp_path: Path, engine: str) -> None:
    path = save(classifier(), tmp_path / "blots.onnx")
    report = tinyinfer.verify(path, engines=[engine], shapes=[{"image": (1, 1, 8, 8)}, {"image": (3, 1, 8, 8)}])
    one, three = (n.elements for n in report.nodes if n.op == "MatMul")
    assert (one, three) == (4, 12)
    assert report.ok


def test_one_flipped_bit_in_a_weight_is_found(blots: CompiledModel, engine: str) -> None:
    report = tinyinfer.verify(with_flipped_weight(blots, "head.B.", 0), engines=[engine])
    assert not report.ok
    node, mismatch = report.first_mismatch or pytest.fail("nothing was found")
    assert (node.name, node.op, mismatch.engine, mismatch.output) == ("head", "MatMul", engine, "scores")
    assert (mismatch.index, mismatch.count, mismatch.size) == ((0, 0), 1, 4)
    assert mismatch.actual != mismatch.expected
    assert abs(mismatch.actual - mismatch.expected) < 1e-2


def test_a_wrong_node_in_the_middle_is_one_report(blots: CompiledModel, engine: str) -> None:
    report = tinyinfer.verify(with_flipped_weight(blots, "stem.W.", 0), engines=[engine])
    assert [n.name for n in report.nodes if n.mismatches] == ["stem"]


def test_the_first_differing_element_is_named(sums: CompiledModel, engine: str) -> None:
    feeds = {
        "a": np.array([[0, 0, 1], [2, 3, 4]], np.float32),
        "b": np.array([[0, 0, 0], [5, 6, 7]], np.float32),
    }
    report = tinyinfer.verify(with_kernel(sums, "f32_add", "f32_sub"), engines=[engine], feeds=feeds)
    node, mismatch = report.first_mismatch or pytest.fail("nothing was found")
    assert (node.name, node.kernels) == ("adds", ("f32_sub",))
    assert (mismatch.output, mismatch.index, mismatch.count) == ("sum", (1, 0), 3)
    assert (mismatch.actual, mismatch.expected) == (-3, 7)
    assert str(mismatch) == (
        f"{engine}: sum[1][0] is -3.0 (-0x1.8000000000000p+1, bits c0400000), "
        "expected 7.0 (0x1.c000000000000p+2, bits 40e00000); 3 of 6 elements differ"
    )


def compiled(graph: Graph, optimized: Graph) -> CompiledModel:
    """A graph compiled as `compile` does it, as it stands or after passes."""
    return CompiledModel((graph,), (optimized,), ModelFile(graph.name, (lower(optimized),), {}, {}))


@settings(max_examples=2000 if PROFILE == "fuzz" else 80)
@given(graph=with_heads(), seed=seeds(), optimize=st.booleans())
def test_there_is_no_alarm_where_run_and_reference_agree(engine: str, graph: Graph, seed: int, optimize: bool) -> None:
    optimized = passes.run(graph) if optimize else graph
    model = compiled(graph, optimized)
    inputs = feeds(graph, seed, special=0.1)
    expected = interpreter.run(optimized, inputs, registry.reference_of)
    actual = PlanRunner(model.plan, load_kernels(), engine).run(inputs)
    for name in expected:
        assert_same_bits(actual[name], expected[name], name)
    report = tinyinfer.verify(model, engines=[engine], feeds=inputs)
    assert report.first_mismatch is None, f"{report.first_mismatch}\n{optimized}"
    assert report.rewriting.broken == ()
    assert len(report.nodes) == len(optimized.nodes)


def test_heads_listed_in_another_order_are_no_difference(engine: str) -> None:
    b = registry.builder("heads")
    x = placeholder(b, 1, 2, 4, 4)
    attrs = {"strides": (1, 1), "pads": (0,) * 4, "dilations": (1, 1)}
    first, last = (b.add1("Conv", x, weights(b, n, 2, 1, 1, seed=n), **attrs) for n in (3, 5))
    b.output("last", last)
    b.output("first", first)
    graph = b.build()
    assert tinyinfer.verify(compiled(graph, graph), engines=[engine]).ok


def test_memory_that_nothing_reads_any_more_is_not_judged(engine: str) -> None:
    b = registry.builder("dead")
    early = b.add1("Clip", placeholder(b, 64), clamp=Clamp(0.0))
    z = placeholder(b, 64, name="z")
    for op in ("Exp", "Tanh", "Sigmoid", "Sqrt"):
        b.output(op, b.add1(op, z))
    rows = b.add1("Reshape", early, shape=(8, 8))
    b.output("nothing", b.add1("Slice", rows, starts=(0, 0), sizes=(0, 8), steps=(1, 1)))
    graph = b.build()
    report = tinyinfer.verify(compiled(graph, graph), engines=[engine])
    assert report.first_mismatch is None
    assert {node.op for node in report.nodes if not node.elements} == {"Reshape", "Slice"}


def test_a_wrong_copy_of_an_output_is_not_blamed_on_a_node(engine: str) -> None:
    b = registry.builder("copied")
    x = placeholder(b, 1, 2, 4, 4)
    attrs = {"strides": (1, 1), "pads": (0,) * 4, "dilations": (1, 1)}
    b.output("y", b.add1("Conv", x, weights(b, 3, 2, 1, 1), **attrs))
    graph = b.build()
    model = compiled(graph, graph)
    assert model.plan.copies == 1
    lost = with_plan(model, replace(model.plan, steps=model.plan.steps[:-1], copies=0))
    report = tinyinfer.verify(lost, engines=[engine])
    assert [node.mismatches for node in report.nodes] == [()]
    (output,) = report.outputs
    assert [m.output for m in output.mismatches] == ["y"]
    assert not report.ok


def test_signed_zeros_differ(sums: CompiledModel, engine: str) -> None:
    # -0 + -0 = -0, and -0 - -0 = +0
    zeros = np.full((2, 3), -0.0, np.float32)
    report = tinyinfer.verify(with_kernel(sums, "f32_add", "f32_sub"), engines=[engine], feeds={"a": zeros, "b": zeros})
    _, mismatch = report.first_mismatch or pytest.fail("nothing was found")
    assert (str(mismatch.actual), str(mismatch.expected)) == ("0.0", "-0.0")


def test_a_lost_step_is_found(sums: CompiledModel, engine: str) -> None:
    plan = replace(sums.plan, steps=sums.plan.steps[:-1])
    report = tinyinfer.verify(with_plan(sums, plan), engines=[engine])
    assert [n.name for n in report.nodes if n.mismatches] == ["multiplies"]


def test_outputs_where_callers_read_them_are_compared(sums: CompiledModel, engine: str) -> None:
    plan = sums.plan
    moved = replace(plan.outputs[0], offset=plan.outputs[1].offset)
    report = tinyinfer.verify(with_plan(sums, replace(plan, outputs=(moved, *plan.outputs[1:]))), engines=[engine])
    assert not report.identical


def test_all_nans_are_one_value() -> None:
    a = np.array([0x7FC00000, 0xFF800001, 0x3F800000], np.uint32).view(np.float32)
    b = np.array([0xFFC12345, 0x7FFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    assert same_bits(a, b).tolist() == [True, True, False]


def test_values_are_shown_with_their_bits() -> None:
    assert show(np.float32(0.1)) == "0.1 (0x1.99999a0000000p-4, bits 3dcccccd)"
    assert show(np.float32(np.nan)).startswith("nan (nan, bits ")
    assert show(np.int64(-2)) == "-2 (bits fffffffffffffffe)"
    assert show(np.bool_(True)) == "True (bits 01)"


def test_random_feeds_depend_on_the_seed_only(sums: CompiledModel) -> None:
    first, again, other = (random_feeds(sums.plan.inputs, seed) for seed in (1, 1, 2))
    assert first["a"].tobytes() == again["a"].tobytes() != other["a"].tobytes()


TWO_AND_THREE = {"a": np.full((2, 3), 2, np.float32), "b": np.full((2, 3), 3, np.float32)}


class TestExpectedOutputs:
    def test_within_tolerance(self, sums: CompiledModel) -> None:
        expected = {"output_0": np.full((2, 3), 5.004, np.float32), "product": np.full((2, 3), 6, np.float32)}
        report = tinyinfer.verify(sums, feeds=TWO_AND_THREE, expected=expected)
        assert report.ok
        first, second = report.differences
        assert (first.output, second.output) == ("sum", "product")
        assert first.max_abs == pytest.approx(0.004, rel=1e-3)
        assert first.max_rel == pytest.approx(0.004 / 5.004, rel=1e-3)
        assert second.max_abs == 0

    def test_outside_tolerance(self, sums: CompiledModel) -> None:
        report = tinyinfer.verify(sums, feeds=TWO_AND_THREE, expected={"sum": np.full((2, 3), 5.01, np.float32)})
        assert report.identical
        assert not report.ok

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_nothing_finite_is_close_to_nan_or_infinity(self, sums: CompiledModel, value: float) -> None:
        report = tinyinfer.verify(sums, feeds=TWO_AND_THREE, expected={"sum": np.full((2, 3), value, np.float32)})
        assert report.differences[0].max_rel == np.inf
        assert not report.ok

    def test_infinities_meet_themselves(self, sums: CompiledModel) -> None:
        feeds = {"a": np.full((2, 3), np.inf, np.float32), "b": np.ones((2, 3), np.float32)}
        report = tinyinfer.verify(sums, feeds=feeds, expected={"sum": feeds["a"]})
        assert report.ok

    def test_unknown_output(self, sums: CompiledModel) -> None:
        with pytest.raises(FeedError, match="no output 'y'; the model's outputs are sum, product"):
            tinyinfer.verify(sums, feeds=TWO_AND_THREE, expected={"y": np.zeros(1)})

    def test_wrong_shape(self, sums: CompiledModel) -> None:
        with pytest.raises(FeedError, match=r"output 'sum' has shape \[2, 3\], the expected one \[3\]"):
            tinyinfer.verify(sums, feeds=TWO_AND_THREE, expected={"sum": np.zeros(3)})

    def test_without_feeds(self, sums: CompiledModel) -> None:
        with pytest.raises(FeedError, match="pass `feeds` too"):
            tinyinfer.verify(sums, expected={"sum": np.zeros((2, 3))})


def test_wrong_feeds_are_refused(sums: CompiledModel) -> None:
    with pytest.raises(FeedError, match="input 'b' is missing"):
        tinyinfer.verify(sums, feeds={"a": np.zeros((2, 3), np.float32)})


def test_unknown_engine_is_refused(sums: CompiledModel) -> None:
    with pytest.raises(EngineError, match="unknown engine 'v8'; known: wasmtime, wasmer"):
        tinyinfer.verify(sums, engines=["v8"])


def test_progress_counts_every_node(sums: CompiledModel) -> None:
    calls: list[tuple[int, int, str]] = []
    tinyinfer.verify(sums, progress=lambda *args: calls.append(args))
    assert calls == [(0, 2, ""), (1, 2, "adds"), (2, 2, "multiplies")]


def test_what_the_machine_cannot_hold_is_no_difference(sums: CompiledModel, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = sums.plan.memory_bytes + 2 * sums.plan.live_bytes
    monkeypatch.setattr(verification, "physical_memory", lambda: needed)
    assert tinyinfer.verify(sums).ok
    monkeypatch.setattr(verification, "physical_memory", lambda: needed - 1)
    with pytest.raises(EngineError, match=r"is too large to be verified here.*one engine at a time"):
        tinyinfer.verify(sums)
    monkeypatch.setattr(verification, "physical_memory", lambda: None)
    assert tinyinfer.verify(sums).ok


def test_memory_that_runs_out_is_no_difference(sums: CompiledModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(interpreter, "apply", run_out)
    with pytest.raises(EngineError, match=r"too large to be verified here.*is not given"):
        tinyinfer.verify(sums)


class TestRewrites:
    """The optimised graph against the imported one."""

    @staticmethod
    def graph() -> Graph:
        b = registry.builder("rewritten")
        y = b.add1("Add", conv(b, placeholder(b, 1, 3, 6, 6)), weights(b, 5, 1, 1, seed=4), name="shift")
        b.output(
            "y", b.add1("Clip", b.add1("Exp", b.add1("Clip", y, clamp=Clamp(0.0)), name="grow"), clamp=Clamp(0.0, 9.0))
        )
        return b.build()

    def test_promises_that_are_kept(self) -> None:
        graph = self.graph()
        report = tinyinfer.verify(compiled(graph, passes.run(graph)))
        assert report.ok
        assert report.rewriting.broken == ()
        assert report.rewriting.compared > 0
        assert report.rewriting.applied["Add(Conv(x), c[1,C,1,1]) → Conv(x, bias + c)"] == 1

    @pytest.mark.parametrize("exact", [True, False])
    def test_a_wrong_rewrite_is_named(self, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that claims to be exact is off by a bit, one that claims to round by a thousandth."""

        @rule("Exp(x) → Exp(x)·(1 + ε)", P("Exp", (), "exp"), placeholder, tolerance=0.0 if exact else 1e-6)
        def wrong(m: Match, to: Target) -> Value | None:
            node = m.node("exp")
            if node.name != "grow":
                return None
            factor = to.constant(np.asarray(1 + (2.0**-23 if exact else 1e-3), np.float32), "factor")
            return to.add("Mul", to.add("Exp", node.inputs[0], like=replace(node, name="grown")), factor, like=node)

        planted = [*passes.PIPELINE]
        place = next(i for i, step in enumerate(planted) if step.name == "fusion")
        planted.insert(place, passes.Pass("planted", "", lambda graph: sweeps(graph, [wrong], registry.SEMANTICS)))
        monkeypatch.setattr(passes, "PIPELINE", planted)
        graph = self.graph()
        report = tinyinfer.verify(compiled(graph, passes.run(graph)))
        assert report.identical
        assert not report.ok
        ((where, found),) = report.rewriting.broken
        assert (where, found.node, found.op) == ("planted", "grow", "Exp")
        assert found.rewrites == ("Exp(x) → Exp(x)·(1 + ε)",)

    @pytest.mark.parametrize("moves", [
        [("Reshape", {"shape": (1, 256)})],
        [("Transpose", {"perm": (1, 0)})],
        [("Transpose", {"perm": (1, 0)}), ("Reshape", {"shape": (16, 16)})],
    ])  # fmt: skip
    def test_what_a_rewrite_loses_reaches_what_another_made_of_it(self, moves: list) -> None:
        """Elements move after they are bytes; then the product, a value of neither graph, becomes one of integers."""
        b = registry.builder("tie")
        tenth, three = (b.constant(np.array(v, np.float32), name) for v, name in ((0.1, "tenth"), (3, "three")))
        zero = b.constant(np.array(0, np.uint8), "zero")
        x = b.input("x", TensorType(DType.UINT8, (256, 1)))
        one = b.constant(np.ones((1, 1), np.uint8), "one")
        y = b.add1("MatMul", *(b.add1("DequantizeLinear", v, tenth, zero) for v in (x, one)))
        for op, attrs in moves:
            y = b.add1(op, y, **attrs)
        b.output("y", b.add1("QuantizeLinear", y, three, zero))
        graph = b.build()
        optimized = passes.run(graph)
        assert "QLinearMatMul" in {node.op for node in optimized.nodes}
        report = tinyinfer.verify(compiled(graph, optimized), feeds={"x": np.arange(256, dtype=np.uint8)[:, None]})
        assert report.rewriting.broken == ()
        assert report.ok

    def test_long_sums_of_equal_terms_may_differ_by_their_roundings(self) -> None:
        """Each addition rounds the same way, so what is lost grows with the number of terms."""
        b = registry.builder("long")
        tenths = np.full((1, 20000), 0.1, np.float32)
        product = b.add1("MatMul", b.input("x", TensorType(DType.FLOAT, (1, 20000))), b.constant(tenths.T, "w"))
        b.output("y", b.add1("Add", product, b.constant(np.full(1, 77.7, np.float32), "c")))
        graph = b.build()
        report = tinyinfer.verify(compiled(graph, passes.run(graph)), feeds={"x": tenths})
        assert sum(report.rewriting.applied.values()) == 1
        assert report.ok

    def test_the_graph_as_imported_has_no_rewrites(self) -> None:
        graph = self.graph()
        report = tinyinfer.verify(compiled(graph, graph))
        assert (report.rewriting.compared, report.rewriting.applied) == (0, {})

    def test_an_output_that_is_another_value_is_found(self) -> None:
        graph = self.graph()
        wrong = replace(graph, outputs={"y": graph.nodes[-2].output})
        report = tinyinfer.verify(compiled(graph, wrong))
        assert [found.node for _, found in report.rewriting.broken] == [graph.nodes[-1].name]

    def test_the_relaxed_tier_is_compared_on_the_arithmetic_that_folded_constants(self) -> None:
        graph = self.graph()
        report = tinyinfer.verify(compiled(graph, passes.run(graph)), tiers=["relaxed"])
        assert report.ok
        assert report.rewriting.compared > 0
