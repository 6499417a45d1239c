"""How long a plan takes under a Python engine, as a whole and step by step.

Every step is a call from Python into WebAssembly, whose own cost is measured too: it matters for small steps, and a
browser, whose runtime loop is JavaScript, pays much less of it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinyinfer.feeds import random_feeds
from tinyinfer.types import Array
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.plan import Plan, Step
from tinyinfer.wasm_backend.session import PlanRunner

WARM_UP_RUNS = 3
CALLS_TIMED = 1000

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class StepTime:
    """One step of the plan and its median time in milliseconds."""

    index: int
    kernel: str
    op: str
    node: str
    ms: float


@dataclass(frozen=True)
class BenchmarkReport:
    """The result of `benchmark`; all times in milliseconds."""

    engine: str
    runs: tuple[float, ...]
    """Each whole run: inputs in, all steps, outputs out."""
    steps: tuple[StepTime, ...]
    call_ms: float
    """What one call costs apart from its work; included in the time of every step."""

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

    def by(self, key: Callable[[StepTime], str]) -> dict[str, tuple[int, float]]:
        """Number of steps and milliseconds for each key, the slowest first."""
        groups: dict[str, list[float]] = {}
        for step in self.steps:
            groups.setdefault(key(step), []).append(step.ms)
        sums = {name: (len(times), sum(times)) for name, times in groups.items()}
        return dict(sorted(sums.items(), key=lambda item: -item[1][1]))


def _print_nothing(done: int, total: int, name: str) -> None:
    """The default `progress`."""


def benchmark(
    plan: Plan,
    engine: str = "wasmtime",
    runs: int = 30,
    feeds: Mapping[str, Array] | None = None,
    progress: Progress = _print_nothing,
) -> BenchmarkReport:
    """Time `runs` whole runs of `plan` and as many step by step, after a few to warm up; inputs default to random."""
    runner = PlanRunner(plan, load_kernels(), engine)
    inputs = random_feeds(plan.inputs) if feeds is None else feeds
    for _ in range(WARM_UP_RUNS):
        runner.run(inputs)
    whole: list[float] = []
    single: list[list[float]] = []
    for done in range(runs):
        progress(done, runs, "")
        whole.append(_milliseconds(lambda: runner.run(inputs)))
        runner.feed(inputs)
        single.append(list(_each(runner, plan.steps)))
    medians = map(statistics.median, zip(*single, strict=True))
    times = tuple(
        StepTime(i, step.kernel, plan.nodes[step.node].op, plan.nodes[step.node].name, ms)
        for i, (step, ms) in enumerate(zip(plan.steps, medians, strict=True))
    )
    return BenchmarkReport(engine, tuple(whole), times, _call_cost(runner, plan.steps))


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


def _call_cost(runner: PlanRunner, steps: Sequence[Step]) -> float:
    """The median time of a call whose range of work, its last two arguments, is empty."""
    if not steps:
        return 0.0
    *rest, m0, _ = steps[0].args
    return statistics.median(_each(runner, [Step(steps[0].kernel, (*rest, m0, m0), steps[0].node)] * CALLS_TIMED))
