"""Sharing work: every row and column exactly once, and the same bits for any number of threads, under wasmtime."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyinfer
from tests.conftest import ROOT
from tests.differential import assert_same_bits, shared
from tests.models import conv_graph, reference, winograd_graph
from tinyinfer import InferenceSession, compiler, registry
from tinyinfer.errors import EngineError, WatError
from tinyinfer.types import DType, TensorType
from tinyinfer.wasm_backend import kernel_module, tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels
from tinyinfer.wasm_backend.kernels import KERNELS
from tinyinfer.wasm_backend.plan import Split, Step
from tinyinfer.wasm_backend.session import PlanRunner
from tinyinfer.wasm_backend.split import divide, pieces

pytest.importorskip("wasmtime", reason="only wasmtime has a shared memory, and it is not installed here")
SIGNATURES = load_kernels().signatures
GEMM = [parameter.name for parameter in SIGNATURES["f32_gemm"]]


def gemm(m: int, k: int, n: int, r: int = 0) -> Step:
    values = {"c": 1000, "a": 2000, "w": 3000, "b": 4000, "r": r, "lo": 0.0, "hi": 6.0, "k": k, "n": n}
    values |= {"lda": 4 * k, "ldc": 4 * n, "m0": 0, "m1": m}
    return Step("f32_gemm", tuple(values[name] for name in GEMM), 0)


def named(step: Step) -> dict[str, float]:
    return dict(zip(GEMM, step.args))


# ── cutting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 50), st.integers(1, 500), st.integers(1, 40), st.integers(1, 64), st.integers(1, 9))
def test_pieces_are_the_rows_once_in_whole_tiles(m0: int, rows: int, width: int, most: int, threads: int) -> None:
    step = replace(gemm(0, 3, 5), args=(*gemm(0, 3, 5).args[:-2], m0, m0 + rows))
    count = min(most, -(-rows // width))
    cut = pieces(replace(step, split=Split(count, width)), threads)
    edges = [(int(piece.args[-2]), int(piece.args[-1])) for piece in cut]
    assert [first for first, _ in edges] == [m0, *(last for _, last in edges[:-1])]
    assert edges[-1][1] == m0 + rows
    assert all(first < last and (first - m0) % width == 0 for first, last in edges)
    assert len(cut) == min(count, threads)
    assert all(piece.args[:-2] == step.args[:-2] and piece.split is None for piece in cut)


@given(st.integers(1, 400), st.integers(1, 9), st.booleans())
def test_pieces_are_the_columns_once(n: int, threads: int, residual: bool) -> None:
    """A column's result, weights, bias and residual stay together; without a residual its pointer stays 0."""
    step = gemm(1, 7, n, r=5000 if residual else 0)
    units = -(-n // 8)
    moves = ((GEMM.index("c"), 4), (GEMM.index("w"), 28), (GEMM.index("b"), 4))
    moves += ((GEMM.index("r"), 4),) if residual else ()
    cut = [named(p) for p in pieces(replace(step, split=Split(units, 8, GEMM.index("n"), moves)), threads)]
    first = 0
    for piece in cut:
        assert first % 8 == 0
        assert (piece["c"], piece["w"], piece["b"]) == (1000 + 4 * first, 3000 + 28 * first, 4000 + 4 * first)
        assert piece["r"] == (5000 + 4 * first if residual else 0)
        assert (piece["a"], piece["ldc"], piece["m0"], piece["m1"]) == (2000, 4 * n, 0, 1)
        first += int(piece["n"])
    assert first == n


def test_what_is_cut_and_how() -> None:
    """The longer side of large products; nothing where a piece would take less than microseconds."""
    high, wide, row, small = divide(
        [gemm(784, 192, 64), gemm(49, 160, 960), gemm(1, 768, 3072), gemm(8, 8, 8)], SIGNATURES
    )
    assert high.split is not None
    assert (high.split.width, high.split.extent) == (KERNELS["f32_gemm"].work.tile, None)
    assert high.split.pieces <= -(-784 // high.split.width)
    for step, k, width in ((wide, 160, 8), (row, 768, 32)):
        assert step.split is not None
        assert (step.split.width, step.split.extent) == (width, GEMM.index("n"))
        assert dict(step.split.moves) == {GEMM.index("c"): 4, GEMM.index("b"): 4, GEMM.index("w"): 4 * k}
        assert step.split.pieces > 8
    assert small.split is None


def test_rows_are_cut_while_the_weights_fit_into_a_cache() -> None:
    """A thread then finds in its cache what it wrote in the step before."""
    light, heavy, few = divide([gemm(196, 96, 576), gemm(196, 1024, 576), gemm(32, 96, 576)], SIGNATURES)
    n = GEMM.index("n")
    assert [step.split and step.split.extent for step in (light, heavy, few)] == [None, n, n]


def test_small_plans_are_not_shared() -> None:
    """The digits model takes a fraction of what waking a thread does."""
    model = tinyinfer.compile(ROOT / "examples" / "digits" / "digits.onnx")
    assert all(step.split is None for step in model.plan.steps)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_the_table_names_parameters(name: str) -> None:
    work = KERNELS[name].work
    parameters = {parameter.name for parameter in SIGNATURES[name]}
    assert set(work.each.split()) <= parameters
    if work.columns:
        factors = {factor for factors in work.columns.pointers.values() for factor in factors.split()}
        assert {work.columns.extent, *work.columns.pointers, *factors} <= parameters


def test_splits_are_kept_in_files() -> None:
    plan = shared(compiler.lower(conv_graph()))
    assert {step.split.extent is None for step in plan.steps if step.split} == {True}
    moves = ((GEMM.index("c"), 4), (GEMM.index("w"), 28))
    columns = replace(gemm(1, 7, 50), split=Split(3, 8, GEMM.index("n"), moves))
    scratch = replace(gemm(2, 7, 50), split=Split(2, 1), scratch=1)
    plan = replace(plan, steps=(*plan.steps, columns, scratch), scratch_bytes=192)
    (again,) = tinf.decode(tinf.encode(tinf.ModelFile("m", (plan,), {}, {}))).plans
    assert again.steps == plan.steps
    assert again.scratch_bytes == plan.scratch_bytes


# ── the module over a shared memory ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tier", TIERS)
def test_shared_modules_differ_in_the_flags_of_the_memory(tier: str) -> None:
    wasm = load_kernels(tier).wasm
    shared_module = kernel_module.shared(wasm)
    (place,) = (i for i, (a, b) in enumerate(zip(wasm, shared_module, strict=True)) if a != b)
    # kind 2 (memory); flags 1 (there is a maximum) and 2 (shared); 1 to 65536 pages
    assert wasm[place - 7 : place + 5] == b"memory\x02\x01\x01\x80\x80\x04"
    assert shared_module[place] == 3


def test_a_module_without_the_import_is_not_changed() -> None:
    with pytest.raises(WatError, match="no memory import"):
        kernel_module.shared(load_kernels().wasm.replace(b"env\x06memory", b"env\x06remory"))


# ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("threads", [2, 3])
def test_models_have_the_bits_of_the_reference(tier: str, threads: int, tmp_path: Path) -> None:
    model = tinyinfer.compile(ROOT / "examples" / "digits" / "digits.onnx")
    plan = shared(model.plan)
    assert sum(step.split is not None for step in plan.steps) > len(plan.steps) / 2
    file = replace(model.file, plans=(plan,))
    feeds = {"image": np.random.default_rng(threads).random((1, 1, 28, 28)).astype(np.float32)}
    outputs = InferenceSession(file, tier=tier, threads=threads).run(feeds)
    for name, expected in reference(model.optimized[0], feeds, tier).items():
        assert_same_bits(outputs[name], expected, f"{name} with {threads} threads on {tier}")


@pytest.mark.parametrize("tier", TIERS)
def test_every_thread_has_scratch_of_its_own(tier: str) -> None:
    graph = winograd_graph(22)
    plan = shared(compiler.lower(graph))
    steps = [step for step in plan.steps if step.scratch is not None]
    assert [step.split and step.split.extent is None for step in steps] == [True, False]
    feeds = {"x": np.random.default_rng(3).standard_normal((1, 4, 22, 22)).astype(np.float32)}
    runner = PlanRunner(plan, load_kernels(tier), "wasmtime", threads=3)
    outputs = runner.run(feeds)
    for name, expected in reference(graph, feeds, tier).items():
        assert_same_bits(outputs[name], expected, name)
    for thread in (1, 2):
        first = plan.memory_bytes + (thread - 1) * plan.scratch_bytes
        assert runner.memory[first : first + plan.scratch_bytes].any()
    assert runner.memory.size == plan.memory_for(3)


def test_a_plan_without_steps_keeps_its_memory() -> None:
    builder = registry.builder("identity")
    builder.output("y", builder.input("x", TensorType(DType.FLOAT, (1 << 16,))))
    plan = compiler.lower(builder.build())
    assert plan.steps == ()
    for threads in (1, 2):
        runner = PlanRunner(plan, load_kernels(), "wasmtime", threads)
        gc.collect()
        x = np.arange(1 << 16, dtype=np.float32)
        assert_same_bits(runner.run({"x": x})["y"], x, f"copied by {threads} threads")


@pytest.mark.parametrize(
    ("engine", "threads", "message"),
    [("wasmtime", 0, "'wasmtime' runs from 1 thread on, not 0"), ("wasmer", 2, "'wasmer' runs one thread, not 2")],
)
def test_numbers_of_threads_that_cannot_be(engine: str, threads: int, message: str) -> None:
    model = tinyinfer.compile(ROOT / "examples" / "digits" / "digits.onnx")
    with pytest.raises(EngineError, match=message):
        InferenceSession(model, engine=engine, threads=threads)
