"""InferenceSession: load a model, run it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, overload
from weakref import WeakSet

from numpy.typing import ArrayLike

from tinyinfer.compiler import CompiledModel, compile
from tinyinfer.errors import FeedError, PlanError, TinyInferError
from tinyinfer.types import Array
from tinyinfer.wasm_backend import engines, tinf
from tinyinfer.wasm_backend.document import DamageError, check_steps
from tinyinfer.wasm_backend.feeding import by_name, check_feeds, choose_plan
from tinyinfer.wasm_backend.kernel_module import KernelModule, load_kernels
from tinyinfer.wasm_backend.plan import Binding, Plan
from tinyinfer.wasm_backend.session import PlanRunner

ModelSource: TypeAlias = "str | os.PathLike[str] | bytes | CompiledModel | tinf.ModelFile"

Feeds: TypeAlias = "Mapping[str, ArrayLike] | ArrayLike"


class InferenceSession:
    """Runs a model with the WebAssembly kernels under a Python engine.

    `model` is a path or the bytes of a `.tinf` file, the path of an ONNX file (compiled on the spot), or the result
    of `tinyinfer.compile`. `engine` is "wasmtime" or "wasmer"; `tier` is "simd128", which runs everywhere, or
    "relaxed", whose multiply-adds round once (wasmtime only). `threads` share the work (wasmtime only); their number
    changes no bit.

        session = InferenceSession("model.tinf")
        outputs = session.run({"image": image})

    Any number of threads may call one session: calls take turns, since a session has one memory. To run at the same
    time, threads take a `copy.copy` each: the copy shares the model and has an engine and memory of its own.

    A session pickles as the bytes of its model. Copies, unpickled sessions and those of a forked process make their
    engine at the first run. `close`, or the end of a `with` block, ends its threads and gives its memory back.
    """

    def __init__(self, model: ModelSource, engine: str = "wasmtime", tier: str = "simd128", threads: int = 1) -> None:
        engines.check_tier(engine, tier)
        self._prepare(_load(model), engine, tier, threads)
        with self._lock:
            self._runner(self._file.plans[0])

    def _prepare(self, file: tinf.ModelFile, engine: str, tier: str, threads: int) -> None:
        """Everything but an engine."""
        self._file = file
        self._engine = engine
        self._tier = tier
        self._threads = threads
        self._closed = False
        self._start_over()
        _SESSIONS.add(self)

    def _start_over(self) -> None:
        self._lock = Lock()
        self._runners: dict[int, PlanRunner] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"model": tinf.encode(self._file), **self._settings()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._prepare(tinf.decode(state.pop("model"), "the pickled model"), **state)

    def __copy__(self) -> InferenceSession:
        other = type(self).__new__(type(self))
        other._prepare(self._file, **self._settings())
        return other

    def __deepcopy__(self, _: dict[int, Any]) -> InferenceSession:
        return self.__copy__()

    def _settings(self) -> dict[str, Any]:
        return {"engine": self._engine, "tier": self._tier, "threads": self._threads}

    def __enter__(self) -> InferenceSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the run that is under way, then end the session's threads and give its memory back.

        Later runs raise TinyInferError. To close twice does no harm.
        """
        with self._lock:
            self._closed = True
            for runner in self._runners.values():
                runner.close()
            self._runners = {}

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def tier(self) -> str:
        """Which of the kernel modules runs."""
        return self._tier

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata_props of the ONNX file."""
        return self._file.metadata

    @property
    def inputs(self) -> tuple[Binding, ...]:
        """Name, element type and shape of each input (of the first shape plan)."""
        return self._file.plans[0].inputs

    @property
    def outputs(self) -> tuple[Binding, ...]:
        return self._file.plans[0].outputs

    @overload
    def run(self, feeds: Feeds, outputs: Sequence[str] | None = None) -> dict[str, Array]: ...

    @overload
    def run(self, feeds: Sequence[str] | None, outputs: Mapping[str, ArrayLike]) -> list[Array]: ...

    def run(self, feeds: Any, outputs: Any = None) -> dict[str, Array] | list[Array]:
        """Run the model; returns all outputs by name, or those named, as arrays that belong to the caller.

        `feeds` are arrays by name; one array, or list of numbers, where the model has one input. Arrays have the
        input's element type, or a smaller one of its kind, and its shape. As in onnxruntime, `run(None, feeds)` and
        `run(["y"], feeds)` return a list, in the order of the names.
        Raises FeedError, which says which feed does not fit and what would, and EngineError when a kernel fails.
        """
        if not _are_names(outputs) or (feeds is None and outputs is not None):
            return list(self._run(outputs, feeds))
        names = tuple(outputs or self._output_names)
        return dict(zip(names, self._run(feeds, names)))

    @property
    def _output_names(self) -> list[str]:
        return [b.name for b in self.outputs]

    def _run(self, feeds: Any, outputs: Any) -> list[Array]:
        """The outputs of these names, all if there are none."""
        named = by_name(self.inputs, feeds)
        if not _are_names(outputs):
            raise FeedError(f"outputs are given as a list of names, such as {self._output_names}, not {outputs!r:.60}")
        unknown = ", ".join(repr(name) for name in outputs or () if name not in self._output_names)
        if unknown:
            raise FeedError(f"unknown output {unknown}; the model's outputs are {', '.join(self._output_names)}")
        plan = choose_plan(self._file.plans, named)
        checked = check_feeds(plan.inputs, named, self._file.plans)
        with self._lock:
            try:
                results = self._runner(plan).run(checked)
            except KeyboardInterrupt:
                self._runners = {}  # its threads may still be at work, in memory that nobody else uses any more
                raise
        return [results[name] for name in outputs or self._output_names]

    def __repr__(self) -> str:
        return f"<InferenceSession {self.name}: {self._file.plans[0].signature}; {self._engine}, {self._tier}>"

    def _runner(self, plan: Plan) -> PlanRunner:
        """The plan in an engine's memory. Only who has the lock may ask for it, and use it."""
        if self._closed:
            raise TinyInferError(f"the session of {self.name} has been closed")
        key = next(i for i, known in enumerate(self._file.plans) if known is plan)
        if key not in self._runners:
            kernels = kernels_for(self._file, self._tier)
            self._runners[key] = PlanRunner(plan, kernels, self._engine, self._threads)
        return self._runners[key]


def _are_names(value: Any) -> bool:
    """Whether it says which outputs: None, or a list of names."""
    return value is None or (isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value))


_SESSIONS: WeakSet[InferenceSession] = WeakSet()


def _start_over_after_fork() -> None:
    """A child process has none of its parent's threads: locks they held stay locked, and pools have nobody in them."""
    for session in _SESSIONS:
        session._start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_after_fork)


def kernels_for(file: tinf.ModelFile, tier: str = "simd128") -> KernelModule:
    """The installed kernels of a tier; PlanError when the model was compiled for others."""
    kernels = load_kernels(tier)
    wanted = file.kernels.get(tier)
    if wanted is None:
        raise PlanError(
            f"model {file.name} was compiled for {', '.join(file.kernels) or 'no kernels'}, not for the {tier} tier; "
            "compile it again with this version of TinyInfer"
        )
    if wanted != kernels.sha256:
        raise PlanError(
            f"model {file.name} was compiled for other kernels (SHA-256 {wanted[:12]}…, installed "
            f"{kernels.sha256[:12]}…); compile it again with this version of TinyInfer"
        )
    try:
        check_steps(file.plans, kernels.signatures)
    except DamageError as damage:
        raise PlanError(f"model {file.name} is damaged: {damage}") from None
    return kernels


def _load(model: ModelSource) -> tinf.ModelFile:
    if isinstance(model, CompiledModel):
        return model.file
    if isinstance(model, tinf.ModelFile):
        return model
    if isinstance(model, bytes):
        return tinf.decode(model)
    path = Path(model)
    return compile(path).file if path.suffix == ".onnx" else tinf.read(path)
