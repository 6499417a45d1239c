"""The compiler: ONNX → graph → passes → layout → lowering → plan → model.tinf."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyinfer import frontend, passes, registry
from tinyinfer.graph import Graph
from tinyinfer.wasm_backend import layout, tinf
from tinyinfer.wasm_backend.kernel_module import KernelModule, hashes, load_kernels
from tinyinfer.wasm_backend.lowering import Lowering, Shared
from tinyinfer.wasm_backend.plan import Plan

Shapes = Mapping[str, Sequence[int]]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class CompiledModel:
    """A compiled model: the graphs it came from, before and after the passes, and the file it becomes."""

    imported: tuple[Graph, ...]
    optimized: tuple[Graph, ...]
    file: tinf.ModelFile

    def __repr__(self) -> str:
        return repr(self.file).replace("ModelFile", "CompiledModel", 1)

    @property
    def plan(self) -> Plan:
        """The plan for the first set of shapes."""
        return self.file.plans[0]

    def to_bytes(self) -> bytes:
        return tinf.encode(self.file)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the `.tinf` file (whole or not at all) and return its size in bytes."""
        blob = self.to_bytes()
        tinf.write_atomically(Path(path), blob)
        return len(blob)


def print_nothing(_: str) -> None:
    """The default `progress`."""


def compile(
    model: str | os.PathLike[str],
    shapes: Shapes | Sequence[Shapes] = (),
    *,
    optimize: bool = True,
    progress: Progress = print_nothing,
) -> CompiledModel:
    """Compile an ONNX file.

    `shapes` binds the dimensions of inputs that the file leaves open; a sequence of bindings gives one plan each,
    sharing one set of weights. `progress` is told the stage that begins. Raises ModelError (unreadable),
    UnsupportedError (all unsupported operators at once) or ShapeError.
    """
    bindings = [shapes] if isinstance(shapes, Mapping) else list(shapes) or [{}]
    imported, optimized = [], []
    for binding in bindings:
        progress("import")
        graph = frontend.load(model, binding)
        imported.append(graph)
        if optimize:
            progress("optimize")
            graph = passes.run(graph)
        optimized.append(graph)
    progress("plan")
    plans = lower_together(optimized)
    file = tinf.ModelFile(imported[0].name, plans, hashes(), dict(imported[0].metadata))
    return CompiledModel(tuple(imported), tuple(optimized), file)


def lower(graph: Graph, kernels: KernelModule | None = None) -> Plan:
    """The plan of one graph, as it stands; the same for all tiers, whose kernels have the same signatures."""
    (plan,) = lower_together([graph], kernels)
    return plan


def lower_together(graphs: Sequence[Graph], kernels: KernelModule | None = None) -> tuple[Plan, ...]:
    """The plans of graphs that go into one file: its weights lie at the same addresses in all of them."""
    module = kernels or load_kernels()
    shared = Shared()
    facts = registry.SEMANTICS
    lowerings = [Lowering(g, layout.choose(g, registry.layout_of), module.signatures, facts, shared) for g in graphs]
    for lowering in lowerings:
        lowering.lower(registry.lower_of)
    return tuple(lowering.plan() for lowering in lowerings)
