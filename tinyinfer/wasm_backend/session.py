"""Running a plan under a Python engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinyinfer.errors import EngineError
from tinyinfer.types import Array
from tinyinfer.wasm_backend import engines
from tinyinfer.wasm_backend.kernel_module import KernelModule
from tinyinfer.wasm_backend.plan import Binding, Plan, Step
from tinyinfer.wasm_backend.split import pieces


class PlanRunner:
    """A plan loaded into an engine's memory: weights copied once, kernels bound once for each thread.

    One thread at a time may use it.
    """

    def __init__(self, plan: Plan, kernels: KernelModule, engine: str, threads: int = 1) -> None:
        self.plan = plan
        self._team = engines.create(engine, kernels, plan.memory_for(threads), threads)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.memory = self._team[0].memory
        for weight in plan.weights:
            self._write(weight.offset, weight.data)
        used = {step.kernel for step in plan.steps}
        self._calls = [{name: member.kernel(name) for name in used} for member in self._team]

    def feed(self, feeds: Mapping[str, Array]) -> None:
        """Copy checked inputs into linear memory."""
        for binding in self.plan.inputs:
            self._write(binding.offset, feeds[binding.name])

    def execute(self, steps: Iterable[Step]) -> None:
        """Make the calls one after the other, those with a split by all threads together."""
        for step in steps:
            if self._pool is None or step.split is None:
                self._call(0, step)
            else:
                parts = [self._pool.submit(self._call, *part) for part in enumerate(pieces(step, self._threads))]
                wait(parts)  # for all of them: none may still be at work when the first error is raised
                for part in parts:
                    part.result()

    def close(self) -> None:
        """End the threads. Nothing can be run any more."""
        if self._pool is not None:
            self._pool.shutdown()

    def _call(self, thread: int, step: Step) -> None:
        try:
            self._calls[thread][step.kernel](*self.plan.step_of(step, thread).args)
        except EngineError as error:
            node = self.plan.nodes[step.node]
            raise EngineError(f"node {node.name} ({node.op}), kernel {step.kernel}: {error}") from None

    def read(self, binding: Binding) -> Array:
        """A copy of the tensor at `binding`."""
        return np.array(self._view(binding), order="C")

    def write(self, binding: Binding, data: Array) -> None:
        """Store `data` at `binding`: the inverse of `read`."""
        self._view(binding)[...] = data

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.feed(feeds)
        self.execute(self.plan.steps)
        return {b.name: self.read(b) for b in self.plan.outputs}

    def _view(self, binding: Binding) -> Array:
        """The tensor where it is."""
        if 0 in binding.shape:
            return np.empty(binding.shape, binding.dtype.numpy)
        size = binding.dtype.size
        reach = [(n - 1) * s for n, s in zip(binding.shape, binding.strides)]
        before, after = -sum(r for r in reach if r < 0), sum(r for r in reach if r > 0)
        start = binding.offset - before * size
        flat = self.memory[start : binding.offset + (after + 1) * size].view(binding.dtype.numpy)
        return as_strided(flat[before:], binding.shape, [s * size for s in binding.strides])

    def _write(self, offset: int, data: Array) -> None:
        raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        self.memory[offset : offset + raw.size] = raw
