"""The differential harness: one operator, lowered without any pass, run by an engine, compared with `ref` bit for bit.

Every run is made hostile on purpose: the arena is filled with a poison pattern before the inputs are written (values
read beyond an input would show), calls that take a range of work are cut in two and run in reverse order (as threads
would), and every byte outside the plan's buffers must come back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinyinfer import compiler, registry
from tinyinfer.graph import Graph
from tinyinfer.ref import interpreter
from tinyinfer.types import Array, DType, TensorType
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.memory import SLACK
from tinyinfer.wasm_backend.plan import Plan, Step
from tinyinfer.wasm_backend.session import PlanRunner
from tinyinfer.wasm_backend.split import divide, pieces, ways_of

POISON = (0x00, 0xFF, 0x7F)  # zeros, a negative NaN, a large number with NaN-like bytes


@dataclass(frozen=True)
class Case:
    """One application of `op`. `constants` are the positions of inputs that are weights rather than feeds."""

    op: str
    inputs: tuple[Array | None, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    constants: frozenset[int] = frozenset()

    def __str__(self) -> str:
        operands = ", ".join("-" if a is None else f"{a.dtype}{list(a.shape)}" for a in self.inputs)
        return f"{self.op}({operands}) {dict(self.attrs)}"


def graph_of(case: Case) -> Graph:
    """A graph of this one node."""
    builder = registry.builder("case")
    values = [
        None
        if array is None
        else builder.constant(array, f"c{i}")
        if i in case.constants
        else builder.input(f"x{i}", TensorType(DType.of(array.dtype), array.shape))
        for i, array in enumerate(case.inputs)
    ]
    for i, value in enumerate(builder.add(case.op, *values, **case.attrs)):
        builder.output(f"y{i}", value)
    return builder.build()


def feeds_of(case: Case) -> dict[str, Array]:
    return {f"x{i}": a for i, a in enumerate(case.inputs) if a is not None and i not in case.constants}


def check_case(
    case: Case, engine: str, kernel: str | None = None, split: int = 1, tier: str = "simd128", threads: int = 1
) -> None:
    """Assert that `engine` gives the bits of the tier's reference for `case`, and that `kernel` took part."""
    graph = graph_of(case)
    plan = compiler.lower(graph)
    used = {step.kernel for step in plan.steps}
    assert kernel is None or kernel in used, f"{case} lowers to {sorted(used)}, not to {kernel}"
    expected = interpreter.run(graph, feeds_of(case), registry.reference_of, tier)
    for poison in POISON:
        actual = run_hostile(plan, feeds_of(case), engine, poison, split, tier, threads)
        for name, reference in expected.items():
            what = f"{case}: output {name} under {engine} ({tier}), poison {poison:#x}"
            assert_same_bits(actual[name], reference, what)


def run_hostile(
    plan: Plan,
    feeds: Mapping[str, Array],
    engine: str,
    poison: int,
    split: int,
    tier: str = "simd128",
    threads: int = 1,
) -> dict[str, Array]:
    """Run `plan` in poisoned memory with its calls cut, then check that nothing else was written.

    They are cut in two, or into as many pieces as there are several threads, which run at the same time.
    """
    runner = PlanRunner(plan, load_kernels(tier), engine, threads)
    runner.memory[plan.arena_offset :] = poison
    before = runner.memory.copy()
    runner.feed(feeds)
    if threads > 1:
        runner.execute(shared(plan).steps)
    else:
        runner.execute(piece for step in plan.steps for piece in cut(step, split))
    outputs = {b.name: runner.read(b) for b in plan.outputs}
    changed = runner.memory != before
    for region in plan.regions:
        changed[region.offset : region.offset + region.nbytes] = False
    for thread in range(1, threads):
        own = plan.memory_bytes + (thread - 1) * plan.scratch_bytes
        changed[own : own + plan.scratch_bytes - min(SLACK, plan.scratch_bytes)] = False
    stray = np.flatnonzero(changed)
    assert stray.size == 0, f"bytes outside every buffer were written: {stray[:8].tolist()} …\n{describe(plan)}"
    return outputs


def cut(step: Step, split: int) -> list[Step]:
    """The step as steps over disjoint ranges of work, last range first: two, or more where there are columns too."""
    *rest, m0, m1 = step.args
    middle = int(m0) + split % (int(m1) - int(m0) + 1)
    first, last = replace(step, args=(*rest, m0, middle)), replace(step, args=(*rest, middle, m1))
    names = [p.name for p in load_kernels().signature(step.kernel)]
    columns = [way for way in ways_of(step, names) if way.extent is not None]
    return [last, *reversed(pieces(replace(first, split=columns[0] if columns else None), 4))]


def shared(plan: Plan) -> Plan:
    """The plan with splits wherever they are possible, however little the work is."""
    return replace(plan, steps=divide(plan.steps, load_kernels().signatures, least_piece=1e-9, least_plan=0))


def describe(plan: Plan) -> str:
    """The plan's listing."""
    return plan.describe({name: tuple(p.name for p in ps) for name, ps in load_kernels().signatures.items()})


def same_bits(a: Array, b: Array) -> Array:
    """Element-wise bit equality; all NaNs count as one value."""
    if a.dtype != np.float32:
        return np.asarray(a == b)
    return np.asarray((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b)))


def assert_same_bits(actual: Array, expected: Array, what: str) -> None:
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, expected {expected.shape}"
    equal = same_bits(np.ascontiguousarray(actual), np.ascontiguousarray(expected))
    if not equal.all():
        first = tuple(int(i) for i in np.argwhere(~equal)[0])
        got, want = actual[first], expected[first]
        shown = f"{_hex(got)}, expected {_hex(want)}"
        raise AssertionError(f"{what}: {np.count_nonzero(~equal)} of {equal.size} differ, first at {first}: {shown}")


def _hex(value: Any) -> str:
    return f"{float(value)!r} ({float(value).hex()})" if isinstance(value, np.floating) else repr(value)
