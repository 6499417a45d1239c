"""Constants of a model: what only follows from constants becomes an initializer.

Exporters keep weights in another form than the one they are used in: as float16 before a Cast, as integers before
DequantizeLinear, transposed, cut out of a larger tensor, or multiplied by a factor. All of that is one constant.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tinyinfer.quantization.editing import DEFAULT_DOMAINS, Editor, attribute, opset_of
from tinyinfer.types import Array

# Operators whose result may be computed beforehand: cheap, and the same whenever they run.
FOLDED = frozenset(
    (
        "Identity", "Cast", "CastLike", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split",
        "Concat", "Gather", "Expand", "Tile", "Pad", "DepthToSpace", "SpaceToDepth", "Add", "Sub", "Mul", "Div", "Neg",
        "Abs", "Sqrt", "Reciprocal", "Exp", "Pow", "Clip", "Min", "Max", "Where", "MatMul", "ReduceSum", "ReduceMean",
        "ReduceMax", "ReduceMin", "DequantizeLinear", "QuantizeLinear", "Shape", "ConstantOfShape", "Tanh", "Sigmoid",
        "Softplus", "Relu", "Sin", "Cos", "Log", "Floor", "Ceil", "Round", "Range", "Equal", "Not", "Greater", "Less",
    )
)  # fmt: skip

# Operands that are looked at as weights, by operator; of the others only what does not grow is folded.
_WEIGHTS = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm"), (1, 2)),
    **dict.fromkeys(("MatMul", "Add", "Mul", "Sub", "Div"), (0, 1)),
    "BatchNormalization": (1, 2, 3, 4),
    "Gather": (0,),
}

# Elements that folding may make: so many times those of the constants that there are, and a number beside.
GROWTH_FACTOR, GROWTH = 8, 1 << 24
# Bytes, and elements, that are not worth a thought.
SMALL = 1024
# From this opset on the evaluator knows all forms of the conversions; what older ones have means the same.
_CONVERSIONS_OPSET = 21


def fold_constants(editor: Editor) -> None:
    """Turn Constant nodes, and nodes that read nothing but constants, into initializers.

    A node stays where its result is an output of the graph (what reads it reads an initializer of another name), where
    it would make the file larger without being weights, and where it cannot be evaluated.
    """
    _constants_to_initializers(editor)
    _Folding(editor).run()
    editor.drop_unread()


def _constants_to_initializers(editor: Editor) -> None:
    """Turn Constant nodes into initializers; no initializer is listed among the inputs any longer."""
    graph = editor.proto.graph
    kept = []
    for node in editor.nodes:
        value = attribute(node, "value") if node.op_type == "Constant" else None
        if not isinstance(value, TensorProto) or node.output[0] in editor.outputs:
            kept.append(node)
            continue
        tensor = TensorProto()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        editor.define(tensor)
    editor.replace_nodes(kept)
    names = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in names]
    del graph.input[:]
    graph.input.extend(inputs)


class _Folding:
    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._opset = opset_of(editor.proto)
        self._wanted = self._weights()
        held = sum(math.prod(t.dims) for t in editor.proto.graph.initializer)
        self._left = GROWTH_FACTOR * held + GROWTH

    def run(self) -> None:
        editor = self._editor
        renamed: dict[str, str] = {}
        kept = []
        for node in editor.nodes:
            for index, name in enumerate(node.input):
                node.input[index] = renamed.get(name, name)
            results = self._results(node) if self._is_constant(node) else None
            if results is None:
                kept.append(node)
                continue
            listed = [name for name in node.output if name in editor.outputs]
            for name, array in results.items():
                if listed:
                    renamed[name] = editor.add_constant(array, f"{name}_constant")
                else:
                    editor.define_constant(array, name)
            if listed:
                kept.append(node)
        editor.replace_nodes(kept)

    def _weights(self) -> set[str]:
        """Tensors that become weights, and those that they are made of."""
        wanted: set[str] = set()
        for node in reversed(self._editor.nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
            wanted.update(node.input[i] for i in _WEIGHTS.get(node.op_type, ()) if i < len(node.input))
        return wanted

    def _is_constant(self, node: NodeProto) -> bool:
        if node.domain not in DEFAULT_DOMAINS:
            return False
        known = node.op_type in FOLDED and any(node.input)
        return (known or node.op_type == "Constant") and all(map(self._editor.is_constant, filter(None, node.input)))

    def _results(self, node: NodeProto) -> dict[str, Array] | None:
        """What a node computes, by the names of its outputs; None where it cannot, or should not, be computed here."""
        operands = {name: self._editor.array(name) for name in node.input if name}
        shapes = self._shapes(node, operands)
        if shapes is None or sum(map(math.prod, shapes)) > self._left:
            return None
        conversion = node.op_type in ("DequantizeLinear", "QuantizeLinear")
        opset = max(self._opset, _CONVERSIONS_OPSET) if conversion else self._opset
        try:
            with np.errstate(all="ignore"):
                computed = [np.asarray(a) for a in ReferenceEvaluator(node, opsets={"": opset}).run(None, operands)]
        except Exception:  # the evaluator raises whatever Python does with wrong operands
            return None
        if [array.shape for array in computed] != shapes:  # what it makes of some old forms
            return None
        before = sum(array.nbytes for array in operands.values())
        grows = sum(array.nbytes for array in computed) > max(before, SMALL)
        if grows and not self._wanted.intersection(node.output):
            return None
        self._left -= sum(array.size for array in computed)
        return {name: array for name, array in zip(node.output, computed) if name}

    def _shapes(self, node: NodeProto, operands: dict[str, Array]) -> list[tuple[int, ...]] | None:
        """The shapes of the results, told beforehand; None where they are not known."""
        try:
            schema = onnx.defs.get_schema(node.op_type, self._opset, "")
            tensors = {name: self._editor.tensor(name) for name in operands}
            types = {name: helper.make_tensor_type_proto(t.data_type, list(t.dims)) for name, t in tensors.items()}
            small = {name: t for name, t in tensors.items() if operands[name].size <= SMALL}
            found = onnx.shape_inference.infer_node_outputs(
                schema, node, types, small, opset_imports=list(self._editor.proto.opset_import)
            )
            return [_shape(found[name]) for name in node.output]
        except Exception:  # inference raises whatever its C++ core throws
            return None


def _shape(found: onnx.TypeProto) -> tuple[int, ...]:
    """A shape that is known; ValueError for another one."""
    dims = found.tensor_type.shape.dim
    if not found.tensor_type.HasField("shape") or not all(d.HasField("dim_value") for d in dims):
        raise ValueError("not known")
    return tuple(d.dim_value for d in dims)
