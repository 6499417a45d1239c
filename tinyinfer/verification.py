"""Proof for one model: every node of the plan, run by an engine, gives the reference's bits.

The plan runs node by node. After the steps of a node its outputs are read from linear memory and compared with the
reference. Outputs that differ are reported and then replaced by the reference's, so every later node is judged on
the same inputs as the reference, and one bad node is one report. An output that nothing reads, and whose memory serves
another one by then, is left out. Last come the copies of results to where callers read them.

The reference runs the optimised graph. The imported one runs beside it, by the reference too, and each rewrite is held
to its promise (`equivalence`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tinyinfer import registry
from tinyinfer.bits import same_bits, show
from tinyinfer.compiler import CompiledModel, Shapes, compile
from tinyinfer.equivalence import Comparison, Deviation, first_break
from tinyinfer.errors import EngineError, FeedError
from tinyinfer.feeds import by_position, random_feeds
from tinyinfer.graph import Graph, Value
from tinyinfer.ref import interpreter
from tinyinfer.types import Array
from tinyinfer.wasm_backend.engines import check_tier
from tinyinfer.wasm_backend.feeding import check_feeds, choose_plan
from tinyinfer.wasm_backend.kernel_module import KernelModule, load_kernels
from tinyinfer.wasm_backend.plan import Binding, Plan, Step
from tinyinfer.wasm_backend.session import PlanRunner

FOLDING = "simd128"
"""The tier whose arithmetic constants were folded by, and on which graphs before and after rewriting are compared."""

Expected: TypeAlias = "Sequence[tuple[Binding, Array]]"
"""Places in linear memory and what the reference has there."""

Progress: TypeAlias = "Callable[[int, int, str], None]"
"""Told the nodes done, the nodes in all, and the name of the next one."""


OUTPUTS = "(outputs)"
"""Stands for the operator where final outputs are copied to where callers read them."""


@dataclass(frozen=True)
class Mismatch:
    """The first element, in row-major order, at which an engine and the reference differ in one output."""

    engine: str
    output: str
    index: tuple[int, ...]
    actual: Any
    expected: Any
    count: int
    """How many elements of the output differ."""
    size: int

    def __str__(self) -> str:
        place = "".join(f"[{i}]" for i in self.index)
        return (
            f"{self.engine}: {self.output}{place} is {show(self.actual)}, expected {show(self.expected)}; "
            f"{self.count} of {self.size} elements differ"
        )


@dataclass(frozen=True)
class NodeResult:
    """What was compared for one node; `mismatches` is empty when every engine gave the reference's bits."""

    name: str
    op: str
    kernels: tuple[str, ...]
    """The kernels its steps call, in order."""
    elements: int
    """Elements of all its outputs."""
    mismatches: tuple[Mismatch, ...]
    tier: str


@dataclass(frozen=True)
class OutputDifference:
    """How far a final output is from values given from elsewhere, e.g. by another runtime."""

    output: str
    max_abs: float
    max_rel: float
    """The largest difference divided by the largest magnitude of the expected output."""
    rtol: float
    tier: str

    @property
    def ok(self) -> bool:
        return self.max_rel <= self.rtol


@dataclass(frozen=True)
class Rewriting:
    """The optimised graphs compared with the imported ones, both by the reference."""

    applied: Mapping[str, int]
    """How often each rewrite was applied, by its title."""
    compared: int
    """How many of the imported graphs' values were compared: those at which the optimised ones do something else."""
    broken: tuple[tuple[str, Deviation], ...] = ()
    """The pass and the place of the first rewrite that does not keep its promise, for each plan that has one."""


@dataclass(frozen=True)
class VerificationReport:
    """The result of `verify`."""

    model: str
    engines: tuple[str, ...]
    kernels: Mapping[str, str]
    """The SHA-256 of the kernel module of each tier that was verified."""
    nodes: tuple[NodeResult, ...]
    """All nodes of all plans on the first tier, then on the next one."""
    outputs: tuple[NodeResult, ...]
    """For each plan and tier, the results as callers read them, and the steps that copy them there."""
    rewriting: Rewriting
    differences: tuple[OutputDifference, ...] = ()
    """One for each final output that had an expected value; computed from the reference's outputs."""

    @property
    def tiers(self) -> tuple[str, ...]:
        return tuple(self.kernels)

    @property
    def identical(self) -> bool:
        """Whether every node and every final output has the reference's bits on every engine and tier."""
        return self.first_mismatch is None

    @property
    def ok(self) -> bool:
        """`identical`, no rewrite that breaks its promise, and every expected output within its tolerance."""
        return self.identical and not self.rewriting.broken and all(d.ok for d in self.differences)

    @property
    def steps(self) -> int:
        """Steps of all plans."""
        return sum(len(part.kernels) for part in (*self.nodes, *self.outputs) if part.tier == self.tiers[0])

    @property
    def elements(self) -> int:
        """Elements of all outputs of all nodes of all plans."""
        return sum(node.elements for node in self.nodes if node.tier == self.tiers[0])

    @property
    def first_mismatch(self) -> tuple[NodeResult, Mismatch] | None:
        return next(((part, m) for part in (*self.nodes, *self.outputs) for m in part.mismatches), None)


def _print_nothing(done: int, total: int, name: str) -> None:
    """The default `progress`."""


def verify(
    model: str | os.PathLike[str] | CompiledModel,
    *,
    engines: Sequence[str] = ("wasmtime",),
    tiers: Sequence[str] = ("simd128",),
    feeds: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
    shapes: Shapes | Sequence[Shapes] = (),
    expected: Mapping[str, ArrayLike] | None = None,
    rtol: float = 1e-3,
    progress: Progress = _print_nothing,
) -> VerificationReport:
    """Run every step of a model's plans on `engines` and compare each node with the reference, bit for bit.

    Each of `tiers` has its own kernels and its own reference: on "relaxed" multiply-adds round once, which wasmtime
    runs and wasmer does not. What the compiler folded is part of the file and the same on all tiers.
    `model` is an ONNX file or the result of `compile` (a `.tinf` file holds no graph to compare with). Inputs are
    `feeds`, which choose the plan by their shapes, or random ones made from `seed`, on every plan. `expected` maps
    output names (or `output_<position>`) to values that the final outputs must meet within `rtol` of their largest
    magnitude; it needs `feeds`. Raises what `compile` raises, FeedError, and EngineError, also where this machine
    cannot hold the model as often as it takes; a difference is not an error but a result.
    """
    if expected is not None and feeds is None:
        raise FeedError("expected outputs belong to given inputs: pass `feeds` too")
    compiled = model if isinstance(model, CompiledModel) else compile(model, shapes)
    try:
        return _verify(compiled, engines, tiers, feeds, seed, expected, rtol, progress)
    except MemoryError:
        plan = max(compiled.file.plans, key=lambda plan: plan.memory_bytes)
        raise _too_large(compiled.file.name, plan, engines, "which this process is not given") from None


def _verify(
    compiled: CompiledModel,
    engines: Sequence[str],
    tiers: Sequence[str],
    feeds: Mapping[str, ArrayLike] | None,
    seed: int,
    expected: Mapping[str, ArrayLike] | None,
    rtol: float,
    progress: Progress,
) -> VerificationReport:
    pairs = list(zip(compiled.optimized, compiled.file.plans, strict=True))
    imported = dict(zip(compiled.optimized, compiled.imported, strict=True))
    if feeds is not None:
        chosen = choose_plan(compiled.file.plans, feeds)
        pairs = [pair for pair in pairs if pair[1] is chosen]
    kernels = {tier: kernels_of(engines, tier) for tier in tiers}
    total = sum(len(graph.nodes) for graph, _ in pairs) * len(kernels)
    compared_on = FOLDING if FOLDING in kernels else next(iter(kernels))
    comparisons: list[tuple[Graph, Mapping[str, Array], Comparison]] = []
    nodes: list[NodeResult] = []
    outputs: list[NodeResult] = []
    differences: list[OutputDifference] = []
    progress(0, total, "")
    for module, (graph, plan) in product(kernels.values(), pairs):
        inputs = random_feeds(plan.inputs, seed) if feeds is None else check_feeds(plan.inputs, feeds)
        _require_memory(compiled.file.name, plan, engines)
        check = _PlanCheck(graph, plan, engines, module)
        comparison = None
        if module.tier == compared_on:
            comparison = Comparison(imported[graph], graph, inputs)
            comparisons.append((imported[graph], inputs, comparison))
        for result in check.run(inputs, comparison if module.tier == FOLDING else None):
            nodes.append(result)
            progress(len(nodes), total, result.name)
        outputs.append(check.deliver())
        if expected is not None:
            wanted = by_position(expected, list(graph.outputs), "output")
            differences.extend(_differences(check.outputs, wanted, rtol, module.tier))
        if comparison is not None and module.tier != FOLDING:
            comparison.run(graph, inputs)
    hashes = {tier: module.sha256 for tier, module in kernels.items()}
    rewriting = _rewriting([graph for graph, _ in pairs], comparisons)
    parts = (tuple(nodes), tuple(outputs), rewriting, tuple(differences))
    return VerificationReport(compiled.file.name, tuple(engines), hashes, *parts)


def _rewriting(
    graphs: Sequence[Graph], comparisons: Sequence[tuple[Graph, Mapping[str, Array], Comparison]]
) -> Rewriting:
    promises = [change.promise for graph in graphs for change in graph.changes if change.promise is not None]
    broken = []
    for imported, inputs, comparison in comparisons:
        if comparison.deviations:
            broken.append(first_break(imported, inputs) or ("all passes", comparison.deviations[0]))
    compared = sum(comparison.compared for _, _, comparison in comparisons)
    return Rewriting(Counter(p.title for p in promises), compared, tuple(broken))


def physical_memory() -> int | None:
    """Bytes of memory that this machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _needed(plan: Plan, engines: Sequence[str]) -> int:
    """The least that is held at once: linear memory for each engine, and what is alive of two graphs."""
    return plan.memory_bytes * len(engines) + 2 * plan.live_bytes


def _require_memory(name: str, plan: Plan, engines: Sequence[str]) -> None:
    available = physical_memory()
    if available is not None and _needed(plan, engines) > available:
        raise _too_large(name, plan, engines, f"and this machine has {available / 2**20:,.1f} MiB")


def _too_large(name: str, plan: Plan, engines: Sequence[str], but: str) -> EngineError:
    each, whole = (f"{size / 2**20:,.1f} MiB" for size in (plan.memory_bytes, _needed(plan, engines)))
    return EngineError(
        f"{name} is too large to be verified here: it takes at least {whole}, {each} of these for each engine "
        f"({', '.join(engines)}), {but}. Verify on one engine at a time, with smaller shapes, or on a larger machine"
    )


def kernels_of(names: Sequence[str], tier: str) -> KernelModule:
    """The module of a tier; EngineError when one of the engines does not run it."""
    for name in names:
        check_tier(name, tier)
    return load_kernels(tier)


class _PlanCheck:
    """One plan loaded into every engine, walked node by node beside the reference of the same tier."""

    def __init__(self, graph: Graph, plan: Plan, engines: Sequence[str], kernels: KernelModule) -> None:
        self._graph = graph
        self._plan = plan
        self._tier = kernels.tier
        self._runners = {name: PlanRunner(plan, kernels, name) for name in engines}
        self._steps: list[list[Step]] = [[] for _ in graph.nodes]
        ends = len(plan.steps) - plan.copies
        self._copies = plan.steps[ends:]
        for step in plan.steps[:ends]:
            self._steps[step.node].append(step)
        self.outputs: dict[str, Array] = {}
        """The reference's final outputs, once `run` is exhausted."""

    def run(self, feeds: Mapping[str, Array], comparison: Comparison | None = None) -> Iterator[NodeResult]:
        """Node by node; what the reference computes is given to the comparison with the imported graph."""
        for runner in self._runners.values():
            runner.feed(feeds)
        finals = _Finals(self._graph, feeds)
        reference = interpreter.trace(self._graph, feeds, registry.reference_of, self._tier)
        for (node, arrays), steps, place in zip(reference, self._steps, self._plan.nodes, strict=True):
            finals.take(node.outputs, arrays)
            if comparison is not None:
                comparison.take(node, arrays)
            bindings = [(b, a) for b, a in zip(place.outputs, arrays, strict=True) if b is not None]
            yield self._judge(node.name, node.op, steps, bindings)
        if comparison is not None:
            comparison.advance()
        self.outputs = finals.arrays()

    def deliver(self) -> NodeResult:
        """The final outputs where callers read them; after `run`."""
        bindings = [(binding, self.outputs[binding.name]) for binding in self._plan.outputs]
        return self._judge("outputs", OUTPUTS, self._copies, bindings)

    def _judge(self, name: str, op: str, steps: Sequence[Step], bindings: Expected) -> NodeResult:
        return NodeResult(
            name,
            op,
            tuple(step.kernel for step in steps),
            sum(array.size for _, array in bindings),
            tuple(m for engine in self._runners for m in self._compare(engine, steps, bindings)),
            self._tier,
        )

    def _compare(self, engine: str, steps: Sequence[Step], bindings: Expected) -> Iterator[Mismatch]:
        runner = self._runners[engine]
        runner.execute(steps)
        for binding, expected in bindings:
            actual = runner.read(binding)
            equal = same_bits(actual, expected)
            if not equal.all():
                first = tuple(int(i) for i in np.argwhere(~equal)[0])
                count = int(np.count_nonzero(~equal))
                yield Mismatch(engine, binding.name, first, actual[first], expected[first], count, equal.size)
                runner.write(binding, expected)


class _Finals:
    """Collects the graph's outputs as their values become known."""

    def __init__(self, graph: Graph, feeds: Mapping[str, Array]) -> None:
        self._outputs = graph.outputs
        self._known = {value: np.asarray(feeds[name]) for name, value in graph.inputs.items()}

    def take(self, values: Sequence[Value], arrays: Sequence[Array]) -> None:
        wanted = set(self._outputs.values())
        self._known.update((v, a) for v, a in zip(values, arrays, strict=True) if v in wanted)

    def arrays(self) -> dict[str, Array]:
        return {name: self._known[v] if v.data is None else v.data for name, v in self._outputs.items()}


def _differences(
    actual: Mapping[str, Array], expected: Mapping[str, ArrayLike], rtol: float, tier: str
) -> Iterator[OutputDifference]:
    for name, given in expected.items():
        want = np.asarray(given)
        if name not in actual:
            raise FeedError(f"no output {name!r}; the model's outputs are {', '.join(actual)}")
        got = actual[name]
        if got.shape != want.shape:
            raise FeedError(f"output {name!r} has shape {list(got.shape)}, the expected one {list(want.shape)}")
        exact = want.astype(np.float64)
        with np.errstate(invalid="ignore"):  # ∞ - ∞
            distance = np.abs(got.astype(np.float64) - exact)
        equal = (got == want) | (np.isnan(exact) & np.isnan(got))
        largest = float(np.where(equal, 0.0, np.where(np.isnan(distance), np.inf, distance)).max(initial=0.0))
        scale = float(np.abs(exact[np.isfinite(exact)]).max(initial=0.0)) or 1.0
        yield OutputDifference(name, largest, largest / scale, rtol, tier)
