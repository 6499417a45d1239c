"""Writing QDQ: QuantizeLinear and DequantizeLinear around what is quantised, integers in place of float constants.

A quantised tensor keeps its name on the dequantised side, so that whatever reads it, nodes, inner graphs and the
model's callers, needs no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from tinyinfer.quantization.editing import Editor, copy_of
from tinyinfer.quantization.kinds import QuantType
from tinyinfer.quantization.params import (
    SMALLEST_SCALE,
    QuantParams,
    bias_scale,
    from_range,
    from_weights,
    quantize,
    quantize_bias,
    range_scale,
    smallest_weight_scale,
)
from tinyinfer.quantization.selection import SAME_SCALE, Selection, Weighted
from tinyinfer.quantization.thresholds import Range
from tinyinfer.types import Array


@dataclass(frozen=True, slots=True)
class Scheme:
    """Types and granularity."""

    activation_type: QuantType = QuantType.QInt8
    weight_type: QuantType = QuantType.QInt8
    per_channel: bool = True
    activation_symmetric: bool = False
    weight_symmetric: bool = True
    reduce_range: bool = False


def insert(
    proto: onnx.ModelProto,
    selection: Selection,
    ranges: Mapping[str, Range],
    scheme: Scheme,
    bias_changes: Mapping[str, Array] | None = None,
) -> onnx.ModelProto:
    """The QDQ model of a prepared float model. `bias_changes`: what to add to the bias of a node, by its name."""
    return _Insertion(proto, selection, ranges, scheme).run(bias_changes or {})


def activation_params(
    editor: Editor, selection: Selection, ranges: Mapping[str, Range], scheme: Scheme
) -> dict[str, QuantParams]:
    """By tensor; tensors of a group get the range that covers all of them, and constants moved beside them."""
    groups, covered = selection.group_of, _covered(editor, selection, ranges)
    kind, symmetric = scheme.activation_type, scheme.activation_symmetric
    return {tensor: from_range(*covered[groups[tensor]], kind, symmetric, tensor) for tensor in selection.tensors}


def without_scale(editor: Editor, selection: Selection, ranges: Mapping[str, Range], scheme: Scheme) -> set[str]:
    """The tensors of a selection that no scale can be chosen for: without range, or alone with nothing but zeros."""
    observed = [tensor for tensor in selection.tensors if tensor in ranges]
    covered = _covered(editor, selection, ranges)
    kind, symmetric = scheme.activation_type, scheme.activation_symmetric
    fit = {t for t in observed if range_scale(*covered[selection.group_of[t]], kind, symmetric)}
    return set(selection.tensors) - fit


def _covered(editor: Editor, selection: Selection, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The range of every group: of its tensors that have one, and of the constants that are moved beside them."""
    nodes = {n.name: n for n in editor.nodes}
    groups = selection.group_of
    covered: dict[str, Range] = {}

    def cover(group: str, low: float, high: float) -> None:
        old = covered.get(group, (0.0, 0.0))
        covered[group] = (min(old[0], low), max(old[1], high))

    for tensor in selection.tensors:
        if tensor in ranges:
            cover(groups[tensor], *ranges[tensor])
    for name, index in selection.constants:
        if nodes[name].op_type in SAME_SCALE:
            values = editor.array(nodes[name].input[index])
            cover(groups[nodes[name].output[0]], float(values.min()), float(values.max()))
    return covered


def weight_params(
    editor: Editor, weighted: Weighted, scheme: Scheme, input_scale: Array, bias: Array | None
) -> QuantParams:
    """The parameters of a node's weights; scales large enough for the bias to fit in int32, and for their product
    with that of the input to be a scale.
    """
    weights = editor.array(weighted.weights)
    axis = weighted.axis if scheme.per_channel else None
    floor: Array | float = SMALLEST_SCALE
    if bias is not None and bias.size and weighted.axis is not None:
        wanted = np.atleast_1d(smallest_weight_scale(bias, input_scale))
        channels = weights.shape[weighted.axis]
        # A transposed convolution's groups share the scales of their filters.
        grouped = wanted.reshape(-1, channels).max(axis=0) if wanted.size % channels == 0 else wanted.max()
        floor = grouped if axis is not None else grouped.max()
    params = from_weights(
        weights, axis, scheme.weight_type, symmetric=scheme.weight_symmetric, reduce_range=scheme.reduce_range,
        smallest_scale=floor,
    )  # fmt: skip
    return replace(params, scale=np.maximum(params.scale, np.float32(SMALLEST_SCALE / float(input_scale))))


class _Insertion:
    def __init__(
        self, proto: onnx.ModelProto, selection: Selection, ranges: Mapping[str, Range], scheme: Scheme
    ) -> None:
        self._editor = Editor(copy_of(proto))
        self._selection = selection
        self._scheme = scheme
        self._nodes = {n.name: n for n in self._editor.nodes}
        self._params = activation_params(self._editor, selection, ranges, scheme)
        self._before: dict[str, list[NodeProto]] = {}  # node → nodes that dequantise its constants
        self._shared: dict[tuple[str, QuantType, int | None, bytes, bytes], str] = {}

    def run(self, bias_changes: Mapping[str, Array]) -> onnx.ModelProto:
        for weighted in self._selection.weighted:
            self._quantise_weights(weighted, bias_changes.get(weighted.node))
        for name, index in self._selection.constants:
            self._quantise_constant(self._nodes[name], index)
        return self._editor.finish(self._with_activations())

    def _quantise_weights(self, weighted: Weighted, bias_change: Array | None) -> None:
        editor, node = self._editor, self._nodes[weighted.node]
        bias = editor.array(weighted.bias) if weighted.bias else None
        if bias_change is not None:
            bias = np.asarray(bias_change + (np.float32(0.0) if bias is None else bias), np.float32)
        scale = self._params[weighted.input].scale
        params = weight_params(editor, weighted, self._scheme, scale, bias)
        values = quantize(editor.array(weighted.weights), params)
        node.input[1] = self._dequantised(node, weighted.weights, values, params, shared=True)
        if bias is None:
            return
        if node.op_type == "MatMul":  # its bias, if any, is added by another node, in float
            return
        scales = bias_scale(scale, params.scale)
        if scales.ndim:  # a transposed convolution's groups share the scales of their filters
            scales = np.tile(scales, bias.size // scales.size)
        label = weighted.bias or f"{weighted.node}.bias"
        zero = np.zeros(scales.shape, np.int32)
        bias_params = QuantParams(scales, zero, self._scheme.weight_type, 0 if scales.ndim else None)
        quantised = quantize_bias(bias, scales)
        name = self._dequantised(node, label, quantised, bias_params)
        del node.input[2:]
        node.input.append(name)

    def _quantise_constant(self, node: NodeProto, index: int) -> None:
        name = node.input[index]
        values = self._editor.array(name)
        if node.op_type in SAME_SCALE:
            params = self._params[node.output[0]]
        else:
            kind = self._scheme.activation_type
            params = from_weights(values, None, kind, symmetric=self._scheme.activation_symmetric)
        node.input[index] = self._dequantised(node, name, quantize(values, params), params, shared=True)

    def _dequantised(
        self, node: NodeProto, label: str, values: Array, params: QuantParams, shared: bool = False
    ) -> str:
        """Add an integer constant and what dequantises it before `node`; the name of the result."""
        key = (label, params.type, params.axis, params.scale.tobytes(), params.zero_point.tobytes())
        if shared and key in self._shared:
            return self._shared[key]
        editor = self._editor
        four_bits = values.dtype != np.int32 and params.type in (QuantType.QInt4, QuantType.QUInt4)
        kind = params.type.tensor_type if four_bits else None
        operands = [
            editor.add_constant(values, f"{label}_quantized", kind),
            editor.add_constant(params.scale, f"{label}_scale"),
            editor.add_constant(params.zero_point, f"{label}_zero_point", kind),
        ]
        result = editor.unique(f"{label}_dequantized")
        attributes: dict[str, Any] = {} if params.axis is None else {"axis": params.axis}
        name = editor.unique(f"{label}_DequantizeLinear")
        dequantise = helper.make_node("DequantizeLinear", operands, [result], name=name, **attributes)
        self._before.setdefault(node.name, []).append(dequantise)
        if shared:
            self._shared[key] = result
        return result

    def _with_activations(self) -> list[NodeProto]:
        """All nodes, with a pair of conversions after the node that produces a quantised tensor, or at the start."""
        made: list[NodeProto] = []
        parameters: dict[str, list[str]] = {}
        for tensor in (t for t in self._selection.tensors if t in self._editor.inputs):
            result = self._editor.unique(f"{tensor}_dequantized")
            made += self._pair(tensor, tensor, result, parameters)
            for node in self._editor.nodes:
                for index, name in enumerate(node.input):
                    if name == tensor:
                        node.input[index] = result
        quantised = set(self._selection.tensors)
        for node in self._editor.nodes:
            made += self._before.get(node.name, [])
            made.append(node)
            for index, tensor in enumerate(node.output):
                if tensor in quantised:
                    node.output[index] = self._editor.unique(f"{tensor}_float")
                    made += self._pair(tensor, node.output[index], tensor, parameters)
        return made

    def _pair(self, tensor: str, source: str, result: str, shared: dict[str, list[str]]) -> list[NodeProto]:
        """QuantizeLinear and DequantizeLinear; tensors of a group share their constants."""
        editor, params = self._editor, self._params[tensor]
        group = self._selection.group_of[tensor]
        if group not in shared:
            shared[group] = [
                editor.add_constant(params.scale, f"{group}_scale"),
                editor.add_constant(params.zero_point, f"{group}_zero_point"),
            ]
        middle = editor.unique(f"{tensor}_quantized")
        down, up = (editor.unique(f"{tensor}_{op}") for op in ("QuantizeLinear", "DequantizeLinear"))
        return [
            helper.make_node("QuantizeLinear", [source, *shared[group]], [middle], name=down),
            helper.make_node("DequantizeLinear", [middle, *shared[group]], [result], name=up),
        ]
