"""`tinyinfer verify`: every node of a plan against the reference, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tinyinfer import verification
from tinyinfer.cli import console
from tinyinfer.cli.models import compile_onnx, input_names, only, read_feeds
from tinyinfer.cli.options import EngineName, NoOptimize, OnnxModel, Seed, Shapes, TierName
from tinyinfer.errors import EngineError
from tinyinfer.feeds import read_arrays
from tinyinfer.types import Array
from tinyinfer.verification import OUTPUTS, NodeResult, Rewriting, VerificationReport
from tinyinfer.wasm_backend import engines

# More differences than these are counted, not listed.
MOST_SHOWN = 10

Engines = Annotated[
    list[EngineName], typer.Option("--engine", help="An engine to run the plan on; repeatable. Default: wasmtime.")
]
Tiers = Annotated[
    list[TierName],
    typer.Option(
        "--tier",
        help="A tier of the kernels to verify: simd128 runs everywhere, relaxed rounds a multiply-add once; "
        "repeatable. Default: simd128.",
    ),
]
AllEngines = Annotated[bool, typer.Option("--all-engines", help="Every engine that this Python has.")]
Feeds = Annotated[
    Path | None, typer.Option(metavar="FILE.npz", help="Inputs, named as the model's or input_<position>.")
]
Expect = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.npz",
        help="Expected outputs, named as the model's or output_<position>; inputs in the file serve as --feeds.",
    ),
]
Rtol = Annotated[float, typer.Option(metavar="R", help="Tolerance of --expect, relative to the largest value.")]


def verify(
    model: OnnxModel,
    engine: Engines = [],
    all_engines: AllEngines = False,
    tier: Tiers = [],
    shape: Shapes = [],
    feeds: Feeds = None,
    seed: Seed = 0,
    expect: Expect = None,
    rtol: Rtol = 1e-3,
    no_optimize: NoOptimize = False,
) -> None:
    """Run every step of a model's plan and compare each node with the reference, bit for bit.

    The reference also runs the model as it was imported, and holds every rewrite of the optimiser to its promise: the
    same bits, or a stated tolerance.

    Exit code 0: all bits equal (every NaN counts as one value, +0 and -0 differ), all promises kept. Exit code 1: they
    are not, and the first element that differs is named, with the node or the rewrite.

    Examples:

      tinyinfer verify model.onnx
      tinyinfer verify model.onnx --engine wasmtime --engine wasmer
      tinyinfer verify model.onnx --all-engines --seed 7
      tinyinfer verify model.onnx --tier simd128 --tier relaxed
      tinyinfer verify model.onnx --expect io_0.npz --rtol 1e-3
    """
    names = input_names(model)
    source = feeds or expect
    given = None if source is None else read_feeds(source, names)
    expected = None if expect is None else _without_inputs(read_arrays(expect), names)
    compiled = compile_onnx(model, shape, not no_optimize, only(given or {}, names))
    tiers = list(dict.fromkeys(t.value for t in tier)) or ["simd128"]
    chosen = choose_engines([e.value for e in engine], all_engines, tiers)
    with console.progress("verify") as advance:
        report = verification.verify(
            compiled,
            engines=chosen,
            tiers=tiers,
            feeds=given,
            seed=seed,
            expected=expected,
            rtol=rtol,
            progress=advance,
        )
    show_report(report)
    if not report.ok:
        raise typer.Exit(1)


def choose_engines(named: Sequence[str], every: bool, tiers: Iterable[str] = ("simd128",)) -> list[str]:
    """The engines asked for, each once; with `every`, all that can run the tiers here, with a note for each other."""
    if not every:
        return list(dict.fromkeys(named)) or ["wasmtime"]
    problems = {name: engines.problem(name, tiers) for name in engines.ENGINES}
    for name, problem in problems.items():
        if problem is not None:
            console.note(f"without {name}: {problem}")
    available = [name for name, problem in problems.items() if problem is None]
    if not available:
        raise EngineError("this Python has no WebAssembly engine for this; install one: pip install wasmtime")
    return available


def show_report(report: VerificationReport) -> None:
    """Print a table with one row for each operator, then every output that differs, then the verdict."""
    console.show_table(
        f"{report.model}: the plan, node by node, against the reference",
        ["operator", ">nodes", ">steps", ">elements", "kernels",
         *(_column(engine, tier, report) for tier in report.tiers for engine in report.engines)],
        [_operator_row(op, parts, report) for op, parts in _by_operator(_parts(report)).items()],
    )  # fmt: skip
    _show_mismatches(report)
    for difference in report.differences:
        mark, output = "✓" if difference.ok else "✗", _on(difference.output, difference.tier)
        console.say(
            f"{mark} output {output}: largest difference from the expected values "
            f"{difference.max_abs:.3g}, {difference.max_rel:.3g} of the largest value (allowed: {difference.rtol:g})",
            "green" if difference.ok else "red",
        )
    _show_rewriting(report.rewriting)
    if report.identical:
        console.say(
            f"✓ {report.steps:,} steps, {report.elements:,} elements: bit-identical on {', '.join(report.engines)}"
            + (f", tiers {', '.join(report.tiers)}" if report.tiers != ("simd128",) else ""),
            "bold green",
        )


def _show_rewriting(rewriting: Rewriting) -> None:
    """Print what was rewritten, and whether the optimised graph computes what the imported one does."""
    if not rewriting.applied:
        return
    rows: list[list[console.Cell]] = [[title, count] for title, count in sorted(rewriting.applied.items())]
    console.show_table("Rewrites, checked against the imported graph", ["rewrite", ">applied"], rows)
    for where, found in rewriting.broken:
        title = " or ".join(found.rewrites) or "a rewrite without a name"
        console.say(f"✗ Broken promise in the pass {where}: {title}, at node {found.node} ({found.op})", "bold red")
        console.say(f"    {found}", "red")
    if not rewriting.broken:
        count = sum(rewriting.applied.values())
        console.say(
            f"✓ {count:,} rewrite{'s' if count != 1 else ''}: the optimised graph computes what the imported one does; "
            f"{rewriting.compared:,} values compared, those of exact rewrites bit for bit",
            "green",
        )


def _parts(report: VerificationReport) -> list[NodeResult]:
    """The nodes, and the outputs where there is anything to say about them."""
    return [*report.nodes, *(part for part in report.outputs if part.kernels or part.mismatches)]


def _by_operator(nodes: Iterable[NodeResult]) -> dict[str, list[NodeResult]]:
    groups: dict[str, list[NodeResult]] = {}
    for node in nodes:
        groups.setdefault(node.op, []).append(node)
    return groups


def _operator_row(op: str, nodes: Sequence[NodeResult], report: VerificationReport) -> list[console.Cell]:
    kernels = sorted({kernel for node in nodes for kernel in node.kernels})
    once = [node for node in nodes if node.tier == report.tiers[0]]
    steps = sum(len(node.kernels) for node in once)
    verdicts = [
        _verdict(sum(node.tier == tier and any(m.engine == name for m in node.mismatches) for node in nodes))
        for tier in report.tiers
        for name in report.engines
    ]
    return [op, len(once), steps, sum(n.elements for n in once), ", ".join(kernels) or "no step", *verdicts]


def _column(engine: str, tier: str, report: VerificationReport) -> str:
    return engine if report.tiers == ("simd128",) else f"{engine} {tier}"


def _on(what: str, tier: str) -> str:
    return what if tier == "simd128" else f"{what} on the {tier} tier"


def _verdict(differing: int) -> Text:
    if not differing:
        return Text("✓ identical", "green")
    return Text(f"✗ {differing} node{'s' if differing > 1 else ''} differ{'' if differing > 1 else 's'}", "red")


def _show_mismatches(report: VerificationReport) -> None:
    pairs = [(part, mismatch) for part in _parts(report) for mismatch in part.mismatches]
    for i, (node, mismatch) in enumerate(pairs[:MOST_SHOWN]):
        title = "First difference" if i == 0 else "Then"
        kernels = ", ".join(node.kernels) or "no step"
        what = f"the final outputs ({kernels})" if node.op == OUTPUTS else f"node {node.name} ({node.op}, {kernels})"
        where = _on(what, node.tier)
        console.say(f"✗ {title}: {where}", "bold red")
        console.say(f"    {mismatch}", "red")
    if len(pairs) > MOST_SHOWN:
        console.say(f"  … and {len(pairs) - MOST_SHOWN} more outputs that differ", "red")
    if pairs:
        console.say("Each node got the reference's values as inputs, so every node named here is wrong by itself.")


def _without_inputs(arrays: dict[str, Array], names: Iterable[str]) -> dict[str, Array]:
    return {name: array for name, array in arrays.items() if name not in set(names)}
