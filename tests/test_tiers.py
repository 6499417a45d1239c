"""Tiers: one plan, one module each, and on the relaxed one the reference's fused multiply-add."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinyinfer
from tests.commands import run
from tests.differential import assert_same_bits, same_bits
from tests.models import conv_graph, reference, tinf_of, tiny_graph
from tinyinfer import InferenceSession, compiler, registry
from tinyinfer.errors import EngineError, PlanError
from tinyinfer.graph import Graph
from tinyinfer.ref import arith
from tinyinfer.types import Array, DType, TensorType
from tinyinfer.wasm_backend import engines, tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes, load_kernels
from tinyinfer.wasm_backend.session import PlanRunner

pytest.importorskip("wasmtime", reason="the relaxed tier runs on wasmtime, which is not installed here")
FEEDS = {"x": np.random.default_rng(5).standard_normal((1, 4, 9, 9)).astype(np.float32)}


def scale_graph(x_data: Array | None = None) -> Graph:
    """y = x·(1 + 2⁻¹²) − (1 + 2⁻¹¹) as a one by one product with a bias: at x = 1 + 2⁻¹² the tiers differ.

    x is an input, or the constant `x_data`.
    """
    builder = registry.builder("scale")
    x = builder.input("x", TensorType(DType.FLOAT, (1, 1))) if x_data is None else builder.constant(x_data, "x")
    w = builder.constant(np.float32([[1 + 2**-12]]), "w")
    bias = builder.constant(np.float32([-(1 + 2**-11)]), "bias")
    builder.output("y", builder.add1("MatMul", x, w, bias))
    return builder.build()


def test_tiers_are_hashed_apart() -> None:
    assert list(hashes()) == list(TIERS) == ["simd128", "relaxed"]
    assert len(set(hashes().values())) == len(TIERS)


@pytest.mark.parametrize("graph", [tiny_graph(), conv_graph()], ids=lambda graph: graph.name)
def test_a_plan_is_for_all_tiers(graph: Graph) -> None:
    plans = [tinf.encode(tinf.ModelFile("m", (compiler.lower(graph, load_kernels(t)),), {}, {})) for t in TIERS]
    assert plans[0] == plans[1]


def test_a_compiled_model_names_the_kernels_of_all_tiers(blots: Path) -> None:
    model = tinyinfer.compile(blots)
    assert dict(tinf.decode(model.to_bytes()).kernels) == hashes()


# The product is 1 + 2⁻¹¹ + 2⁻²⁴. Rounded to float32, it loses the last term before the bias takes the others away.
@pytest.mark.parametrize(("tier", "expected"), [("simd128", 0.0), ("relaxed", 2.0**-24)])
def test_a_tier_has_its_own_multiply_add(tier: str, expected: float) -> None:
    feeds = {"x": np.float32([[1 + 2**-12]])}
    session = InferenceSession(tinf_of(scale_graph()), tier=tier)
    assert session.tier == tier
    assert session.run(feeds)["y"].tolist() == [[expected]]
    assert reference(scale_graph(), feeds, tier)["y"].tolist() == [[expected]]


def outputs(tier: str) -> dict[str, Array]:
    return InferenceSession(tinf_of(conv_graph()), tier=tier).run(FEEDS)


def test_a_session_has_the_bits_of_its_tier() -> None:
    for tier in TIERS:
        for name, expected in reference(conv_graph(), FEEDS, tier).items():
            assert_same_bits(outputs(tier)[name], expected, f"{name} on {tier}")
    assert not same_bits(outputs("simd128")["y"], outputs("relaxed")["y"]).all()


def test_folded_constants_are_the_same_on_all_tiers() -> None:
    """Folding has the semantics of simd128, also where a model is built while another tier is in force."""
    with arith.tier("relaxed"):
        graph = scale_graph(np.float32([[1 + 2**-12]]))
    assert not graph.nodes
    for tier in TIERS:
        assert reference(graph, {}, tier)["y"].tolist() == [[0.0]]


def test_verify_runs_every_tier(blots: Path) -> None:
    report = tinyinfer.verify(blots, tiers=TIERS)
    once = tinyinfer.verify(blots)
    assert report.ok
    assert (report.tiers, dict(report.kernels)) == (TIERS, hashes())
    assert [node.tier for node in report.nodes] == ["simd128"] * len(once.nodes) + ["relaxed"] * len(once.nodes)
    assert (report.steps, report.elements) == (once.steps, once.elements)


def test_verify_finds_kernels_of_another_tier(blots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(load_kernels("simd128"), tier="relaxed")
    monkeypatch.setattr("tinyinfer.verification.load_kernels", lambda tier: wrong)
    report = tinyinfer.verify(blots, tiers=["relaxed"])
    node, mismatch = report.first_mismatch or pytest.fail("nothing was found")
    assert (node.op, node.tier, mismatch.engine) == ("Conv", "relaxed", "wasmtime")


def test_expected_outputs_are_compared_on_every_tier(blots: Path) -> None:
    feeds = {"image": np.ones((1, 1, 8, 8), np.float32)}
    expected = {"output_0": InferenceSession(blots).run(feeds)["scores"]}
    report = tinyinfer.verify(blots, tiers=TIERS, feeds=feeds, expected=expected)
    assert [d.tier for d in report.differences] == list(TIERS)
    assert report.ok


def test_wasmer_does_not_run_the_relaxed_tier(blots: Path) -> None:
    message = "engine 'wasmer' does not run the relaxed tier, only simd128; engine 'wasmtime' does"
    for attempt in (
        lambda: InferenceSession(blots, engine="wasmer", tier="relaxed"),
        lambda: tinyinfer.verify(blots, engines=["wasmtime", "wasmer"], tiers=["relaxed"]),
        lambda: PlanRunner(compiler.lower(tiny_graph()), load_kernels("relaxed"), "wasmer"),
    ):
        with pytest.raises(EngineError, match=message):
            attempt()
    assert message in (engines.problem("wasmer", ["simd128", "relaxed"]) or "")


def test_unknown_tier(blots: Path) -> None:
    message = "engine 'wasmtime' does not run the fast tier, only simd128, relaxed; the tiers are simd128, relaxed"
    with pytest.raises(EngineError, match=message):
        InferenceSession(blots, tier="fast")


def test_a_model_without_the_tier() -> None:
    blob = tinf_of(tiny_graph(), kernels={"simd128": load_kernels().sha256})
    assert InferenceSession(blob).run({"x": np.zeros((2, 3), np.float32)})
    with pytest.raises(PlanError, match="tiny was compiled for simd128, not for the relaxed tier; compile it again"):
        InferenceSession(blob, tier="relaxed")


def test_verify_command(blots: Path) -> None:
    out = run("verify", blots, "--tier", "simd128", "--tier", "relaxed").stdout
    assert "bit-identical on wasmtime, tiers simd128, relaxed" in " ".join(out.split())
    error = run("verify", blots, "--tier", "relaxed", "--engine", "wasmer", code=1).stderr
    assert "engine 'wasmer' does not run the relaxed tier" in " ".join(error.split())


def test_a_real_model_on_every_tier(shared_models: Path) -> None:
    folder = shared_models / "mobilenetv2-fp32-dequant"
    assert tinyinfer.verify(folder / "model.onnx", tiers=TIERS).ok


def test_run_command(blots: Path, tmp_path: Path) -> None:
    arrays = {}
    for tier in TIERS:
        for engine in ("wasmtime", "ref"):
            path = tmp_path / f"{tier}-{engine}.npz"
            run("run", blots, "--random", "0", "--tier", tier, "--engine", engine, "-o", path)
            arrays[tier, engine] = np.load(path)["scores"]
        assert_same_bits(arrays[tier, "wasmtime"], arrays[tier, "ref"], tier)
    assert not same_bits(arrays["simd128", "ref"], arrays["relaxed", "ref"]).all()
