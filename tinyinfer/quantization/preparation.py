"""A float model made ready: read, checked, in an operator set that can be quantised, normalisations folded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.external_data_helper
import onnx.shape_inference
import onnx.version_converter
from onnx import NodeProto, helper

from tinyinfer.errors import ModelError, QuantizationError
from tinyinfer.frontend import reading
from tinyinfer.quantization.constants import fold_constants
from tinyinfer.quantization.editing import (
    Editor,
    attribute,
    copy_of,
    integer,
    number,
    operand,
    opset_of,
    without_attributes,
)
from tinyinfer.types import Array

# Where DequantizeLinear got an axis, that is scales for each channel; what an older model is converted to.
SMALLEST_OPSET, CONVERTED_OPSET = 13, 17
# The form of files in which initializers are no inputs.
SMALLEST_IR = 8
# What protobuf can hold in one message.
LARGEST_MODEL = (1 << 31) - 1

QUANTISED_OPERATORS = frozenset(
    (
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv",
        "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "QLinearConcat",
        "QLinearLeakyRelu", "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearWhere", "QGemm", "MatMulNBits",
    )
)  # fmt: skip

ModelInput = str | os.PathLike[str] | onnx.ModelProto


def prepare(model: ModelInput, smallest_opset: int = SMALLEST_OPSET) -> onnx.ModelProto:
    """A float model ready to be quantised; `model` itself stays as it is.

    Constants are initializers, whatever they were computed from; every node has a name, BatchNormalization is folded
    into convolutions, a MatMul of matrices with a constant bias is a Gemm, the bias of a Gemm is a constant [N], and
    shapes are inferred. Raises ModelError (unreadable) or QuantizationError (already quantised; an operator set that
    cannot be converted).
    """
    source = reading.read(model)
    proto = _with_external_data(copy_of(source.proto), source)
    proto.ir_version = max(proto.ir_version, SMALLEST_IR)
    fold_constants(Editor(proto))
    _require_float(proto, source.label)
    _drop_training_outputs(Editor(proto), source.label)
    if opset_of(proto) < smallest_opset:
        proto = _convert(proto, source.label, smallest_opset)
        fold_constants(Editor(proto))
    _fold_batch_normalization(Editor(proto))
    _fold_gemm_factors(Editor(proto))
    proto = _infer_shapes(proto, source.label)
    _matmul_to_gemm(Editor(proto))
    _gemm_biases(Editor(proto))
    return _infer_shapes(proto, source.label)


def is_quantisable(array: Array | None) -> bool:
    """Whether scales can be chosen for a constant: float32, some values, all of them finite."""
    return array is not None and array.dtype == np.float32 and array.size > 0 and bool(np.isfinite(array).all())


def _with_external_data(proto: onnx.ModelProto, source: reading.Source) -> onnx.ModelProto:
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in _tensors(proto.graph)):
        folder = source.folder or Path.cwd()
        try:
            onnx.external_data_helper.load_external_data_for_model(proto, str(folder))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise ModelError(f"{source.label}: its external data cannot be read: {error}") from None
    size = proto.ByteSize()
    if size > LARGEST_MODEL:
        raise QuantizationError(
            f"{source.label} has {size:,} bytes with its external data; accepted: up to {LARGEST_MODEL:,}, since the "
            "quantiser works on one message of protobuf"
        )
    return proto


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The tensors of a graph: its initializers, and those in attributes."""
    yield from graph.initializer
    for node in graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                yield a.t
            elif a.type == onnx.AttributeProto.GRAPH:
                yield from _tensors(a.g)


def _require_float(proto: onnx.ModelProto, label: str) -> None:
    for node in proto.graph.node:
        if node.op_type in QUANTISED_OPERATORS:
            raise QuantizationError(
                f"{label} is quantised already: node {node.name or node.output[0]!r} is a {node.op_type}; "
                "give the float model it was made from"
            )


def _drop_training_outputs(editor: Editor, label: str) -> None:
    """Take the statistics that nothing reads from BatchNormalization: newer operator sets have no such outputs."""
    read = set(editor.consumers()) | set(editor.outputs)
    for node in editor.nodes:
        if node.op_type != "BatchNormalization" or opset_of(editor.proto) >= 14:
            continue
        found = next((name for name in node.output[1:] if name in read), None)
        if found is not None:
            raise QuantizationError(
                f"{label}: node {node.name!r} (BatchNormalization) gives {found!r}, statistics of training, which "
                "something reads; export the model for inference"
            )
        del node.output[1:]


def _convert(proto: onnx.ModelProto, label: str, smallest: int) -> onnx.ModelProto:
    target = max(smallest, CONVERTED_OPSET)
    try:
        return onnx.version_converter.convert_version(proto, target)
    except Exception as error:  # the converter raises whatever its C++ core throws
        reason = str(error).rpartition("failed: ")[2]
        raise QuantizationError(
            f"{label} uses opset {opset_of(proto)} and cannot be converted to {target}: {reason}; export it with "
            f"opset {smallest} or newer"
        ) from None


def _infer_shapes(proto: onnx.ModelProto, label: str) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except Exception as error:  # likewise
        raise ModelError(f"{label}: its shapes contradict each other: {error}") from None


def _fold_batch_normalization(editor: Editor) -> None:
    """Conv, then BatchNormalization with constant statistics: one Conv. Computed in float64, rounded once."""
    producers, consumers = editor.producers(), editor.consumers()
    gone = []
    for norm in editor.nodes:
        conv = producers.get(operand(norm, 0)) if norm.op_type == "BatchNormalization" else None
        if conv is None or conv.op_type not in ("Conv", "ConvTranspose") or integer(norm, "training_mode", 0):
            continue
        if len(consumers[conv.output[0]]) > 1 or conv.output[0] in editor.outputs or any(norm.output[1:]):
            continue
        parameters = [editor.constant(norm, i) for i in range(1, 5)]
        weights, bias = editor.constant(conv, 1), editor.constant(conv, 2)
        if operand(conv, 2) and not is_quantisable(bias):
            continue
        if weights is None or not all(map(is_quantisable, (weights, *parameters))):
            continue
        scale, shift, mean, variance = (np.zeros(1) if p is None else p.astype(np.float64) for p in parameters)
        variance = variance + number(norm, "epsilon", 1e-5)
        if variance.min() <= 0.0:
            continue
        factor = scale / np.sqrt(variance)
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
            if not operand(node, index):
                without_attributes(node, [name])
            elif factor != 1.0 and array is not None and array.dtype == np.float32:
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


def _gemm_biases(editor: Editor) -> None:
    """Biases of Gemm with constant weights: a constant of one row becomes [N], anything else an Add after the Gemm."""
    nodes = []
    for node in editor.nodes:
        nodes.append(node)
        weights = editor.constant(node, 1) if node.op_type == "Gemm" else None
        if weights is None or weights.ndim != 2 or not operand(node, 2):
            continue
        columns = weights.shape[0 if integer(node, "transB", 0) else 1]
        bias = editor.constant(node, 2)
        if bias is not None and bias.shape in ((columns,), (1, columns), (), (1,), (1, 1)):
            if bias.shape != (columns,):
                row = np.broadcast_to(bias.reshape(-1), (columns,))
                node.input[2] = editor.add_constant(row, f"{node.input[2]}_row")
        elif attribute(node, "beta", 1.0) == 1.0:
            name, result = editor.unique(f"{node.name}_bias"), node.output[0]
            node.output[0] = editor.unique(f"{result}_product")
            nodes.append(helper.make_node("Add", [node.output[0], node.input[2]], [result], name=name))
            del node.input[2:]
    editor.replace_nodes(nodes)
    editor.drop_unread()


def bias_of(editor: Editor, matmul: NodeProto, add: NodeProto) -> str:
    """The constant [N] or [1, N] that `add` adds to the product of `matmul`; "" when it adds something else."""
    weights = editor.constant(matmul, 1)
    if add.op_type != "Add" or weights is None or weights.ndim < 2:
        return ""
    other = add.input[1] if add.input[0] == matmul.output[0] else add.input[0]
    if not editor.is_constant(other) or editor.array(other).shape not in (weights.shape[-1:], (1, weights.shape[-1])):
        return ""
    return str(other)
