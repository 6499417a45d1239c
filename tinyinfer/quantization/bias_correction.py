"""Bias correction: what quantisation shifts the mean of a channel by is taken back in its bias.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section 4.2, with the
means observed on calibration data rather than derived. The quantised node is run on the quantised values of the float
model's activations, beside the float node, so that each node answers for its own error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, helper

from tinyinfer.quantization.editing import Editor, copy_of, operand, opset_of
from tinyinfer.quantization.insertion import Scheme, weight_params
from tinyinfer.quantization.params import QuantParams, dequantize, quantize
from tinyinfer.quantization.readers import CalibrationData
from tinyinfer.quantization.running import Progress, each_sample, no_progress
from tinyinfer.quantization.selection import Selection, Weighted
from tinyinfer.quantization.simulation import fake_quantise
from tinyinfer.types import Array

CORRECTED = ("Conv", "ConvTranspose", "Gemm")
# From this opset on ReduceMean takes its axes as an operand.
AXES_ARE_AN_OPERAND = 18


def bias_changes(
    proto: onnx.ModelProto,
    selection: Selection,
    params: Mapping[str, QuantParams],
    scheme: Scheme,
    data: CalibrationData,
    progress: Progress = no_progress,
) -> dict[str, Array]:
    """What to add to the bias of each node, float32 [channels], by the node's name.

    `params`: those of the activations, by tensor.
    """
    probe = _Probe(proto, params, scheme)
    pairs = {w.node: probe.add(w) for w in selection.weighted if probe.kind(w) in CORRECTED}
    if not pairs:
        return {}
    shifts = {name: np.zeros(()) for name in pairs}
    count = 0
    wanted = [tensor for pair in pairs.values() for tensor in pair]
    for tensors in each_sample(probe.finish(), wanted, data, progress, "correcting biases"):
        count += 1
        for name, (exact, quantised) in pairs.items():
            shifts[name] = shifts[name] + (tensors[exact].astype(np.float64) - tensors[quantised])
    means = {name: (shift / max(count, 1)).astype(np.float32) for name, shift in shifts.items()}
    return {name: mean for name, mean in means.items() if np.isfinite(mean).all()}


class _Probe:
    """The float model with a quantised twin beside every node, and the mean of each channel of both."""

    def __init__(self, proto: onnx.ModelProto, params: Mapping[str, QuantParams], scheme: Scheme) -> None:
        self._editor = Editor(copy_of(proto))
        self._nodes = {n.name: n for n in self._editor.nodes}
        self._params = params
        self._scheme = scheme
        self._added: dict[str, list[NodeProto]] = {}
        self._inputs: dict[str, str] = {}

    def kind(self, weighted: Weighted) -> str:
        return str(self._nodes[weighted.node].op_type)

    def add(self, weighted: Weighted) -> tuple[str, str]:
        """Give a node a twin; the names of the means of its own channels and of the twin's."""
        editor, node = self._editor, self._nodes[weighted.node]
        made = self._added.setdefault(node.name, [])
        if weighted.input not in self._inputs:
            nodes, result = fake_quantise(editor, weighted.input, self._params[weighted.input])
            made += nodes
            self._inputs[weighted.input] = result
        bias = editor.array(weighted.bias) if weighted.bias else None
        scale = self._params[weighted.input].scale
        params = weight_params(editor, weighted, self._scheme, scale, bias)
        weights = editor.array(weighted.weights)
        twin = NodeProto()
        twin.CopyFrom(node)
        twin.name = editor.unique(f"{node.name}_quantised")
        twin.input[0] = self._inputs[weighted.input]
        twin.input[1] = editor.add_constant(dequantize(quantize(weights, params), params), f"{node.name}_weights")
        twin.output[0] = editor.unique(f"{node.output[0]}_quantised")
        made.append(twin)
        return self._mean(node, node.output[0], made), self._mean(node, twin.output[0], made)

    def _mean(self, node: NodeProto, tensor: str, made: list[NodeProto]) -> str:
        rank = self._editor.array(operand(node, 1)).ndim
        axes = [0] if node.op_type == "Gemm" else [0, *range(2, rank)]
        result = self._editor.unique(f"{tensor}_mean")
        name = self._editor.unique(f"{tensor}_ReduceMean")
        if opset_of(self._editor.proto) >= AXES_ARE_AN_OPERAND:
            operands = [tensor, self._editor.add_constant(np.array(axes, np.int64), "axes")]
            made.append(helper.make_node("ReduceMean", operands, [result], name=name, keepdims=0))
        else:
            made.append(helper.make_node("ReduceMean", [tensor], [result], name=name, axes=axes, keepdims=0))
        return result

    def finish(self) -> onnx.ModelProto:
        editor = self._editor
        editor.replace_nodes(n for node in editor.nodes for n in (node, *self._added.get(node.name, [])))
        return editor.proto
