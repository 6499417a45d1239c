"""`tinyinfer bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tinyinfer
from tests.commands import cells, run
from tinyinfer.benchmark import BenchmarkReport, StepTime, benchmark
from tinyinfer.cli.bench import Grouping, show_times


def test_every_step_of_every_run_is_timed(blots: Path, engine: str) -> None:
    plan = tinyinfer.compile(blots).plan
    report = benchmark(plan, engine, runs=4)
    assert len(report.runs) == 4
    assert [(s.index, s.kernel) for s in report.steps] == list(enumerate(s.kernel for s in plan.steps))
    assert all(time > 0 for time in (*report.runs, *(s.ms for s in report.steps), *(s.call_ms for s in report.steps)))


def test_times_are_grouped_the_slowest_first() -> None:
    steps = tuple(StepTime(i, kernel, op, "n", ms, ms / 4) for i, (kernel, op, ms) in enumerate(
        [("f32_gemm", "MatMul", 1.0), ("f32_conv", "Conv", 4.0), ("f32_gemm", "Conv", 2.0)]
    ))  # fmt: skip
    report = BenchmarkReport("wasmtime", (7.0, 9.0, 8.0), steps)
    assert list(report.by(lambda s: s.op).items()) == [("Conv", [steps[1], steps[2]]), ("MatMul", [steps[0]])]
    assert list(report.by(lambda s: s.kernel).items()) == [("f32_conv", [steps[1]]), ("f32_gemm", [steps[0], steps[2]])]
    assert (report.median_ms, report.min_ms, report.max_ms) == (8.0, 7.0, 9.0)
    assert (report.steps_ms, report.calls_ms) == (7.0, 1.75)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_tables_of_short_and_long_times(unit: float, capsys: pytest.CaptureFixture[str]) -> None:
    steps = tuple(StepTime(i, kernel, op, node, ms * unit, ms * unit / 4) for i, (kernel, op, node, ms) in enumerate(
        [("f32_gemm", "MatMul", "head", 1.0), ("f32_conv", "Conv", "stem", 5.0), ("f32_gemm", "Conv", "body", 2.0)]
    ))  # fmt: skip
    report = BenchmarkReport("wasmtime", (9 * unit,), steps)
    expected = {
        Grouping.OPERATOR: {"Conv": (2, 7.0), "MatMul": (1, 1.0)},
        Grouping.KERNEL: {"f32_conv": (1, 5.0), "f32_gemm": (2, 3.0)},
        Grouping.STEP: {"1 f32_conv · Conv stem": (1, 5.0), "0 f32_gemm · MatMul head": (1, 1.0)},
    }
    for by, rows in expected.items():
        show_times("blots", report, by)
        out = capsys.readouterr().out
        for name, (count, ms) in rows.items():
            times = [f"{ms * unit:.3f}", f"{ms * unit / 4:.3f}", f"{ms / 8:.1%}"]
            assert cells(out, name)[:5] == [name, str(count), *times]


@pytest.mark.parametrize("by", ["operator", "kernel", "step"])
def test_tables(blots: Path, by: str) -> None:
    plan = tinyinfer.compile(blots).plan
    operators, kernels = [plan.nodes[step.node].op for step in plan.steps], [step.kernel for step in plan.steps]
    rows = {
        "operator": ("Conv", operators.count("Conv")),
        "kernel": ("f32_conv", kernels.count("f32_conv")),
        "step": (f"{kernels.index('f32_conv')} f32_conv · Conv", 1),
    }
    out = run("bench", blots, "--runs", "2", "--by", by).stdout
    assert "blots on wasmtime: median " in out
    assert cells(out, rows[by][0])[1] == str(rows[by][1])
    assert "%" in out


def test_json(blots: Path) -> None:
    document = json.loads(run("bench", blots, "--runs", "3", "--json").stdout)
    assert (document["model"], document["engine"], len(document["runs_ms"])) == ("blots", "wasmtime", 3)
    assert [s["kernel"] for s in document["steps"]] == [s.kernel for s in tinyinfer.compile(blots).plan.steps]


def test_relaxed_tier(blots: Path) -> None:
    assert "blots on wasmtime (relaxed): median " in run("bench", blots, "--runs", "2", "--tier", "relaxed").stdout
    document = json.loads(run("bench", blots, "--runs", "2", "--tier", "relaxed", "--json").stdout)
    assert document["tier"] == "relaxed"
    error = run("bench", blots, "--tier", "relaxed", "--engine", "wasmer", code=1).stderr
    assert "engine 'wasmer' does not run the relaxed tier" in " ".join(error.split())


def test_compiled_model(blots: Path, tmp_path: Path) -> None:
    run("compile", blots, "-o", tmp_path / "x.tinf")
    assert "f32_conv" in run("bench", tmp_path / "x.tinf", "--runs", "1", "--by", "kernel").stdout
