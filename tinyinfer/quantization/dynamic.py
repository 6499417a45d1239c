"""Dynamic quantisation: weights quantised once, activations anew for every run; no calibration data is needed.

A product becomes what onnxruntime.quantization writes: DynamicQuantizeLinear, MatMulInteger or ConvInteger, and a
multiplication of the int32 sums by both scales.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization.editing import Editor, attribute, integer, operand
from tinyinfer.quantization.kinds import QuantType
from tinyinfer.quantization.params import from_weights, quantize
from tinyinfer.quantization.preparation import ModelInput, is_quantisable, prepare
from tinyinfer.quantization.selection import require_known
from tinyinfer.quantization.static import check_output, require_type, save
from tinyinfer.types import Array

OP_TYPES = ("MatMul", "Gemm", "Conv")
# A product of two bytes less their zero points, and what sums of them may reach.
LARGEST_PRODUCT, LARGEST_SUM = 255 * 128, 2**31 - 1


def quantize_dynamic(
    model_input: ModelInput,
    model_output: str | os.PathLike[str] | None,
    op_types_to_quantize: Collection[str] | None = None,
    per_channel: bool = False,
    reduce_range: bool = False,
    weight_type: QuantType = QuantType.QInt8,
    nodes_to_quantize: Iterable[str] | None = None,
    nodes_to_exclude: Iterable[str] | None = None,
) -> onnx.ModelProto:
    """Quantise the weights of MatMul, Gemm and Conv to eight bits, and their activations while running.

    Writes the file `model_output` (whole or not at all; None: no file) and returns the model. Arguments have the names
    and meanings of `onnxruntime.quantization.quantize_dynamic`. Weights of convolutions are uint8 around 128, the type
    of ConvInteger that all runtimes have. Products whose sums may leave int32 stay in float. Raises QuantizationError
    and ModelError as `quantize_static` does.
    """
    require_type("weight_type", weight_type)
    if model_output is not None:
        check_output(Path(model_output))
    proto = prepare(model_input)
    editor = Editor(proto)
    require_known(op_types_to_quantize or (), OP_TYPES, "operator type")
    names = [n.name for n in editor.nodes]
    wanted = set(nodes_to_quantize) if nodes_to_quantize else set(names)
    wanted -= set(excluded := list(nodes_to_exclude or ()))
    require_known([*wanted, *excluded], names, "node")
    rewriting = _Rewriting(editor, per_channel, reduce_range, weight_type)
    kinds = op_types_to_quantize or OP_TYPES
    nodes: list[NodeProto] = []
    for node in editor.nodes:
        if node.op_type in kinds and node.name in wanted and rewriting.accepts(node):
            nodes += rewriting.rewrite(node)
        else:
            nodes.append(node)
    if len(nodes) == len(names):
        raise QuantizationError("nothing to quantise: no MatMul, Gemm or Conv with constant weights, or all excluded")
    editor.finish(nodes)
    if model_output is not None:
        save(proto, Path(model_output))
    return proto


class _Rewriting:
    def __init__(self, editor: Editor, per_channel: bool, reduce_range: bool, weight_type: QuantType) -> None:
        self._editor = editor
        self._per_channel = per_channel
        self._reduce_range = reduce_range
        self._weight_type = weight_type
        self._activations: dict[str, tuple[str, str, str]] = {}
        self._weights: dict[tuple[str, QuantType, bool], tuple[str, str, str]] = {}

    def accepts(self, node: NodeProto) -> bool:
        """Whether weights and bias are constant and the form is one that integer products have."""
        weights = self._editor.constant(node, 1)
        if weights is None or not is_quantisable(weights) or not self._editor.is_float(node.input[0]):
            return False
        if LARGEST_PRODUCT * weights.size // self._outputs(node, weights) > LARGEST_SUM:
            return False
        if node.op_type == "MatMul":
            return bool(weights.ndim == 2)
        bias = operand(node, 2)
        plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
        return plain and not integer(node, "transA", 0) and (not bias or self._editor.is_constant(bias))

    def rewrite(self, node: NodeProto) -> list[NodeProto]:
        editor = self._editor
        conv = node.op_type == "Conv"
        values, w_scale, zero = self._quantised(node)
        nodes, (x, x_scale, x_zero) = self._activation(node.input[0])
        sums, floats, scales = (editor.unique(f"{node.output[0]}_{s}") for s in ("sums", "float", "scales"))
        product = helper.make_node(
            "ConvInteger" if conv else "MatMulInteger", [x, values, x_zero, zero], [sums], name=node.name
        )
        if conv:
            product.attribute.extend(node.attribute)
        bias = editor.constant(node, 2)
        scaled = editor.unique(f"{node.output[0]}_scaled") if bias is not None else node.output[0]
        nodes += [
            product,
            self._node("Cast", [sums], floats, to=TensorProto.FLOAT),
            self._node("Mul", [x_scale, w_scale], scales),
            self._node("Mul", [floats, scales], scaled),
        ]
        if bias is not None:
            nodes.append(self._node("Add", [scaled, self._bias(node, bias)], node.output[0]))
        return nodes

    def _quantised(self, node: NodeProto) -> tuple[str, str, str]:
        """The integers, scale and zero point of a node's weights, shared by the nodes that read the same ones."""
        editor, label = self._editor, node.input[1]
        conv, turned = node.op_type == "Conv", node.op_type == "Gemm" and integer(node, "transB", 0) != 0
        kind = QuantType.QUInt8 if conv else self._weight_type
        key = (label, kind, turned)
        if key in self._weights:
            return self._weights[key]
        weights = np.ascontiguousarray(editor.array(label).T) if turned else editor.array(label)
        axis = 0 if conv else 1
        params = from_weights(weights, axis if self._per_channel else None, kind, reduce_range=self._reduce_range)
        # Along the channels of the sums, which a convolution has before its spatial dimensions.
        scale = params.scale.reshape(-1, *[1] * (weights.ndim - 2)) if conv and self._per_channel else params.scale
        # Symmetric: the same zero point for all channels, and runtimes want one number.
        zero = params.zero_point.reshape(-1)[0].reshape(())
        arrays = {"quantized": quantize(weights, params), "scale": scale, "zero_point": zero}
        values, scales, zeros = (editor.add_constant(array, f"{label}_{what}") for what, array in arrays.items())
        self._weights[key] = values, scales, zeros
        return self._weights[key]

    def _outputs(self, node: NodeProto, weights: Array) -> int:
        """How many sums the weights give for each position."""
        return int(weights.shape[0 if node.op_type == "Conv" or integer(node, "transB", 0) else -1])

    def _activation(self, tensor: str) -> tuple[list[NodeProto], tuple[str, str, str]]:
        """The quantised tensor, its scale and zero point; nodes where they are new."""
        if tensor in self._activations:
            return [], self._activations[tensor]
        names = [self._editor.unique(f"{tensor}_{part}") for part in ("quantized", "scale", "zero_point")]
        node = helper.make_node(
            "DynamicQuantizeLinear", [tensor], names, name=self._editor.unique(f"{tensor}_QuantizeLinear")
        )
        self._activations[tensor] = (names[0], names[1], names[2])
        return [node], self._activations[tensor]

    def _bias(self, node: NodeProto, bias: Array) -> str:
        if node.op_type != "Conv":
            return operand(node, 2)
        rank = self._editor.array(node.input[1]).ndim
        return self._editor.add_constant(bias.reshape(-1, *[1] * (rank - 2)), f"{node.input[2]}_channels")

    def _node(self, op: str, inputs: list[str], output: str, **attributes: int) -> NodeProto:
        node = helper.make_node(op, inputs, [output], name=self._editor.unique(f"{output}_{op}"))
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        return node
