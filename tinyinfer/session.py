"""InferenceSession: load a model, run it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from numpy.typing import ArrayLike

from tinyinfer.compiler import CompiledModel, compile
from tinyinfer.errors import FeedError, PlanError
from tinyinfer.types import Array
from tinyinfer.wasm_backend import engines, tinf
from tinyinfer.wasm_backend.kernel_module import KernelModule, load_kernels
from tinyinfer.wasm_backend.plan import Binding, Plan
from tinyinfer.wasm_backend.session import PlanRunner, check_feeds, choose_plan

ModelSource: TypeAlias = "str | os.PathLike[str] | bytes | CompiledModel | tinf.ModelFile"


class InferenceSession:
    """Runs a model with the WebAssembly kernels under a Python engine.

    `model` is a path or the bytes of a `.tinf` file, the path of an ONNX file (compiled on the spot), or the result
    of `tinyinfer.compile`. `engine` is "wasmtime" or "wasmer"; `tier` is "simd128", which runs everywhere, or
    "relaxed", whose multiply-adds round once (wasmtime only). `threads` share the work (wasmtime only); their number
    changes no bit.

        session = InferenceSession("model.tinf")
        outputs = session.run({"image": image})
    """

    def __init__(self, model: ModelSource, engine: str = "wasmtime", tier: str = "simd128", threads: int = 1) -> None:
        engines.check_tier(engine, tier)
        self._file = _load(model)
        self._engine = engine
        self._threads = threads
        self._kernels = kernels_for(self._file, tier)
        self._runners: dict[int, PlanRunner] = {}
        self._runner(self._file.plans[0])

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def tier(self) -> str:
        """Which of the kernel modules runs."""
        return self._kernels.tier

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

    def run(self, feeds: Mapping[str, ArrayLike], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """Run the model; returns all outputs by name, or those named. FeedError says which feed does not fit."""
        plan = choose_plan(self._file.plans, feeds)
        checked = check_feeds(plan.inputs, feeds)
        known = [b.name for b in plan.outputs]
        unknown = [name for name in outputs or () if name not in known]
        if unknown:
            names = ", ".join(map(repr, unknown))
            raise FeedError(f"unknown output {names}; the model's outputs are {', '.join(known)}")
        results = self._runner(plan).run(checked)
        return {name: results[name] for name in outputs or known}

    def _runner(self, plan: Plan) -> PlanRunner:
        key = self._file.plans.index(plan)
        if key not in self._runners:
            self._runners[key] = PlanRunner(plan, self._kernels, self._engine, self._threads)
        return self._runners[key]


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
