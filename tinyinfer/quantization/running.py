"""Running a model for its inner tensors, with the kernels that it will run with in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized

import onnx
from onnx import TensorProto, helper

from tinyinfer import compiler, frontend, passes
from tinyinfer.quantization.editing import copy_of
from tinyinfer.quantization.readers import CalibrationData, read_samples
from tinyinfer.types import Array
from tinyinfer.wasm_backend.feeding import check_feeds
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.session import PlanRunner

Progress = Callable[[int, int, str], None]
"""Told the units done, the units in all (0 when unknown) and what is being done."""


def no_progress(done: int, total: int, item: str) -> None:
    """The default `progress`."""


class TensorRunner:
    """Runs a model and returns tensors of any place in it. Compiled for the shapes of the first feeds."""

    def __init__(self, proto: onnx.ModelProto, tensors: Sequence[str]) -> None:
        self._inputs = [i.name for i in proto.graph.input]
        self._wanted = list(dict.fromkeys(tensors))
        inner = [t for t in self._wanted if t not in self._inputs]
        # A graph needs an output, whatever is wanted.
        self._proto = with_outputs(proto, inner or [o.name for o in proto.graph.output])
        self._runner: PlanRunner | None = None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The wanted tensors by name. FeedError when feeds do not fit the model, or the first feeds' shapes."""
        if self._runner is None:
            graph = passes.run(frontend.load(self._proto, {name: a.shape for name, a in feeds.items()}))
            self._runner = PlanRunner(compiler.lower(graph), load_kernels(), "wasmtime")
        results = self._runner.run(check_feeds(self._runner.plan.inputs, feeds))
        return {name: feeds[name] if name in self._inputs else results[name] for name in self._wanted}


def with_outputs(proto: onnx.ModelProto, tensors: Iterable[str]) -> onnx.ModelProto:
    """A copy of a model whose outputs are these tensors."""
    wanted = copy_of(proto)
    del wanted.graph.output[:]
    wanted.graph.output.extend(helper.make_tensor_value_info(t, TensorProto.UNDEFINED, None) for t in tensors)
    return wanted


def each_sample(
    proto: onnx.ModelProto, tensors: Sequence[str], data: CalibrationData, progress: Progress, what: str
) -> Iterable[dict[str, Array]]:
    """The tensors of a model for every sample of the data."""
    runner = TensorRunner(proto, tensors)
    total = len(data) if isinstance(data, Sized) else 0
    progress(0, total, what)
    for done, sample in enumerate(read_samples(data, [i.name for i in proto.graph.input]), 1):
        yield runner.run(sample)
        progress(done, total, what)
