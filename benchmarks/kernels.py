"""Every kernel on the layers of real models: how fast, and what share of the model's time.

The steps of a model's plan run in order; where one is reached whose kernel and layer have not been seen before, it is
timed on the spot, with the operands it has there. With a second module both run in turns on memories of their own.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.browser import ask, launch, open_page
from benchmarks.measure import Run
from benchmarks.models import macs_of
from benchmarks.pages import kernels_page, limits_page
from benchmarks.prepare import Prepared
from benchmarks.results import fastest
from tinyinfer import compiler
from tinyinfer.graph import Graph, Node
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.kernels import KERNELS
from tinyinfer.wasm_backend.plan import Binding, Plan, Step

# Bytes that a kernel moves on behalf of operators whose own tensors say nothing about it, by its named arguments.
MOVED: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "x8_copy": lambda a: 2 * (a["m1"] - a["m0"]) * a["n5"],
    "x32_copy": lambda a: 8 * (a["m1"] - a["m0"]) * a["n5"],
    "x64_copy": lambda a: 16 * (a["m1"] - a["m0"]) * a["n5"],
    "x32_transpose": lambda a: 8 * (a["m1"] - a["m0"]) * a["rows"],
    "f32_pack": lambda a: 64 * a["k"] * (a["m1"] - a["m0"]),
    "i32_gather_panels": lambda a: 8 * (a["m1"] - a["m0"]) * a["k"],
    "i64_gather_panels": lambda a: 8 * (a["m1"] - a["m0"]) * a["k"],
    "i32_gather": lambda a: 2 * (a["m1"] - a["m0"]) * a["run"],
    "i64_gather": lambda a: 2 * (a["m1"] - a["m0"]) * a["run"],
}


@dataclass
class Entry:
    """One kernel on one shape of layer."""

    kernel: str
    layer: str
    count: int
    """How many layers of the model are like it."""
    steps: list[int]
    """The calls of the first such layer, by their places in the plan."""
    work: int
    """Floating-point operations, or bytes read and written."""
    unit: str
    restore: list[int] | None = None
    """Address and bytes of what the calls overwrite and read, which repeated calls must find again."""
    ms: list[list[float]] = field(default_factory=list)
    """Samples by module."""

    def median(self, module: int = 0) -> float:
        return statistics.median(self.ms[module])

    def rate(self, module: int = 0) -> float:
        """GFLOP/s or GB/s."""
        return self.work / self.median(module) / 1e6

    def gain(self) -> float:
        """How many times as fast the second module is: the median over the rounds, whose samples are neighbours."""
        first, second = self.ms
        return statistics.median([a / b for a, b in zip(first, second, strict=True)])


def entries(graph: Graph, plan: Plan) -> list[Entry]:
    """The kernels and layers of a plan made from `graph`, in the order in which they first occur."""
    found: dict[tuple[str, str], Entry] = {}
    by_node: dict[tuple[int, str], list[int]] = {}
    for index, step in enumerate(plan.steps):
        by_node.setdefault((step.node, step.kernel), []).append(index)
    # The kernels of a node that compute, in order; others only bring its operands into place.
    computing: dict[int, list[str]] = {}
    for number, kernel in by_node:
        computing.setdefault(number, []).extend([kernel] if kernel not in MOVED else [])
    for (number, kernel), steps in by_node.items():
        node = graph.nodes[number]
        key = (kernel, describe(node))
        if key in found:
            found[key].count += 1
            continue
        work, unit = _work(node, kernel, [plan.steps[i] for i in steps], computing[number][:1] == [kernel])
        restore = _overwritten(plan, number, steps)
        found[key] = Entry(kernel, key[1], 1, steps, work, unit, restore)
    return list(found.values())


def describe(node: Node) -> str:
    """A layer by operator, shapes and window: `Conv 1×64×56×56 → 1×64×56×56, 3×3`."""
    shapes = [v.shape for v in node.operands if not v.is_constant or node.op == "MatMul"][:2]
    parts = f"{' · '.join(_shape(s) for s in shapes)} → {_shape(node.outputs[0].shape)}"
    if node.op == "Conv":
        window = _shape(node.operands[1].shape[2:])
        stride = "" if set(node.attrs["strides"]) == {1} else f" / {max(node.attrs['strides'])}"
        parts = f"{_shape(shapes[0])} → {_shape(node.output.shape)}, {window}{stride}"
    return f"{node.op} {parts}"


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _work(node: Node, kernel: str, steps: Sequence[Step], first: bool) -> tuple[int, str]:
    """What the steps do. The first kernel that computes reads the operands; later ones work on the outputs in place."""
    if KERNELS[kernel].work.bound == "compute" and macs_of(node):
        return 2 * macs_of(node), "GFLOP/s"
    if kernel in MOVED:
        names = [parameter.name for parameter in load_kernels().signatures[kernel]]
        return sum(MOVED[kernel](dict(zip(names, step.args))) for step in steps), "GB/s"
    written = sum(value.type.nbytes for value in node.outputs)
    read = sum(value.type.nbytes for value in set(node.operands)) if first else written
    return read + written, "GB/s"


def _overwritten(plan: Plan, node: int, steps: Sequence[int]) -> list[int] | None:
    """The outputs' bytes, where the destination (the first argument) is read as well."""
    if not any(plan.steps[i].args[0] in plan.steps[i].args[1:] for i in steps):
        return None
    outputs = [b for b in plan.nodes[node].outputs if b is not None]
    first = min(b.offset for b in outputs)
    last = max(b.offset + _reach(b) for b in outputs)
    return [first, last - first]


def _reach(output: Binding) -> int:
    """Bytes from the first element to the end of the last one, which may lie apart in a larger tensor."""
    steps = sum((n - 1) * stride for n, stride in zip(output.shape, output.strides, strict=True))
    return (steps + 1) * output.dtype.size


def measure(run: Run, prepared: Prepared, modules: Sequence[str]) -> tuple[list[Entry], float]:
    """Time all entries of a model by modules (paths on the site); also the arithmetic limit in GFLOP/s."""
    effort = run.effort
    graph = prepared.graph
    assert graph is not None
    measured = entries(graph, compiler.lower(graph))
    for entry in measured:
        entry.ms = [[] for _ in modules]
    limits: dict[str, list[float]] = {}
    with launch() as browser:
        limit = open_page(browser, limits_page(run.site, 1))
        page = open_page(browser, kernels_page(run.site, prepared, modules))
        jobs = [{"steps": entry.steps, "restore": entry.restore} for entry in measured]
        ask(page, f"bench.begin({jobs})".replace("None", "null"))
        for turn in range(effort.rounds + 1):
            run.tell(f"{prepared.model.title}: round {turn} of {effort.rounds}")
            samples = ask(page, f"bench.round({turn}, {effort.sample / 4})")
            if turn == 0:
                continue  # the engine has only just compiled the kernels
            for entry, times in zip(measured, samples, strict=True):
                for module, ms in enumerate(times):
                    entry.ms[module].append(ms)
            for kind in ask(limit, "bench.kinds"):
                limits.setdefault(kind, []).append(ask(limit, f"bench.measure('{kind}', {effort.sample})"))
    return measured, 2 * (fastest(limits, prepared.model.quantized) or 0.0) / 1e9


def rows(measured: Sequence[Entry], peak: float) -> list[list[str]]:
    """Table rows, the most expensive first; with two modules also how much faster the second one is."""
    total = sum(entry.count * entry.median() for entry in measured)
    table = []
    for entry in sorted(measured, key=lambda e: -e.count * e.median()):
        row = [entry.kernel, entry.layer, str(entry.count), f"{entry.median():.3f}"]
        row += [f"{entry.count * entry.median() / total:.1%}", f"{entry.rate():.1f} {entry.unit}"]
        row.append(f"{entry.rate() / peak:.0%}" if entry.unit == "GFLOP/s" else "")
        if len(entry.ms) == 2:
            row += [f"{entry.rate(1):.1f}", f"{entry.gain():.2f}×"]
        table.append(row)
    return table


def columns(modules: Sequence[str]) -> list[str]:
    """The heads of `rows`."""
    head = ["kernel", "layer", "layers", "ms each", "share", "speed", "of the limit"]
    return [*head, "second module", "faster"] if len(modules) == 2 else head


def as_data(measured: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries as JSON."""
    return [asdict(entry) for entry in measured]
