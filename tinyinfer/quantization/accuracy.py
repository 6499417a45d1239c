"""How near a quantised model is to the float one: signal to noise, and agreement on the best class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from tinyinfer.quantization.editing import Editor
from tinyinfer.quantization.readers import CalibrationData
from tinyinfer.quantization.running import Progress, each_sample, no_progress
from tinyinfer.quantization.sensitivity import decibels
from tinyinfer.types import Array

# What a quantised model is warned about below: noise of 18 % of the outputs, one best class in ten another.
LEAST_SQNR = 15.0
LEAST_AGREEMENT = 0.9


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Figures over all samples."""

    sqnr: float | None
    """Signal to noise of the float outputs in decibels, at most 200; None where the model has no float output."""
    agreeing: int
    """Rows of the first output that looks like scores of classes with the same best class as the float model's."""
    rows: int
    """All of these rows; 0 where no output looks like that."""
    samples: int

    @property
    def is_low(self) -> bool:
        """Whether one of the figures is below its level (LEAST_SQNR, LEAST_AGREEMENT), or no number."""
        noisy = self.sqnr is not None and not self.sqnr >= LEAST_SQNR
        return noisy or self.agreeing < LEAST_AGREEMENT * self.rows

    def __str__(self) -> str:
        found = [] if self.sqnr is None else [f"SQNR {self.sqnr:.1f} dB"]
        found += [f"best class as in float for {self.agreeing} of {self.rows}"] if self.rows else []
        return ", ".join(found) or "no float output to compare"


def compare(
    exact: onnx.ModelProto, quantised: onnx.ModelProto, data: CalibrationData, progress: Progress = no_progress
) -> Accuracy:
    """Run both models on the data, which has to be readable more than once, with the kernels of a compiled model.

    Both have the same inputs and outputs; `exact` is a float model. Raises FeedError for data that does not fit.
    """
    editor = Editor(exact)
    outputs = [name for name in editor.outputs if editor.is_float(name)]
    if not outputs:
        return Accuracy(None, 0, 0, 0)
    signal = noise = 0.0
    agreeing = rows = count = 0
    pairs = zip(
        each_sample(exact, outputs, data, progress, "running the float model"),
        each_sample(quantised, outputs, data, progress, "measuring accuracy"),
    )
    for wanted, found in pairs:
        count += 1
        for name in outputs:
            want = wanted[name].astype(np.float64)
            signal += float(np.square(want).sum())
            noise += float(np.square(want - found[name]).sum())
        scores = _first_scores(outputs, wanted)
        if scores:
            best, other = (_classes(tensors[scores]) for tensors in (wanted, found))
            agreeing += int(np.count_nonzero(best == other))
            rows += len(best)
    return Accuracy(_decibels(signal, noise), agreeing, rows, count)


def looks_like_scores(shape: Sequence[int]) -> bool:
    """Whether an output of this shape has scores of classes: [samples, classes], or [samples, classes, 1, 1]."""
    return len(shape) >= 2 and shape[1] > 1 and all(size == 1 for size in shape[2:])


def _first_scores(outputs: Sequence[str], tensors: dict[str, Array]) -> str:
    return next((name for name in outputs if looks_like_scores(tensors[name].shape)), "")


def _classes(scores: Array) -> Array:
    return np.asarray(scores.reshape(scores.shape[:2]).argmax(axis=1))


def _decibels(signal: float, noise: float) -> float:
    relative = noise / signal if signal else noise
    return decibels(relative) if np.isfinite(relative) else float("nan")
