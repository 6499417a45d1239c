"""A float model made ready: read, checked, in an operator set that can be quantised, normalisations folded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.external_data_helper
import onnx.shape_inference
import onnx.version_converter
from onnx import NodeProto, helper
from onnx.reference import ReferenceEvaluator

from tinyinfer.errors import ModelError, QuantizationError
from tinyinfer.frontend import reading
from tinyinfer.quantization.editing import (
    DEFAULT_DOMAINS,
    Editor,
    attribute,
    copy_of,
    integer,
    number,
    operand,
    without_attributes,
)

# Where DequantizeLinear got an axis, that is scales for each channel; what an older model is converted to.
SMALLEST_OPSET, CONVERTED_OPSET = 13, 17

QUANTISED_OPERATORS = frozenset(
    (
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv",
        "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "QLinearConcat",
        "QLinearLeakyRelu", "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearWhere", "QGemm", "MatMulNBits",
    )
)  # fmt: skip

# Operators that give a constant another shape.
MOVING = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")

ModelInput = str | os.PathLike[str] | onnx.ModelProto


def prepare(model: ModelInput, smallest_opset: int = SMALLEST_OPSET) -> onnx.ModelProto:
    """A float model ready to be quantised; `model` itself stays as it is.

    Constants are initializers, every node has a name, BatchNormalization is folded into convolutions, a MatMul of
    matrices with a constant bias is a Gemm, and shapes are inferred. Raises ModelError (unreadable) or
    QuantizationError (already quantised; an operator set that cannot be converted).
    """
    source = reading.read(model)
    proto = _with_external_data(copy_of(source.proto), source)
    _require_float(proto, source.label)
    proto = _convert(proto, source, smallest_opset)
    editor = Editor(proto)
    _constants_to_initializers(editor)
    _fold_movement(Editor(proto))
    _fold_batch_normalization(Editor(proto))
    _fold_gemm_factors(Editor(proto))
    proto = _infer_shapes(proto, source.label)
    _matmul_to_gemm(Editor(proto))
    return _infer_shapes(proto, source.label)


def _with_external_data(proto: onnx.ModelProto, source: reading.Source) -> onnx.ModelProto:
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in proto.graph.initializer):
        folder = source.folder or Path.cwd()
        try:
            onnx.external_data_helper.load_external_data_for_model(proto, str(folder))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise ModelError(f"{source.label}: its external data cannot be read: {error}") from None
    return proto


def _require_float(proto: onnx.ModelProto, label: str) -> None:
    for node in proto.graph.node:
        if node.op_type in QUANTISED_OPERATORS:
            raise QuantizationError(
                f"{label} is quantised already: node {node.name or node.output[0]!r} is a {node.op_type}; "
                "give the float model it was made from"
            )


def _convert(proto: onnx.ModelProto, source: reading.Source, smallest: int) -> onnx.ModelProto:
    if source.opset >= smallest:
        return proto
    target = max(smallest, CONVERTED_OPSET)
    try:
        return onnx.version_converter.convert_version(proto, target)
    except Exception as error:  # the converter raises whatever its C++ core throws
        raise QuantizationError(
            f"{source.label} uses opset {source.opset} and cannot be converted to {target}: {error}; export it with "
            f"opset {smallest} or newer"
        ) from None


def _infer_shapes(proto: onnx.ModelProto, label: str) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except Exception as error:  # likewise
        raise ModelError(f"{label}: its shapes contradict each other: {error}") from None


def _constants_to_initializers(editor: Editor) -> None:
    """Turn Constant nodes into initializers; those are no longer listed among the inputs."""
    graph = editor.proto.graph
    kept = []
    for node in editor.nodes:
        value = attribute(node, "value") if node.op_type == "Constant" else None
        if not isinstance(value, onnx.TensorProto) or node.output[0] in editor.outputs:
            kept.append(node)
            continue
        tensor = graph.initializer.add()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
    editor.replace_nodes(kept)
    names = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in names]
    del graph.input[:]
    graph.input.extend(inputs)
    editor.proto.ir_version = max(editor.proto.ir_version, 8)


def _fold_movement(editor: Editor) -> None:
    """Constants that nodes only reshape or turn around become constants of the new shape."""
    kept = []
    opset = opset_of(editor.proto)
    for node in editor.nodes:
        constant = all(editor.is_constant(name) for name in node.input if name)
        if node.op_type not in MOVING or not constant or node.output[0] in editor.outputs:
            kept.append(node)
            continue
        feeds = {name: editor.array(name) for name in node.input if name}
        (moved,) = ReferenceEvaluator(node, opsets={"": opset}).run(None, feeds)
        editor.define_constant(np.asarray(moved), node.output[0])
    editor.replace_nodes(kept)
    editor.drop_unread()


def _fold_batch_normalization(editor: Editor) -> None:
    """Conv, then BatchNormalization with constant statistics: one Conv. Computed in float64, rounded once."""
    producers, consumers = editor.producers(), editor.consumers()
    gone = []
    for norm in editor.nodes:
        conv = producers.get(operand(norm, 0)) if norm.op_type == "BatchNormalization" else None
        if conv is None or conv.op_type not in ("Conv", "ConvTranspose") or integer(norm, "training_mode", 0):
            continue
        if len(consumers[conv.output[0]]) > 1 or conv.output[0] in editor.outputs or len(norm.output) > 1:
            continue
        parameters = [editor.constant(norm, i) for i in range(1, 5)]
        weights, bias = editor.constant(conv, 1), editor.constant(conv, 2)
        if weights is None or (operand(conv, 2) and bias is None):
            continue
        scale, shift, mean, variance = (np.zeros(1) if p is None else p.astype(np.float64) for p in parameters)
        if any(p is None for p in parameters):
            continue
        factor = scale / np.sqrt(variance + number(norm, "epsilon", 1e-5))
        if conv.op_type == "Conv":
            folded = weights * factor.reshape(-1, *[1] * (weights.ndim - 1))
        else:  # [C, M / group, …]: filters of all groups follow each other in the factors
            groups = integer(conv, "group", 1)
            grouped = weights.reshape(groups, -1, *weights.shape[1:])
            folded = grouped * factor.reshape(groups, 1, -1, *[1] * (weights.ndim - 2))
            folded = folded.reshape(weights.shape)
        moved = ((0.0 if bias is None else bias.astype(np.float64)) - mean) * factor + shift
        del conv.input[1:]
        conv.input.append(editor.add_constant(folded.astype(np.float32), f"{conv.name}.weight"))
        conv.input.append(editor.add_constant(moved.astype(np.float32), f"{conv.name}.bias"))
        conv.output[0] = norm.output[0]
        gone.append(norm.name)
    editor.replace_nodes(n for n in editor.nodes if n.name not in gone)
    editor.drop_unread()


def _fold_gemm_factors(editor: Editor) -> None:
    """Gemm with constant operands: alpha and beta become 1."""
    for node in (n for n in editor.nodes if n.op_type == "Gemm"):
        for name, index in (("alpha", 1), ("beta", 2)):
            factor, array = number(node, name, 1.0), editor.constant(node, index)
            if factor != 1.0 and array is not None:
                node.input[index] = editor.add_constant(np.float32(factor) * array, f"{node.input[index]}.{name}")
                without_attributes(node, [name])
    editor.drop_unread()


def _matmul_to_gemm(editor: Editor) -> None:
    """MatMul of a matrix with a constant one, then Add of a constant [N]: a Gemm, whose bias is part of the sum."""
    consumers = editor.consumers()
    gone: list[str] = []
    for node in editor.nodes:
        readers = consumers.get(node.output[0], [])
        weights = editor.constant(node, 1) if node.op_type == "MatMul" else None
        if weights is None or weights.ndim != 2 or editor.rank(node.input[0]) != 2 or len(readers) != 1:
            continue
        bias = bias_of(editor, node, readers[0])
        if bias and node.output[0] not in editor.outputs:
            add = readers[0]
            node.CopyFrom(helper.make_node("Gemm", [*node.input, bias], list(add.output), name=node.name))
            gone.append(add.name)
    editor.replace_nodes(n for n in editor.nodes if n.name not in gone)


def bias_of(editor: Editor, matmul: NodeProto, add: NodeProto) -> str:
    """The constant [N] or [1, N] that `add` adds to the product of `matmul`; "" when it adds something else."""
    weights = editor.constant(matmul, 1)
    if add.op_type != "Add" or weights is None:
        return ""
    other = add.input[1] if add.input[0] == matmul.output[0] else add.input[0]
    if not editor.is_constant(other) or editor.array(other).shape not in (weights.shape[-1:], (1, weights.shape[-1])):
        return ""
    return str(other)


def opset_of(proto: onnx.ModelProto) -> int:
    """Version of the default operator set."""
    return max((o.version for o in proto.opset_import if o.domain in DEFAULT_DOMAINS), default=0)
