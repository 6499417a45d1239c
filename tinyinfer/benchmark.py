"""How long a plan takes under a Python engine, as a whole and step by step.

Every step is a call from Python into WebAssembly. What the call alone costs is measured too, with an empty range of
work: it outweighs the work of small steps, and a browser, whose loop is JavaScript, pays almost nothing of it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinyinfer.feeds import random_feeds
from tinyinfer.types import Array
from tinyinfer.wasm_backend.engines import check_tier
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.plan import Plan, Step
from tinyinfer.wasm_backend.session import PlanRunner

WARM_UP_RUNS = 3

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class StepTime:
    """One step of the plan, its median time, and how much of that is the call from Python; milliseconds."""

    index: int
    kernel: str
    op: str
    node: str
    ms: float
    call_ms: float


@dataclass(frozen=True)
class BenchmarkReport:
    """The result of `benchmark`; all times in milliseconds."""

    engine: str
    runs: tuple[float, ...]
    """Each whole run: inputs in, all steps, outputs out."""
    steps: tuple[StepTime, ...]
    tier: str = "simd128"

    @property
    def median_ms(self) -> float:
        return statistics.median(self.runs)

    @property
    def min_ms(self) -> float:
        return min(self.runs)

    @property
    def max_ms(self) -> float:
        return max(self.runs)

    @property
    def steps_ms(self) -> float:
        """The sum over all steps."""
        return sum(step.ms for step in self.steps)

    @property
    def calls_ms(self) -> float:
        """How much of `steps_ms` is calling from Python."""
        return sum(step.call_ms for step in self.steps)

    def by(self, key: Callable[[StepTime], str]) -> dict[str, list[StepTime]]:
        """The steps of each key, the slowest group first."""
        groups: dict[str, list[StepTime]] = {}
        for step in self.steps:
            groups.setdefault(key(step), []).append(step)
        return dict(sorted(groups.items(), key=lambda item: -sum(step.ms for step in item[1])))


def _print_nothing(done: int, total: int, name: str) -> None:
    """The default `progress`."""


def benchmark(
    plan: Plan,
    engine: str = "wasmtime",
    runs: int = 30,
    feeds: Mapping[str, Array] | None = None,
    progress: Progress = _print_nothing,
    tier: str = "simd128",
) -> BenchmarkReport:
    """Time `runs` whole runs of `plan` and as many step by step, after a few to warm up; inputs default to random."""
    check_tier(engine, tier)
    runner = PlanRunner(plan, load_kernels(tier), engine)
    inputs = random_feeds(plan.inputs) if feeds is None else feeds
    for _ in range(WARM_UP_RUNS):
        runner.run(inputs)
    idle = [Step(step.kernel, (*step.args[:-1], step.args[-2]), step.node) for step in plan.steps]
    whole: list[float] = []
    single: list[list[float]] = []
    calls: list[list[float]] = []
    for done in range(runs):
        progress(done, runs, "")
        whole.append(_milliseconds(lambda: runner.run(inputs)))
        runner.feed(inputs)
        single.append(list(_each(runner, plan.steps)))
        calls.append(list(_each(runner, idle)))
    times = tuple(
        StepTime(i, step.kernel, plan.nodes[step.node].op, plan.nodes[step.node].name, ms, call_ms)
        for i, (step, ms, call_ms) in enumerate(zip(plan.steps, _medians(single), _medians(calls), strict=True))
    )
    return BenchmarkReport(engine, tuple(whole), times, tier)


def _medians(rounds: Sequence[Sequence[float]]) -> Iterator[float]:
    """The median of each position over all rounds."""
    return map(statistics.median, zip(*rounds, strict=True))


def _milliseconds(action: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - start) / 1e6


def _each(runner: PlanRunner, steps: Sequence[Step]) -> Iterator[float]:
    for step in steps:
        one = (step,)
        start = time.perf_counter_ns()
        runner.execute(one)
        yield (time.perf_counter_ns() - start) / 1e6
