"""Which layers lose most: for each layer its own error, and what it alone costs the model's outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import onnx

from tinyinfer.quantization.editing import Editor
from tinyinfer.quantization.quantizer import Quantizer
from tinyinfer.quantization.running import Progress, TensorRunner, no_progress
from tinyinfer.quantization.selection import WEIGHTED
from tinyinfer.quantization.simulation import simulate
from tinyinfer.types import Array

# Samples that a layer is judged by, and decibels for a result without error.
SAMPLES = 8
EXACT = 200.0

Results = Sequence[Mapping[str, Array]]
"""Tensors by name, for each sample."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer with weights, or a product of two activations."""

    node: str
    op: str
    sqnr: float
    """Signal to noise of its result in the quantised model, errors of earlier layers included; decibels."""
    max_error: float
    """The largest absolute error of its result there."""
    loss: float
    """Squared error of the model's outputs, relative to their squares, when nothing but this layer is quantised."""
    share: float
    """Of the sum of all layers' losses."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The result of `analyze`: layers in the order of the model, and the whole model's figures."""

    layers: tuple[Layer, ...]
    sqnr: float
    """Of the outputs of the model with all layers quantised, in decibels."""
    max_error: float
    samples: int

    @property
    def worst(self) -> list[Layer]:
        """The layers, the most expensive first."""
        return sorted(self.layers, key=lambda layer: -layer.loss)


def analyze(quantizer: Quantizer, samples: int = SAMPLES, progress: Progress = no_progress) -> Sensitivity:
    """Measure every layer on the first calibration samples."""
    feeds = first_samples(quantizer, samples)
    nodes = {n.name: n for n in quantizer.proto.graph.node}
    results = {name: quantizer.selection.results[name] for name in layers_of(quantizer)}
    outputs = float_outputs(quantizer)
    exact = run_all(quantizer.proto, [*results.values(), *outputs], feeds)
    whole = run_all(simulate(quantizer.model()), [*results.values(), *outputs], feeds)
    losses = {}
    for done, name in enumerate(results):
        progress(done, len(results), name)
        losses[name] = loss(exact, run_all(simulate(quantizer.model(only=[name])), outputs, feeds), outputs)
    total = sum(losses.values()) or 1.0
    layers = [
        Layer(
            name, nodes[name].op_type, decibels(loss(exact, whole, [tensor])), _max_error(exact, whole, [tensor]),
            losses[name], losses[name] / total,
        )
        for name, tensor in results.items()
    ]  # fmt: skip
    return Sensitivity(
        tuple(layers), decibels(loss(exact, whole, outputs)), _max_error(exact, whole, outputs), len(feeds)
    )


def layers_of(quantizer: Quantizer) -> list[str]:
    """The nodes that count as layers: sums of products."""
    kinds = {n.name: n.op_type for n in quantizer.proto.graph.node}
    return [name for name in quantizer.selection.nodes if kinds[name] in WEIGHTED]


def float_outputs(quantizer: Quantizer) -> list[str]:
    """The model's outputs that are float32."""
    editor = Editor(quantizer.proto)
    return [name for name in editor.outputs if editor.is_float(name)]


def first_samples(quantizer: Quantizer, count: int) -> list[dict[str, Array]]:
    """The first of the calibration samples."""
    return [
        {name: np.asarray(array) for name, array in sample.items()} for sample in islice(iter(quantizer.data), count)
    ]


def run_all(
    proto: onnx.ModelProto, tensors: Sequence[str], feeds: Sequence[Mapping[str, Array]]
) -> list[dict[str, Array]]:
    """The tensors of a float model for each of the feeds."""
    runner = TensorRunner(proto, tensors)
    return [runner.run(one) for one in feeds]


def loss(exact: Results, actual: Results, names: Sequence[str]) -> float:
    """Σ(y - ŷ)² / Σy² over tensors and samples."""
    pairs = [(a[n].astype(np.float64), b[n].astype(np.float64)) for a, b in zip(exact, actual) for n in names]
    signal = sum(float(np.square(a).sum()) for a, _ in pairs)
    noise = sum(float(np.square(a - b).sum()) for a, b in pairs)
    return noise / signal if signal else noise


def decibels(relative_loss: float) -> float:
    """Signal to noise ratio."""
    return min(EXACT, -10.0 * math.log10(relative_loss)) if relative_loss else EXACT


def _max_error(exact: Results, actual: Results, names: Sequence[str]) -> float:
    return max(float(np.abs(a[n] - b[n]).max(initial=0.0)) for a, b in zip(exact, actual) for n in names)
