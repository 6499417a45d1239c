"""What is quantised: which nodes, which tensors, and which of these share a scale.

An operator is quantised where its values come quantised and are wanted quantised, so that integers flow from one
convolution or product to the next and no lone operator is surrounded by conversions. Convolutions and products with
constant weights are where such flows begin.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from onnx import NodeProto

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization.editing import Editor, attribute, integer, operand
from tinyinfer.quantization.preparation import bias_of, is_quantisable

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Sums of products; begin a quantised region."""
COMBINING = ("Add", "Mul")
POOLING = ("AveragePool", "GlobalAveragePool", "ReduceMean")
FUNCTIONS = ("Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "HardSigmoid")
"""Functions of one value: tables of 256 entries."""
CLIPPING = ("Relu", "Clip")
"""Quantised together with the operator before them, so that the integers cover what is left after the clip."""
SAME_SCALE = (
    "MaxPool", "GlobalMaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Resize", "Upsample",
    "Split", "Slice", "DepthToSpace", "SpaceToDepth", "Concat",
)  # fmt: skip
"""Operators that move values: their results have the scales of their operands."""
OP_TYPES = (*WEIGHTED, *COMBINING, *POOLING, *FUNCTIONS, *CLIPPING, *SAME_SCALE)
# Float operands that hold values, where not all of them do (the others are shapes, scales, regions).
_DATA_OPERANDS = {**dict.fromkeys(SAME_SCALE, 1), **dict.fromkeys((*POOLING, *FUNCTIONS, *CLIPPING), 1)}


@dataclass(frozen=True, slots=True)
class Weighted:
    """A node with constant weights: the axis of its output channels in them, or None, and what feeds it."""

    node: str
    input: str
    weights: str
    axis: int | None
    bias: str


@dataclass(slots=True)
class Selection:
    """What to quantise in a model."""

    nodes: list[str] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)
    """Activations."""
    constants: list[tuple[str, int]] = field(default_factory=list)
    """Constant operands, node and position, that are quantised like activations."""
    weighted: list[Weighted] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    """The tensor that counts as the result of a node: what is left after its clip, by the node's name."""
    group_of: dict[str, str] = field(default_factory=dict)
    """The representative of the tensors that share a scale with a tensor."""


def select(
    editor: Editor,
    op_types: Collection[str] | None = None,
    nodes: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    allow_nothing: bool = False,
) -> Selection:
    """Choose what to quantise: of the given operator types and nodes (None: all), without those to exclude.

    QuantizationError for names that the model does not have and for types that cannot be quantised, and when nothing
    is left, unless that is allowed.
    """
    require_known(op_types or (), OP_TYPES, "operator type")
    names = [n.name for n in editor.nodes]
    only, without = set(names) if nodes is None else set(nodes), set(exclude)
    require_known(sorted(only | without), names, "node")
    allowed = {n.name for n in editor.nodes if n.op_type in (op_types or OP_TYPES)} & only - without
    chosen = _Choice(editor, allowed)
    selection = chosen.selection()
    if not selection.nodes and not allow_nothing:
        raise QuantizationError(
            "nothing to quantise: the model has no Conv, ConvTranspose, Gemm or MatMul with float32 operands, or all "
            "of them are excluded"
        )
    return selection


def require_known(given: Collection[str], known: Sequence[str], what: str) -> None:
    """QuantizationError for a name that is not known, with the closest known ones."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 3)
            hint = f"did you mean {', '.join(close)}?" if close else f"for example {', '.join(known[:5])}"
            raise QuantizationError(f"there is no {what} {name!r} to quantise or exclude; {hint}")


class _Choice:
    """The rules: forwards, what can be quantised; backwards, what is wanted."""

    def __init__(self, editor: Editor, allowed: set[str]) -> None:
        self._editor = editor
        self._allowed = allowed
        self._consumers = editor.consumers()
        self._producers = editor.producers()
        self._clips: dict[str, NodeProto] = {}  # by the name of the node they are part of
        self._biases: dict[str, NodeProto] = {}
        self._part_of: dict[str, str] = {}
        self._find_parts()
        self._chosen = self._choose()

    def _find_parts(self) -> None:
        """Clips and biases that belong to the node before them."""
        for node in self._editor.nodes:
            if node.name not in self._allowed or node.op_type not in (*WEIGHTED, "Add"):
                continue
            follower = self._only_reader(node.output[0])
            if follower is not None and node.op_type == "MatMul" and bias_of(self._editor, node, follower):
                self._biases[node.name] = follower
                self._part_of[follower.name] = node.name
                follower = self._only_reader(follower.output[0])
            if follower is not None and self._is_clip(follower) and node.name not in self._part_of:
                self._clips[node.name] = follower
                self._part_of[follower.name] = node.name

    def _only_reader(self, tensor: str) -> NodeProto | None:
        readers = self._consumers.get(tensor, [])
        return readers[0] if len(readers) == 1 and tensor not in self._editor.outputs else None

    def _is_clip(self, node: NodeProto) -> bool:
        bounds = [name for name in node.input[1:] if name]
        return node.op_type in CLIPPING and all(map(self._editor.is_constant, bounds))

    def _choose(self) -> set[str]:
        reached: set[str] = set()  # tensors that come quantised, if what reads them wants it
        candidates = []
        for node in self._editor.nodes:
            if node.name in self._part_of or node.name not in self._allowed or not self._is_candidate(node, reached):
                continue
            candidates.append(node)
            reached.update(node.output)
            reached.add(self._result(node))
            if node.op_type in WEIGHTED:
                reached.update(self._activations(node))
        chosen: set[str] = set()
        wanted: set[str] = set()
        for node in reversed(candidates):
            if node.op_type in WEIGHTED or wanted & {self._result(node), *node.output}:
                chosen.add(node.name)
                wanted.update(self._activations(node))
        self._wanted = wanted
        return chosen

    def _is_candidate(self, node: NodeProto, reached: set[str]) -> bool:
        data = self._data(node)
        if not data or not all(map(self._editor.is_float, data)) or not any(map(self._editor.is_float, node.output)):
            return False
        activations = self._activations(node)
        if not all(is_quantisable(self._editor.array(name)) for name in data if self._editor.is_constant(name)):
            return False
        if node.op_type == "MatMul":
            return bool(activations)
        if node.op_type in WEIGHTED:
            return self._has_weights(node)
        if node.op_type == "Concat":
            return bool(activations) and all(name in reached for name in activations)
        return any(name in reached for name in activations)

    def _has_weights(self, node: NodeProto) -> bool:
        """Whether the weights are constant, and the bias too where there is one; numbers that scales can have."""
        if operand(node, 2) and not is_quantisable(self._editor.constant(node, 2)):
            return False
        if not self._editor.is_constant(operand(node, 1)):
            return False
        plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
        return plain and not integer(node, "transA", 0) and not self._editor.is_constant(node.input[0])

    def _data(self, node: NodeProto) -> list[str]:
        """The operands that hold values to quantise (weights included, biases not)."""
        if node.op_type == "Concat":
            return [name for name in node.input if name]
        count = _DATA_OPERANDS.get(node.op_type, 2)
        return [name for name in node.input[:count] if name]

    def _activations(self, node: NodeProto) -> list[str]:
        return [name for name in self._data(node) if not self._editor.is_constant(name)]

    def _result(self, node: NodeProto) -> str:
        """The tensor that is quantised as the node's result."""
        last = self._clips.get(node.name) or self._biases.get(node.name) or node
        return str(last.output[0])

    def selection(self) -> Selection:
        found = Selection()
        tensors: dict[str, None] = {}
        for node in self._editor.nodes:
            if node.name not in self._chosen:
                continue
            found.nodes.append(node.name)
            found.results[node.name] = self._result(node)
            weighted = self._weighted(node)
            if weighted is not None:
                found.weighted.append(weighted)
            for index, name in enumerate(node.input[: len(self._data(node))]):
                if not self._editor.is_constant(name):
                    tensors[name] = None
                elif weighted is None or name != weighted.weights:
                    found.constants.append((node.name, index))
            tensors.update(dict.fromkeys(self._quantised_results(node)))
        found.tensors = list(tensors)
        found.group_of = self._groups(tensors)
        return found

    def _quantised_results(self, node: NodeProto) -> list[str]:
        """Results that are quantised. A product that nothing quantised reads stays float: its sums are exact."""
        if node.op_type == "Split":
            return [name for name in node.output if name]
        result = self._result(node)
        return [] if node.op_type in ("Gemm", "MatMul") and result not in self._wanted else [result]

    def _weighted(self, node: NodeProto) -> Weighted | None:
        if node.op_type not in WEIGHTED or not self._editor.is_constant(operand(node, 1)):
            return None
        return weighted_of(self._editor, node)

    def _groups(self, tensors: Iterable[str]) -> dict[str, str]:
        parent = {name: name for name in tensors}

        def root(name: str) -> str:
            while parent[name] != name:
                name = parent[name]
            return name

        for node in self._editor.nodes:
            if node.name in self._chosen and node.op_type in SAME_SCALE:
                for name in (*self._activations(node), *node.output):
                    if name in parent:
                        parent[root(name)] = root(self._activations(node)[0])
        return {name: root(name) for name in parent}


def weighted_of(editor: Editor, node: NodeProto) -> Weighted:
    """A node with constant weights as one to quantise."""
    weights = node.input[1]
    rank = editor.array(weights).ndim
    gemm = 0 if integer(node, "transB", 0) else 1
    matmul = rank - 1 if rank > 1 else None  # a vector has no output channels
    axis = {"Conv": 0, "ConvTranspose": 1, "MatMul": matmul}.get(node.op_type, gemm)
    return Weighted(node.name, node.input[0], weights, axis, operand(node, 2))
