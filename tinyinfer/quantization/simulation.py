"""Quantised models computed in float: QuantizeLinear and DequantizeLinear as rounding to multiples of the scale.

(saturate(round(x / s) + z) - z) · s = clip(round(x / s), qmin - z, qmax - z) · s, exactly. What differs from integer
kernels is the rounding of sums alone, which is far below the noise of quantisation.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, helper

from tinyinfer.quantization.editing import Editor, copy_of
from tinyinfer.quantization.kinds import QuantType
from tinyinfer.quantization.params import QuantParams


def fake_quantise(editor: Editor, tensor: str, params: QuantParams, result: str = "") -> tuple[list[NodeProto], str]:
    """Float nodes that quantise and dequantise a tensor, and the name of their result."""
    smallest, largest = params.type.limits
    zero = int(params.zero_point)
    scale = editor.add_constant(params.scale, f"{tensor}_scale")
    bounds = [
        editor.add_constant(np.array(limit - zero, np.float32), f"{tensor}_{name}")
        for name, limit in (("low", smallest), ("high", largest))
    ]
    divided, rounded, clipped = (editor.unique(f"{tensor}_{step}") for step in ("divided", "rounded", "clipped"))
    result = result or editor.unique(f"{tensor}_rounded_to_scale")
    nodes = [
        helper.make_node("Div", [tensor, scale], [divided], name=editor.unique(f"{tensor}_Div")),
        helper.make_node("Round", [divided], [rounded], name=editor.unique(f"{tensor}_Round")),
        helper.make_node("Clip", [rounded, *bounds], [clipped], name=editor.unique(f"{tensor}_Clip")),
        helper.make_node("Mul", [clipped, scale], [result], name=editor.unique(f"{tensor}_Mul")),
    ]
    return nodes, result


def simulate(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A QDQ model as a float model with the same tensors: conversions of activations as rounding."""
    editor = Editor(copy_of(proto))
    producers = editor.producers()
    kept: list[NodeProto] = []
    for node in editor.nodes:
        if node.op_type == "QuantizeLinear":
            continue
        if node.op_type != "DequantizeLinear":
            kept.append(node)
            continue
        if editor.is_constant(node.input[0]):
            kept.append(node)
            continue
        scale, zero = editor.array(node.input[1]), editor.array(node.input[2])
        source = producers[node.input[0]].input[0]
        kind = QuantType.QInt8 if zero.dtype == np.int8 else QuantType.QUInt8
        kept += fake_quantise(editor, source, QuantParams(scale, zero, kind), node.output[0])[0]
    editor.replace_nodes(kept)
    editor.drop_unread()
    return editor.proto
