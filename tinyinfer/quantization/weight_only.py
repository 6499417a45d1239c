"""Weight-only quantisation: a smaller file, computed in float. For transformers, whose products read weights once.

* Four bits: com.microsoft MatMulNBits, a scale and a zero point for each block of inputs of each output.
* Eight bits: int8 weights before DequantizeLinear, with a scale for each output channel, or for each block.
* Embeddings: rows of int8 that are looked up, and multiplied by scales that are looked up beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization.editing import Editor, attribute, integer, operand
from tinyinfer.quantization.kinds import QuantType
from tinyinfer.quantization.params import from_weights, quantize
from tinyinfer.quantization.preparation import SMALLEST_OPSET, ModelInput, is_quantisable, prepare
from tinyinfer.quantization.selection import WEIGHTED, require_known, weighted_of
from tinyinfer.quantization.static import check_output, save
from tinyinfer.types import Array

Arrays = dict[str, Array]
"""The constants that stand for one, by what they are."""

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
    rewriting = _Rewriting(editor, weight_type, block_size, symmetric)
    nodes: list[NodeProto] = []
    changed = 0
    for node in editor.nodes:
        made = None if node.name in excluded else rewriting.rewrite(node)
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


class _Rewriting:
    """Replaces nodes; what several of them read is quantised once."""

    def __init__(self, editor: Editor, weight_type: QuantType, block: int | None, symmetric: bool) -> None:
        self._editor = editor
        self._block = block
        self._symmetric = symmetric
        self._products = self._four_bits if weight_type is QuantType.QInt4 else self._eight_bits
        self._shared: dict[tuple[str, str, int], list[str]] = {}

    def rewrite(self, node: NodeProto) -> list[NodeProto] | None:
        """What takes the place of a node; None where it stays."""
        return self._embedding(node) or self._products(node)

    def _embedding(self, node: NodeProto) -> list[NodeProto] | None:
        """Rows of bytes times their scales for a Gather of rows of a constant matrix; None for other nodes."""
        editor, table = self._editor, self._editor.constant(node, 0)
        if node.op_type != "Gather" or table is None or not is_quantisable(table) or table.ndim != 2:
            return None
        if integer(node, "axis", 0) not in (0, -2) or table.size < SMALLEST_TABLE:
            return None
        label, indices = node.input

        def quantised() -> Arrays:
            params = from_weights(table, 0, QuantType.QInt8, symmetric=True)
            return {"quantized": quantize(table, params), "scales": params.scale.astype(np.float32)[:, None]}

        parts = self._constants(label, "rows", 0, quantised)
        rows, scales, numbers = (editor.unique(f"{node.output[0]}_{what}") for what in ("rows", "scales", "numbers"))
        made = [
            helper.make_node("Gather", [parts[0], indices], [rows]),
            helper.make_node("Gather", [parts[1], indices], [scales]),
            helper.make_node("Cast", [rows], [numbers], to=TensorProto.FLOAT),
        ]
        for part in made:
            part.name = editor.unique(f"{part.output[0]}_{part.op_type}")
        return [*made, helper.make_node("Mul", [numbers, scales], list(node.output), name=node.name)]

    def _eight_bits(self, node: NodeProto) -> list[NodeProto] | None:
        """The node with its weights dequantised before it; None where it has none. Blocks are for matrices alone."""
        editor, weights = self._editor, self._editor.constant(node, 1)
        if node.op_type not in WEIGHTED or weights is None or not is_quantisable(weights):
            return None
        axis = weighted_of(editor, node).axis
        if axis is None:
            return None
        blocked = self._block is not None and weights.ndim == 2 and node.op_type in ("MatMul", "Gemm")
        label = node.input[1]
        attributes = {"axis": 1 - axis, "block_size": self._block or 0} if blocked else {"axis": axis}

        def quantised() -> Arrays:
            if blocked:
                return _blocked(weights, 1 - axis, self._block or 0, self._symmetric)
            params = from_weights(weights, axis, QuantType.QInt8, symmetric=self._symmetric)
            return {"quantized": quantize(weights, params), "scale": params.scale, "zero_point": params.zero_point}

        operands = self._constants(label, "bytes", axis, quantised)
        result = editor.unique(f"{label}_dequantized")
        name = editor.unique(f"{label}_DequantizeLinear")
        up = helper.make_node("DequantizeLinear", operands, [result], name=name)
        up.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        node.input[1] = result
        return [up, node]

    def _four_bits(self, node: NodeProto) -> list[NodeProto] | None:
        """MatMulNBits, and an Add for the bias of a Gemm; None where the node is no product with a constant matrix."""
        editor, weights = self._editor, self._editor.constant(node, 1)
        if (
            node.op_type not in ("MatMul", "Gemm")
            or weights is None
            or weights.ndim != 2
            or not is_quantisable(weights)
        ):
            return None
        plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
        if integer(node, "transA", 0) or not plain or editor.rank(node.input[0]) == 1:
            return None
        turned = node.op_type == "Gemm" and integer(node, "transB", 0)
        by_output, block = weights if turned else weights.T, self._block or 0  # [N, K]
        label = node.input[1]

        def quantised() -> Arrays:
            values, scale, zero = _blocks(by_output, block, QuantType.QUInt4, self._symmetric)
            arrays = {"4bits": _pack_pairs(values), "scales": scale.reshape(-1).astype(np.float32)}
            return arrays if self._symmetric else {**arrays, "zero_points": _pack_pairs(zero).reshape(-1)}

        operands = [node.input[0], *self._constants(label, "4bits", int(bool(turned)), quantised)]
        bias = operand(node, 2)
        result = editor.unique(f"{node.output[0]}_product") if bias else node.output[0]
        product = helper.make_node("MatMulNBits", operands, [result], name=node.name, domain=DOMAIN)
        numbers = {"K": by_output.shape[1], "N": by_output.shape[0], "bits": 4, "block_size": block}
        product.attribute.extend(helper.make_attribute(key, value) for key, value in numbers.items())
        if not bias:
            return [product]
        add = helper.make_node("Add", [result, bias], list(node.output), name=editor.unique(f"{node.name}_bias"))
        return [product, add]

    def _constants(self, label: str, form: str, axis: int, make: Callable[[], Arrays]) -> list[str]:
        """The names of the constants of weights in a form: made where they are new."""
        key = (label, form, axis)
        if key not in self._shared:
            arrays = make()
            self._shared[key] = [self._editor.add_constant(array, f"{label}_{what}") for what, array in arrays.items()]
        return self._shared[key]


def _blocked(weights: Array, inner: int, block: int, symmetric: bool) -> Arrays:
    """Integers, scales and zero points of a matrix in blocks along the axis of its inputs."""
    values, scale, zero = _blocks(np.moveaxis(weights, inner, -1), block, QuantType.QInt8, symmetric)
    whole = values.reshape(len(values), -1)[:, : weights.shape[inner]]
    arrays = {"quantized": whole, "scale": scale, "zero_point": zero}
    return {what: np.moveaxis(array, -1, inner) for what, array in arrays.items()}


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
