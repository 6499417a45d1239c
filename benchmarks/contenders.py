"""The runtimes that are measured, and the variants of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tinyinfer.wasm_backend.kernel_module import TIERS

OURS = "tinyinfer"
WORKER = "worker"


@dataclass(frozen=True)
class Runtime:
    """What a page needs in order to run models."""

    name: str
    title: str
    adapter: str
    """The module of `benchmarks/web` that loads and runs a model."""
    model: str
    """Its kind of model file, in the folder of a prepared model."""
    scripts: tuple[str, ...] = ()
    """Classic scripts that the page loads first."""
    imports: tuple[str, ...] = ()
    """Modules that the adapter imports, which every page names so that all are fetched at once."""
    fetches: tuple[str, ...] = ()
    """What it fetches for one thread, by the `tier` of the contender and the `folder` of the model. Pages for cold
    starts name these, too; others do not, since a model would be in memory twice."""


_TFJS = ("tfjs-core/dist/tf-core", "tfjs-converter/dist/tf-converter", "tfjs-backend-wasm/dist/tf-backend-wasm")

RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in [
        Runtime(
            OURS,
            "TinyInfer",
            "tinyinfer.js",
            "model.tinf",
            imports=("/tinyinfer/index.js",),
            fetches=("/tinyinfer/kernels.{tier}.wasm", "{folder}/model.tinf"),
        ),
        Runtime(
            "onnxruntime",
            "onnxruntime-web",
            "onnxruntime.js",
            "model.onnx",
            imports=("/onnxruntime/ort.wasm.min.mjs", "/onnxruntime/ort-wasm-simd-threaded.mjs"),
            fetches=("/onnxruntime/ort-wasm-simd-threaded.wasm", "{folder}/model.onnx"),
        ),
        Runtime(
            "tfjs",
            "TF.js wasm",
            "tfjs.js",
            "tfjs/model.json",
            tuple(f"/tfjs/{path}.min.js" for path in _TFJS),
            fetches=(
                "/tfjs/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
                "{folder}/tfjs/model.json",
                "{folder}/tfjs/weights.bin",
            ),
        ),
    ]
}


@dataclass(frozen=True)
class Contender:
    """A runtime in one configuration."""

    runtime: Runtime
    threads: int
    tier: str = ""
    """Which kernels; only ours has a choice."""
    worker: bool = False
    """Whether the model is in a Worker of its own instead of the calling thread, where the peers run."""

    @property
    def key(self) -> str:
        return "-".join(filter(None, [self.runtime.name, self.tier, WORKER * self.worker, f"{self.threads}t"]))

    @property
    def title(self) -> str:
        return " ".join(filter(None, [self.runtime.title, self.tier, "in a Worker" * self.worker]))


def threads_of(key: str) -> int:
    """The number of threads of the contender with this key."""
    return int(key.rpartition("-")[2][:-1])


def in_worker(key: str) -> bool:
    """Whether the contender with this key is in a Worker of its own."""
    return f"-{WORKER}-" in key


def contenders(peers: Iterable[str], threads: Collection[int]) -> list[Contender]:
    """Ours in every tier that is built, then the peers, each with every number of threads.

    With the least number, the tier that is ours by default in a Worker, too.
    """
    found = []
    for count in sorted(threads):
        found += [Contender(RUNTIMES[OURS], count, tier) for tier in TIERS]
        found += [Contender(RUNTIMES[name], count) for name in peers]
        if count == min(threads):
            found.append(Contender(RUNTIMES[OURS], count, TIERS[0], worker=True))
    return found
