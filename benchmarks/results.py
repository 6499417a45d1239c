"""What a run has measured, and its form on disk."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Any

from benchmarks.contenders import in_worker, threads_of
from benchmarks.roofline import INTEGERS

UNDISTURBED = 0.9
"""The share of its best speed that a loop has at least on a core of its own."""
FEW = 5
"""Samples that a median needs."""


@dataclass
class Timing:
    """Milliseconds of one contender on one model, by launch of the browser."""

    launches: list[list[float]] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    """Without the way to a Worker and back, where the runtime tells."""
    error: float = 0.0
    """The largest difference from the expected outputs, relative to the largest expected value."""
    speeds: list[float] = field(default_factory=list)
    """For each sample: multiply-accumulates per second of the loop `mul_add` beside it."""

    @property
    def samples(self) -> list[float]:
        return [ms for launch in self.launches for ms in launch]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The 10th and the 90th percentile."""
        return quantile(self.samples, 0.1), quantile(self.samples, 0.9)

    @property
    def unsteady(self) -> bool:
        """Whether the medians of the launches differ by more than 15 %."""
        medians = [statistics.median(launch) for launch in self.launches]
        return max(medians) > 1.15 * min(medians)

    def undisturbed(self, speed: float) -> Timing:
        """The samples beside which the loop had this speed at least."""
        kept = [s >= speed for s in self.speeds]
        flags = iter(kept)
        launches = [[ms for ms in launch if next(flags)] for launch in self.launches]
        return Timing(
            [launch for launch in launches if launch],
            list(compress(self.inside, kept)),
            self.error,
            list(compress(self.speeds, kept)),
        )


@dataclass
class ColdStart:
    """Milliseconds from navigation to the first output."""

    empty: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)


@dataclass
class ModelResult:
    """Everything about one model; contenders by their keys."""

    name: str
    title: str
    macs: int
    weight_bytes: int
    quantized: bool = False
    """Whether its products are of integers."""
    timings: dict[str, Timing] = field(default_factory=dict)
    cold: dict[str, ColdStart] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    """Bytes of the renderer process over those of a blank page."""
    missing: dict[str, str] = field(default_factory=dict)

    def undisturbed(self, speed: float) -> ModelResult:
        """With the undisturbed samples alone; where one contender has too few of them, with all of those beside it."""
        kept = {key: timing.undisturbed(speed) for key, timing in self.timings.items()}
        few = {_compared(key) for key, timing in kept.items() if len(timing.samples) < FEW}
        return replace(self, timings={key: self.timings[key] if _compared(key) in few else kept[key] for key in kept})


@dataclass
class Transfer:
    """Bytes of code that a page fetches in order to run a model, the model not among them."""

    raw: int
    gzip: int
    brotli: int


@dataclass
class Results:
    """One run of the benchmark."""

    date: str
    browser: str
    machine: str
    settings: dict[str, Any]
    titles: dict[str, str] = field(default_factory=dict)
    """Contenders by their keys, in the order of the tables."""
    limits: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By number of threads and loop: multiply-accumulates, or bytes read, per second."""
    models: list[ModelResult] = field(default_factory=list)
    transfer: dict[str, Transfer] = field(default_factory=dict)

    @property
    def undisturbed_speed(self) -> float:
        """The speed of the loop beside a sample from which on nothing else had a part of its core."""
        speeds = [speed for model in self.models for timing in model.timings.values() for speed in timing.speeds]
        return _least_undisturbed(speeds) if speeds else 0.0

    def undisturbed(self) -> Results:
        """The same without what was measured while something else had a part of the cores."""
        speed = self.undisturbed_speed
        models = [model.undisturbed(speed) for model in self.models]
        limits = {
            threads: {name: [r for r in rates if r >= _least_undisturbed(rates)] for name, rates in loops.items()}
            for threads, loops in self.limits.items()
        }
        return replace(self, models=models, limits=limits)

    def peak(self, threads: int, quantized: bool = False) -> float | None:
        """Multiply-accumulates per second that the fastest register-resident loop reaches with 128-bit vectors."""
        return fastest(self.limits.get(str(threads), {}), quantized)

    def bandwidth(self, threads: int) -> float | None:
        """Bytes per second of reading memory in order."""
        rates = self.limits.get(str(threads), {}).get("read")
        return statistics.median(rates) if rates else None

    def bound(self, model: ModelResult, threads: int) -> float | None:
        """The least milliseconds: all products at the peak, or all weights read once, whichever takes longer."""
        peak, bandwidth = self.peak(threads, model.quantized), self.bandwidth(threads)
        if peak is None or bandwidth is None or not model.macs:
            return None
        return 1000 * max(model.macs / peak, model.weight_bytes / bandwidth)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> Results:
        data = json.loads(path.read_text())
        models = [
            ModelResult(
                **{
                    **model,
                    "timings": {key: Timing(**timing) for key, timing in model["timings"].items()},
                    "cold": {key: ColdStart(**cold) for key, cold in model["cold"].items()},
                }
            )
            for model in data.pop("models")
        ]
        transfer = {key: Transfer(**sizes) for key, sizes in data.pop("transfer").items()}
        return Results(**data, models=models, transfer=transfer)


def _least_undisturbed(speeds: Sequence[float]) -> float:
    """What a loop with these speeds has at least on a core of its own; the fastest may be errors of the clock."""
    return UNDISTURBED * quantile(speeds, 0.95)


def _compared(key: str) -> tuple[int, bool]:
    """The same for contenders whose times are put beside each other."""
    return threads_of(key), in_worker(key)


def fastest(limits: Mapping[str, Sequence[float]], quantized: bool) -> float | None:
    """Multiply-accumulates per second of the fastest arithmetic loop that computes with such operands."""
    rates = {name: statistics.median(rates) for name, rates in limits.items() if name != "read"}
    return max((rate for name, rate in rates.items() if (name in INTEGERS) is quantized), default=None)


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which the share `q` of `values` lies, interpolated linearly."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
