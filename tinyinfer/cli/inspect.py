"""`tinyinfer inspect`: what a model is made of, what the passes did to it, and what its plan needs."""

from __future__ import annotations

import inspect as python_inspect
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tinyinfer import passes, registry
from tinyinfer.cli import console
from tinyinfer.cli.integers import show_integers
from tinyinfer.cli.models import compile_onnx, is_compiled
from tinyinfer.cli.options import Model, NoOptimize, Shapes
from tinyinfer.cli.refused import open_inputs, show_refused
from tinyinfer.compiler import CompiledModel
from tinyinfer.errors import ModelError
from tinyinfer.frontend import binding
from tinyinfer.graph import Graph, Node
from tinyinfer.session import kernels_for
from tinyinfer.types import Clamp
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import KernelModule, hashes
from tinyinfer.wasm_backend.plan import Plan

# Operands that an operator has beside its own work only when another node was fused into it.
FUSED_OPERANDS = ("bias", "residual")

ShowPlan = Annotated[bool, typer.Option("--plan", help="List every step: kernel, arguments, node.")]
ShowGraph = Annotated[bool, typer.Option("--graph", help="Print the graph before and after the passes.")]
ShowMemory = Annotated[bool, typer.Option("--memory", help="List the arena's buffers: where, how large, alive when.")]


def inspect(
    model: Model,
    plan: ShowPlan = False,
    graph: ShowGraph = False,
    memory: ShowMemory = False,
    shape: Shapes = [],
    no_optimize: NoOptimize = False,
) -> None:
    """Show a model's inputs and outputs, its operators before and after the passes, what fused, and its memory; of a
    quantised model what runs in integers, what stays float and why. Of a model that cannot be compiled, show what its
    file says, then what is missing.

    Examples:

      tinyinfer inspect model.onnx
      tinyinfer inspect model.onnx --graph
      tinyinfer inspect model.onnx --plan --memory
      tinyinfer inspect model.tinf
    """
    if is_compiled(model):
        file = tinf.read(model)
        show_file(file, model)
    else:
        compiled = compile_or_show(model, shape, not no_optimize)
        file = compiled.file
        show_bindings(file)
        show_open(model)
        show_fusions(compiled.imported[0], compiled.optimized[0])
        show_integers(compiled.optimized[0], compiled.imported[0])
        if not no_optimize:
            show_passes(compiled.imported[0])
        if graph:
            show_graphs(compiled.imported[0], compiled.optimized[0])
    for p in file.plans:
        show_memory(p)
        if memory:
            show_regions(p)
        if plan:
            show_plan(p, kernels_for(file))


def compile_or_show(path: Path, shape: list[str], optimize: bool) -> CompiledModel:
    """The compiled model; of one that is refused, what its file says is shown before the error is raised."""
    try:
        return compile_onnx(path, shape, optimize)
    except ModelError as error:
        try:
            show_refused(path)
        except ModelError:  # not even readable: the first error says so
            raise error from None
        raise


def show_open(path: Path) -> None:
    """Print which dimensions the file leaves open, and the option that binds them."""
    for info in open_inputs(path):
        console.say(f"{binding.open_dimensions(info)}; bound here as above")


def show_file(file: tinf.ModelFile, path: Path) -> None:
    """Print what a compiled model says of itself."""
    ours = hashes()
    console.say(f"{path}: {file.name}, {console.size(path.stat().st_size)}, format version {tinf.VERSION}")
    for tier, sha256 in file.kernels.items():
        known = "the installed ones" if ours.get(tier) == sha256 else "not the installed ones"
        console.say(f"kernels {tier} {sha256[:16]}… ({known})")
    show_bindings(file)
    counts = Counter(node.op for node in file.plans[0].nodes)
    console.show_table("Operators", ["operator", ">nodes"], [[op, n] for op, n in counts.most_common()])


def show_bindings(file: tinf.ModelFile) -> None:
    """Print inputs and outputs of every plan, and the metadata."""
    rows: list[list[console.Cell]] = [
        [kind, b.name, b.dtype.value, "×".join(map(str, b.shape)) or "scalar"]
        for plan in file.plans
        for kind, bindings in (("input", plan.inputs), ("output", plan.outputs))
        for b in bindings
    ]
    console.show_table(f"{file.name}: inputs and outputs", ["", "name", "type", "shape"], rows)
    if file.metadata:
        rows = [[key, text if len(text) <= 60 else f"{text[:60]}…"] for key, text in _one_line(file.metadata.items())]
        console.show_table("Metadata", ["key", "value"], rows)


def _one_line(items: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(key, text.replace("\n", " ⏎ ")) for key, text in items]


def show_fusions(before: Graph, after: Graph) -> None:
    """Print how often each operator occurs before and after the passes, and what was fused into it."""
    old, new = Counter(n.op for n in before.nodes), Counter(n.op for n in after.nodes)
    rows: list[list[console.Cell]] = [
        [op, old[op], new[op], describe_fusions(op, before, after)] for op in sorted({*old, *new})
    ]
    rows.append(["total", sum(old.values()), sum(new.values()), ""])
    columns = ["operator", ">in the file", ">in the plan", "fused into it"]
    console.show_table("Operators", columns, rows)


def describe_fusions(op: str, before: Graph, after: Graph) -> str:
    """What `op` nodes took over from others, and how they are computed: `clamp ×17, residual ×3, winograd ×13`."""
    gained = _features(op, after.nodes) - _features(op, before.nodes)
    return ", ".join(f"{name} ×{count}" for name, count in sorted(gained.items()))


def _features(op: str, nodes: Iterable[Node]) -> Counter[str]:
    """How many nodes of `op` have each of the features that passes add."""
    counts: Counter[str] = Counter()
    operands = list(python_inspect.signature(registry.OPERATORS[op].infer).parameters)
    for node in nodes:
        if node.op == op:
            present = [name for name, value in zip(operands, node.inputs) if value is not None]
            counts.update(name for name in FUSED_OPERANDS if name in present)
            counts["clamp"] += op != "Clip" and not node.attrs.get("clamp", Clamp()).is_open
            counts["padding"] += any(node.attrs.get("pads", ()))
            counts["winograd"] += node.attrs.get("winograd", False)
    return counts


def show_passes(graph: Graph) -> None:
    """Print the number of nodes after each pass."""
    rows: list[list[console.Cell]] = [["import", "", len(graph.nodes)]]
    rows += [[stage.name, stage.purpose, len(stage.graph.nodes)] for stage in passes.stages(graph)]
    console.show_table("Passes", ["after", "which is to", ">nodes"], rows)


def show_graphs(before: Graph, after: Graph) -> None:
    for title, graph in (("As imported", before), ("After the passes", after)):
        console.say(title, "bold")
        console.say(str(graph))


def show_memory(plan: Plan) -> None:
    """Print the memory of a plan: its parts and how close they are to the least possible."""
    bound = f"the lower bound of {console.size(plan.live_bytes)}"
    ratio = f"{plan.arena_bytes / plan.live_bytes:.3f} × {bound}" if plan.live_bytes else ""
    least = plan.weight_bytes + plan.live_bytes
    peak = f"{plan.memory_bytes / least:.3f} × (weights + lower bound), whole pages of 64 KiB" if least else ""
    rows = [
        ["weights", console.size(plan.weight_bytes), ""],
        # A plan read from a file knows its arena only up to the rounding of linear memory to whole pages.
        ["arena", console.size(plan.arena_bytes), ratio if plan.regions else f"pages included; {bound}"],
        ["linear memory", console.size(plan.memory_bytes), peak],
        *([["each further thread", console.size(plan.scratch_bytes), "scratch"]] if plan.scratch_bytes else []),
        ["plan", "", f"{len(plan.steps):,} steps, {len(plan.nodes):,} nodes"],
    ]
    inputs = ", ".join(f"{b.name} {'×'.join(map(str, b.shape))}" for b in plan.inputs)
    console.show_table(f"Memory for {inputs}", ["", ">size", ""], rows)


def show_regions(plan: Plan) -> None:
    if not plan.regions:
        console.note("A compiled model does not list the arena's buffers; inspect the .onnx file for them.")
        return
    last = len(plan.steps)
    rows: list[list[console.Cell]] = [
        [r.offset, r.nbytes, "input" if r.first < 0 else r.first, "end" if r.last >= last else r.last, r.label]
        for r in sorted(plan.regions, key=lambda r: (r.first, r.offset))
    ]
    columns = [">address", ">bytes", ">first step", ">last step", "buffer"]
    console.show_table("Arena", columns, rows)


def show_plan(plan: Plan, kernels: KernelModule) -> None:
    signatures = kernels.signatures
    console.say(plan.describe({name: tuple(p.name for p in ps) for name, ps in signatures.items()}))
