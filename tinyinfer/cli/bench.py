"""`tinyinfer bench`: how long a model takes, and where."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from typing import Annotated, Any

import typer

from tinyinfer.benchmark import BenchmarkReport, StepTime, benchmark
from tinyinfer.cli import console
from tinyinfer.cli.models import compile_onnx, is_compiled
from tinyinfer.cli.options import EngineName, Model, NoOptimize, Shapes, Tier, TierName
from tinyinfer.session import kernels_for
from tinyinfer.wasm_backend import tinf


class Grouping(str, Enum):
    """What a row of the table stands for."""

    OPERATOR = "operator"
    KERNEL = "kernel"
    STEP = "step"


Runs = Annotated[int, typer.Option(metavar="N", min=1, help="How many runs; times are medians.")]
By = Annotated[Grouping, typer.Option(help="What a row of the table stands for.")]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON instead.")]


def bench(
    model: Model,
    engine: Annotated[EngineName, typer.Option(help="What runs the model.")] = EngineName.WASMTIME,
    tier: Tier = TierName.SIMD128,
    runs: Runs = 30,
    by: By = Grouping.OPERATOR,
    shape: Shapes = [],
    no_optimize: NoOptimize = False,
    as_json: Json = False,
) -> None:
    """Time a model on random inputs: whole runs, and every step of the plan.

    Examples:

      tinyinfer bench model.onnx
      tinyinfer bench model.tinf --engine wasmer --runs 100
      tinyinfer bench model.onnx --tier relaxed
      tinyinfer bench model.onnx --by step
      tinyinfer bench model.onnx --json > times.json
    """
    file = tinf.read(model) if is_compiled(model) else compile_onnx(model, shape, not no_optimize).file
    kernels_for(file, tier.value)
    with console.progress("run") as advance:
        report = benchmark(file.plans[0], engine.value, runs, progress=advance, tier=tier.value)
    if as_json:
        console.out.print_json(json.dumps(as_document(file.name, report)))
    else:
        show_times(file.name, report, by)


def as_document(model: str, report: BenchmarkReport) -> dict[str, Any]:
    """The report as JSON values: milliseconds."""
    return {
        "model": model,
        "engine": report.engine,
        "tier": report.tier,
        "median_ms": report.median_ms,
        "min_ms": report.min_ms,
        "max_ms": report.max_ms,
        "steps_ms": report.steps_ms,
        "calls_ms": report.calls_ms,
        "runs_ms": list(report.runs),
        "steps": [asdict(step) for step in report.steps],
    }


def show_times(model: str, report: BenchmarkReport, by: Grouping) -> None:
    """Print the median of the runs and a table of where the time goes."""
    tier = "" if report.tier == "simd128" else f" ({report.tier})"
    console.say(
        f"{model} on {report.engine}{tier}: median {report.median_ms:.3f} ms of {len(report.runs)} runs "
        f"({report.min_ms:.3f} to {report.max_ms:.3f})",
        "bold",
    )
    if not report.steps:
        return
    rows: list[list[console.Cell]] = []
    for name, steps in report.by(lambda step: _key(step, by)).items():
        ms, call_ms = sum(step.ms for step in steps), sum(step.call_ms for step in steps)
        share = ms / report.steps_ms
        rows.append([name, len(steps), f"{ms:.3f}", f"{call_ms:.3f}", f"{share:.1%}", console.bar(share)])
    console.show_table("Where the time goes", [by.value, ">steps", ">ms", ">of that calls", ">share", ""], rows)
    console.say(
        f"{len(report.steps)} steps, {report.steps_ms:.3f} ms, of which calling from Python takes "
        f"{report.calls_ms:.3f} ms"
    )


def _key(step: StepTime, by: Grouping) -> str:
    if by is Grouping.OPERATOR:
        return step.op
    return step.kernel if by is Grouping.KERNEL else f"{step.index} {step.kernel} · {step.op} {step.node}"
