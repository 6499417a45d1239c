"""Cross-layer equalisation: channels between two convolutions get ranges of equal size.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.1. Dividing
the filters of channel c by s and multiplying what reads it by s changes nothing, as long as what lies between is
positively homogeneous: nothing, or a ReLU. s = sqrt(r1 / r2), with r1 and r2 the largest weights that write and read
the channel, makes both equal.

A clip at a positive bound (ReLU6) is homogeneous for values that stay below the bound, before and after. Channels that
reach it on calibration data keep their scale; the others are not scaled so far that they would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from tinyinfer.quantization.editing import Editor, integer, operand
from tinyinfer.quantization.readers import CalibrationData
from tinyinfer.quantization.running import Progress, each_sample, no_progress
from tinyinfer.quantization.selection import Selection
from tinyinfer.types import Array

SWEEPS = 20
LARGEST_FACTOR = 1e3


@dataclass(frozen=True, slots=True)
class Pair:
    """Two convolutions, the tensor between them, and the bound of the clip that makes it (infinite: none)."""

    first: str
    second: str
    tensor: str
    bound: float


def equalize(
    proto: onnx.ModelProto, selection: Selection, data: CalibrationData, progress: Progress = no_progress
) -> list[Pair]:
    """Equalise all pairs of a prepared model in place; the pairs found."""
    editor = Editor(proto)
    pairs = find_pairs(editor, selection)
    if not pairs:
        return []
    clipped = [pair for pair in pairs if np.isfinite(pair.bound)]
    largest = _largest_values(proto, [p.tensor for p in clipped], data, progress) if clipped else {}
    filters = _Filters(editor)
    scale: dict[str, Array] = {}
    for _ in range(SWEEPS):
        for pair in pairs:
            first, second = filters.largest_written(pair.first), filters.largest_read(pair.second)
            usable = (first > 0) & (second > 0)
            factor = np.where(usable, np.sqrt(first / np.where(usable, second, 1.0)), 1.0)
            factor = np.clip(factor, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
            if pair.tensor in largest:
                seen = largest[pair.tensor] / scale.get(pair.tensor, 1.0)
                factor = np.where(seen < 0.999 * pair.bound, np.maximum(factor, seen / (0.999 * pair.bound)), 1.0)
            scale[pair.tensor] = scale.get(pair.tensor, 1.0) * factor
            filters.divide_written(pair.first, factor)
            filters.multiply_read(pair.second, factor)
    filters.store()
    return pairs


def find_pairs(editor: Editor, selection: Selection) -> list[Pair]:
    """Convolutions whose result nothing reads but one convolution, with at most a clip from zero between."""
    consumers = editor.consumers()
    convolutions = {w.node for w in selection.weighted}
    pairs = []

    def only_reader(tensor: str) -> NodeProto | None:
        readers = consumers.get(tensor, [])
        return readers[0] if len(readers) == 1 and tensor not in editor.outputs else None

    for node in editor.nodes:
        if node.op_type != "Conv" or node.name not in convolutions:
            continue
        tensor, bound = node.output[0], float("inf")
        reader = only_reader(tensor)
        if reader is not None and reader.op_type in ("Relu", "Clip"):
            bounds = _clip_bounds(editor, reader)
            if bounds is None:
                continue
            bound, tensor = bounds, reader.output[0]
            reader = only_reader(tensor)
        if reader is not None and reader.op_type == "Conv" and reader.name in convolutions:
            groups = integer(reader, "group", 1)
            depthwise = groups == editor.array(node.input[1]).shape[0]
            if reader.input[0] == tensor and (groups == 1 or depthwise):
                pairs.append(Pair(node.name, reader.name, tensor, bound))
    return pairs


def _clip_bounds(editor: Editor, node: NodeProto) -> float | None:
    """The upper bound of a clip from zero to a positive number; None for other clips."""
    if node.op_type == "Relu":
        return float("inf")
    low, high = editor.constant(node, 1), editor.constant(node, 2)
    if low is None or float(low) != 0.0 or (operand(node, 2) and high is None):
        return None
    bound = float("inf") if high is None else float(high)
    return bound if bound > 0.0 else None


def _largest_values(
    proto: onnx.ModelProto, tensors: list[str], data: CalibrationData, progress: Progress
) -> dict[str, Array]:
    """The largest value of each channel."""
    found: dict[str, Array] = {}
    for values in each_sample(proto, tensors, data, progress, "observing channels"):
        for name, array in values.items():
            largest = array.max(axis=(0, *range(2, array.ndim)))
            found[name] = np.maximum(found.get(name, largest), largest)
    return found


class _Filters:
    """Weights and biases in float64 while they are being scaled."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._nodes = {n.name: n for n in editor.nodes}
        self._weights: dict[str, Array] = {}
        self._biases: dict[str, Array] = {}

    def _of(self, name: str) -> Array:
        if name not in self._weights:
            node = self._nodes[name]
            self._weights[name] = self._editor.array(node.input[1]).astype(np.float64)
            bias = self._editor.constant(node, 2)
            if bias is not None:
                self._biases[name] = bias.astype(np.float64)
        return self._weights[name]

    def largest_written(self, name: str) -> Array:
        """The largest weight of each output channel."""
        weights = self._of(name)
        return np.asarray(np.abs(weights).max(axis=tuple(range(1, weights.ndim))))

    def largest_read(self, name: str) -> Array:
        """The largest weight that each input channel meets."""
        if not self._depthwise(name):
            return self._largest_by_input(name)
        # Filters of one channel follow each other.
        return np.asarray(self.largest_written(name).reshape(integer(self._nodes[name], "group", 1), -1).max(axis=1))

    def divide_written(self, name: str, factor: Array) -> None:
        weights = self._of(name)
        self._weights[name] = weights / factor.reshape(-1, *[1] * (weights.ndim - 1))
        if name in self._biases:
            self._biases[name] = self._biases[name] / factor

    def multiply_read(self, name: str, factor: Array) -> None:
        weights = self._of(name)
        axis = 0 if self._depthwise(name) else 1
        if axis == 0:
            factor = np.repeat(factor, weights.shape[0] // factor.size)
        self._weights[name] = weights * factor.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])

    def store(self) -> None:
        """Put the scaled weights into the model."""
        for name, weights in self._weights.items():
            node = self._nodes[name]
            node.input[1] = self._editor.add_constant(weights.astype(np.float32), f"{name}.equalized_weight")
            if name in self._biases:
                bias = self._biases[name].astype(np.float32)
                node.input[2] = self._editor.add_constant(bias, f"{name}.equalized_bias")
        self._editor.drop_unread()

    def _depthwise(self, name: str) -> bool:
        return integer(self._nodes[name], "group", 1) > 1

    def _largest_by_input(self, name: str) -> Array:
        weights = self._of(name)
        return np.asarray(np.abs(weights).max(axis=(0, *range(2, weights.ndim))))
