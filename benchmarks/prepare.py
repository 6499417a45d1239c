"""What each runtime needs in order to run a model: its kind of file, its kind of feeds."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import tfjs_graph
from benchmarks.contenders import OURS, RUNTIMES, Runtime
from benchmarks.export import export, read_tensors
from benchmarks.models import Model, macs
from tinyinfer import compiler
from tinyinfer.errors import TinyInferError
from tinyinfer.graph import Graph


@dataclass
class Prepared:
    """A model on disk, ready to be served."""

    model: Model
    folder: Path
    graph: Graph | None = None
    """After the passes; None if it cannot be imported."""
    macs: int = 0
    weight_bytes: int = 0
    arena_bytes: int = 0
    shares_work: bool = False
    """Whether our plan has steps for more than one thread; small models have none."""
    missing: dict[str, str] = field(default_factory=dict)
    """Runtimes that cannot run it, and why."""

    def job(self, runtime: Runtime) -> dict[str, Any]:
        """What every page of `runtime` is told; see `web/page.js`."""
        tensors = json.loads((self.folder / "tensors.json").read_text())
        feeds, expected = (self._stored("", kind, tensors[kind]) for kind in ("feeds", "expected"))
        if runtime.name == "tfjs":
            own = json.loads((self.folder / "tfjs" / "feeds.json").read_text())
            feeds = self._stored("tfjs/", "feeds", own)
        model = f"/models/{self.model.name}/{runtime.model}"
        return {"model": model, "feeds": feeds, "expected": expected, "loop": self.model.loop}

    def _stored(self, where: str, kind: str, described: Mapping[str, Any]) -> list[dict[str, Any]]:
        base = f"/models/{self.model.name}/{where}{kind}"
        return [
            {"name": name, "type": dtype, "dims": shape, "url": f"{base}/{name}.bin"}
            for name, (dtype, shape) in described.items()
        ]


def prepare(model: Model, runtimes: Collection[str]) -> Prepared:
    """Export `model` and convert it for `runtimes`; what does not work is noted in `missing`."""
    prepared = Prepared(model, export(model))
    feeds = read_tensors(prepared.folder, "feeds")
    source = prepared.folder / RUNTIMES["onnxruntime"].model
    try:
        compiled = compiler.compile(source, {name: array.shape for name, array in feeds.items()})
    except TinyInferError as error:
        prepared.missing |= dict.fromkeys((OURS, "tfjs"), str(error))
        return prepared
    compiled.save(prepared.folder / RUNTIMES[OURS].model)
    prepared.graph = compiled.optimized[0]
    prepared.macs = macs(prepared.graph)
    prepared.shares_work = any(step.split for step in compiled.plan.steps)
    prepared.weight_bytes, prepared.arena_bytes = compiled.plan.weight_bytes, compiled.plan.arena_bytes
    if "tfjs" in runtimes:
        try:
            tfjs_graph.write(prepared.graph, feeds, prepared.folder / "tfjs")
        except TinyInferError as error:
            prepared.missing["tfjs"] = str(error)
    return prepared
