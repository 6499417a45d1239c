"""Weight-only quantisation: a smaller file, computed in float. For transformers, whose products read weights once.

* Four bits: com.microsoft MatMulNBits, a scale and a zero point for each block of inputs of each output.
* Eight bits: int8 weights before DequantizeLinear, with a scale for each output channel, or for each block.
* Embeddings: rows of int8 that are looked up, and multiplied by scales that are looked up beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization.editing import Editor, attribute, integer
from tinyinfer.quantization.kinds import QuantType
from tinyinfer.quantization.params import from_weights, quantize
from tinyinfer.quantization.preparation import SMALLEST_OPSET, ModelInput, prepare
from tinyinfer.quantization.selection import WEIGHTED, require_known, weighted_of
from tinyinfer.quantization.static import check_output, save
from tinyinfer.types import Array

DOMAIN = "com.microsoft"
SMALLEST_BLOCK = 16
# Elements of a table that is worth three more nodes.
SMALLEST_TABLE = 4096
# Where DequantizeLinear got blocks.
BLOCKS_OPSET = 21


def quantize_weights(
    model_input: ModelInput,
    model_output: str | os.PathLike[str] | None,
    weight_type: QuantType = QuantType.QInt8,
    block_size: int | None = None,
    symmetric: bool = True,
    nodes_to_exclude: Iterable[str] | None = None,
) -> onnx.ModelProto:
    """Quantise weights alone.

    `weight_type`: QInt8 (products and convolutions) or QInt4 (MatMul and Gemm, as MatMulNBits); tables of embeddings
    become int8 either way, with a scale for each row. `block_size`: how many inputs share a scale, a power of two from
    16; default: 32 for four bits, all of them for eight. `symmetric`: no zero points. Writes the file `model_output`
    (None: no file) and returns the model. QuantizationError for other types and block sizes, and where nothing is left
    to quantise.
    """
    if weight_type not in (QuantType.QInt8, QuantType.QInt4):
        raise QuantizationError(f"weight_type is {weight_type}; accepted: QuantType.QInt8, QuantType.QInt4")
    four_bits = weight_type is QuantType.QInt4
    block_size = 32 if four_bits and block_size is None else block_size
    if block_size is not None and (block_size < SMALLEST_BLOCK or block_size & (block_size - 1)):
        raise QuantizationError(f"block_size is {block_size}; accepted: powers of two from {SMALLEST_BLOCK}")
    if model_output is not None:
        check_output(Path(model_output))
    proto = prepare(model_input, BLOCKS_OPSET if block_size and not four_bits else SMALLEST_OPSET)
    editor = Editor(proto)
    excluded = set(nodes_to_exclude or ())
    require_known(sorted(excluded), [n.name for n in editor.nodes], "node")
    nodes: list[NodeProto] = []
    tables: dict[str, list[str]] = {}
    changed = 0
    for node in editor.nodes:
        made = None
        if node.name not in excluded:
            made = _embedding(editor, node, tables) or (
                _four_bits(editor, node, block_size or 0, symmetric)
                if four_bits
                else _eight_bits(editor, node, block_size, symmetric)
            )
        changed += made is not None
        nodes += made or [node]
    if not changed:
        raise QuantizationError("nothing to quantise: no product with constant weights, or all of them are excluded")
    editor.finish(nodes)
    if four_bits and all(o.domain != DOMAIN for o in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    if model_output is not None:
        save(proto, Path(model_output))
    return proto


def _embedding(editor: Editor, node: NodeProto, tables: dict[str, list[str]]) -> list[NodeProto] | None:
    """Rows of bytes times their scales for a Gather of rows of a constant matrix; None for other nodes.

    `tables` has the names of the bytes and the scales of each matrix that was met before.
    """
    table = editor.constant(node, 0)
    if node.op_type != "Gather" or table is None or table.dtype != np.float32 or table.ndim != 2:
        return None
    if integer(node, "axis", 0) not in (0, -2) or table.size < SMALLEST_TABLE:
        return None
    label, indices = node.input
    if label not in tables:
        params = from_weights(table, 0, QuantType.QInt8, symmetric=True)
        arrays = {"quantized": quantize(table, params), "scales": params.scale.astype(np.float32)[:, None]}
        tables[label] = [editor.add_constant(array, f"{label}_{what}") for what, array in arrays.items()]
    rows, scales, numbers = (editor.unique(f"{node.output[0]}_{what}") for what in ("rows", "scales", "numbers"))
    made = [
        helper.make_node("Gather", [tables[label][0], indices], [rows]),
        helper.make_node("Gather", [tables[label][1], indices], [scales]),
        helper.make_node("Cast", [rows], [numbers], to=TensorProto.FLOAT),
    ]
    for part in made:
        part.name = editor.unique(f"{part.output[0]}_{part.op_type}")
    return [*made, helper.make_node("Mul", [numbers, scales], list(node.output), name=node.name)]


def _eight_bits(editor: Editor, node: NodeProto, block: int | None, symmetric: bool) -> list[NodeProto] | None:
    """The node with its weights dequantised before it; None where it has none. Blocks are for matrices alone."""
    weights = editor.constant(node, 1)
    if node.op_type not in WEIGHTED or weights is None or weights.dtype != np.float32 or weights.ndim < 2:
        return None
    axis = weighted_of(editor, node).axis
    blocked = block is not None and weights.ndim == 2 and node.op_type in ("MatMul", "Gemm")
    label = node.input[1]
    if blocked:
        inner = 1 - axis
        values, scale, zero = _blocks(np.moveaxis(weights, inner, -1), block or 0, QuantType.QInt8, symmetric)
        count = weights.shape[inner]
        values, scale, zero = (
            np.moveaxis(a, -1, inner) for a in (values.reshape(len(values), -1)[:, :count], scale, zero)
        )
        attributes = {"axis": inner, "block_size": block or 0}
    else:
        params = from_weights(weights, axis, QuantType.QInt8, symmetric=symmetric)
        values, scale, zero = quantize(weights, params), params.scale, params.zero_point
        attributes = {"axis": axis}
    operands = [
        editor.add_constant(values, f"{label}_quantized"),
        editor.add_constant(scale.astype(np.float32), f"{label}_scale"),
        editor.add_constant(zero.astype(np.int8), f"{label}_zero_point"),
    ]
    result = editor.unique(f"{label}_dequantized")
    name = editor.unique(f"{label}_DequantizeLinear")
    up = helper.make_node("DequantizeLinear", operands, [result], name=name)
    up.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    node.input[1] = result
    return [up, node]


def _four_bits(editor: Editor, node: NodeProto, block: int, symmetric: bool) -> list[NodeProto] | None:
    """MatMulNBits, and an Add for the bias of a Gemm; None where the node is no product with a constant matrix."""
    weights = editor.constant(node, 1)
    if node.op_type not in ("MatMul", "Gemm") or weights is None or weights.ndim != 2 or weights.dtype != np.float32:
        return None
    plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
    if integer(node, "transA", 0) or not plain:
        return None
    by_output = weights if node.op_type == "Gemm" and integer(node, "transB", 0) else weights.T  # [N, K]
    values, scale, zero = _blocks(by_output, block, QuantType.QUInt4, symmetric)
    label = node.input[1]
    operands = [
        node.input[0],
        editor.add_constant(_pack_pairs(values), f"{label}_4bits"),
        editor.add_constant(scale.reshape(-1).astype(np.float32), f"{label}_scales"),
    ]
    if not symmetric:
        operands.append(editor.add_constant(_pack_pairs(zero).reshape(-1), f"{label}_zero_points"))
    bias = node.input[2] if len(node.input) > 2 else ""
    result = editor.unique(f"{node.output[0]}_product") if bias else node.output[0]
    outputs, inputs = by_output.shape
    product = helper.make_node(
        "MatMulNBits", operands, [result], name=node.name, domain=DOMAIN, K=inputs, N=outputs, bits=4, block_size=block
    )
    if not bias:
        return [product]
    add = helper.make_node("Add", [result, bias], list(node.output), name=editor.unique(f"{node.name}_bias"))
    return [product, add]


def _blocks(weights: Array, block: int, kind: QuantType, symmetric: bool) -> tuple[Array, Array, Array]:
    """Quantise [N, K] in blocks of inputs: values [N, blocks, block], scales and zero points [N, blocks].

    The last block is filled up with zeros, which dequantise to zero.
    """
    outputs, inputs = weights.shape
    count = -(-inputs // block)
    padded = np.zeros((outputs, count * block), np.float32)
    padded[:, :inputs] = weights
    rows = padded.reshape(outputs * count, block)
    params = from_weights(rows, 0, kind, symmetric=symmetric)
    values = quantize(rows, params).reshape(outputs, count, block)
    return values, params.scale.reshape(outputs, count), params.zero_point.reshape(outputs, count)


def _pack_pairs(values: Array) -> Array:
    """Two four-bit values in a byte, the first in the low half; an odd end is filled up with zero."""
    flat = values.astype(np.uint8)
    if flat.shape[-1] % 2:
        flat = np.concatenate([flat, np.zeros((*flat.shape[:-1], 1), np.uint8)], axis=-1)
    return np.asarray(flat[..., 0::2] | flat[..., 1::2] << 4)
