"""The graph: values in SSA form, frozen nodes, and the builder that types and folds while it adds.

A graph has static shapes only. Everything an operator needs besides tensors is an attribute: shapes, axes, pads
and repeats, which ONNX passes as small integer tensors, have been read by the frontend.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tinyinfer import limits
from tinyinfer.errors import GraphError, ModelError, ShapeError
from tinyinfer.traits import Traits
from tinyinfer.types import Array, DType, TensorType


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor of the graph: produced once, by a node, a graph input, or `data` (a constant)."""

    name: str
    type: TensorType
    data: Array | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @staticmethod
    def constant(name: str, data: Array) -> Value:
        frozen = np.array(data, order="C")
        frozen.setflags(write=False)
        return Value(name, TensorType(DType.of(frozen.dtype), frozen.shape), frozen)


@dataclass(frozen=True, eq=False)
class Node:
    """One operator application. `inputs` holds None for an optional operand that is absent."""

    op: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    attrs: Mapping[str, Any]
    name: str

    @cached_property
    def operands(self) -> tuple[Value, ...]:
        """The inputs that are present."""
        return tuple([v for v in self.inputs if v is not None])

    @property
    def output(self) -> Value:
        """The only output."""
        (value,) = self.outputs
        return value

    def __repr__(self) -> str:
        return f"<Node {self.name}: {self.op}>"

    def __str__(self) -> str:
        outs = ", ".join(f"{v.name}: {v.type}" for v in self.outputs)
        ins = ", ".join("-" if v is None else v.name for v in self.inputs)
        attrs = ", ".join(f"{k}={_show(v)}" for k, v in self.attrs.items())
        return f"{outs} = {self.op}({ins}){'{' + attrs + '}' if attrs else ''}"


def _show(value: Any) -> str:
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Promise:
    """How near a rewrite stays: the same bits, or floats within a share of the largest number that takes part, or bytes
    within so many quanta.
    """

    title: str
    tolerance: float = 0.0
    quanta: int = 0

    @property
    def exact(self) -> bool:
        return not self.tolerance and not self.quanta


@dataclass(frozen=True, eq=False, slots=True)
class Change:
    """What a rebuilt graph has in the place of a value of the graph before."""

    old: Value
    new: Value
    matched: tuple[Value, ...]
    """Values of the graph before that the rewrite took in, `old` among them."""
    made: tuple[Value, ...]
    """Values of the nodes that it added."""
    promise: Promise | None = None
    """None: the same bits."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in topological order between named inputs and named outputs."""

    name: str
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    nodes: tuple[Node, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    """All that rebuilding changed, in order, since the graph was imported."""

    def uses(self) -> Mapping[Value, int]:
        """How often each value is read, counting graph outputs as reads; 0 for one that nothing reads."""
        return self._uses

    def producers(self) -> Mapping[Value, Node]:
        return self._producers

    @cached_property
    def _uses(self) -> Counter[Value]:
        reads = Counter(v for node in self.nodes for v in node.operands)
        reads.update(self.outputs.values())
        return reads

    @cached_property
    def _producers(self) -> dict[Value, Node]:
        return {value: node for node in self.nodes for value in node.outputs}

    def constants(self) -> Iterator[Value]:
        """Every constant the nodes or outputs read, once."""
        read = (v for node in self.nodes for v in node.operands)
        yield from dict.fromkeys(v for v in (*read, *self.outputs.values()) if v.is_constant)

    def verify(self) -> None:
        """Raise GraphError unless the graph is in SSA form, in topological order, with unique names."""
        known: set[Value] = set(self.inputs.values())
        names = Counter(v.name for v in known)
        for node in self.nodes:
            for value in node.operands:
                if value not in known and not value.is_constant:
                    raise GraphError(f"{self.name}: node {node.name} reads {value.name} before it is produced")
            for value in node.outputs:
                if value in known:
                    raise GraphError(f"{self.name}: {value.name} is produced twice")
                known.add(value)
                names[value.name] += 1
        clashes = sorted(name for name, count in names.items() if count > 1)
        if clashes:
            raise GraphError(f"{self.name}: several values share the names {', '.join(clashes)}")
        for name, value in self.outputs.items():
            if value not in known and not value.is_constant:
                raise GraphError(f"{self.name}: output {name} is never produced")

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {len(self.inputs)} inputs, {len(self.nodes)} nodes, {len(self.outputs)} outputs>"

    def __str__(self) -> str:
        heads = [f"{name}: {value.type}" for name, value in self.inputs.items()]
        tails = [f"{name}={value.name}" for name, value in self.outputs.items()]
        body = "".join(f"  {node}\n" for node in self.nodes)
        return f"graph {self.name}({', '.join(heads)})\n{body}  return {', '.join(tails)}"


class Semantics(Protocol):
    """What a builder asks of the operator table."""

    def infer(
        self, op: str, inputs: Sequence[TensorType | None], attrs: Mapping[str, Any]
    ) -> tuple[TensorType, ...]: ...

    def steps(
        self, op: str, inputs: Sequence[TensorType | None], outputs: Sequence[TensorType], attrs: Mapping[str, Any]
    ) -> int: ...

    def evaluate(self, op: str, inputs: Sequence[Array | None], attrs: Mapping[str, Any]) -> tuple[Array, ...]: ...

    def traits(self, op: str) -> Traits: ...


GROWTH = 8
"""Bytes of constants that may be computed for each that the model came with: float32 from four bits."""


class GraphBuilder:
    """Builds a graph node by node: each node is typed when it is added, and folded when its inputs are constants.

    Folding runs the reference semantics, so a folded value has the bits a kernel would have produced.
    """

    # A fold that would blow a small constant up (Expand, Tile, ConstantOfShape) stays a node above this size.
    MAX_FOLDED_BYTES = 1 << 24

    def __init__(self, semantics: Semantics, name: str = "graph", source: str = "") -> None:
        self._semantics = semantics
        self._name = name
        self._source = source
        self._inputs: dict[str, Value] = {}
        self._outputs: dict[str, Value] = {}
        self._nodes: list[Node] = []
        self._names: Counter[str] = Counter()
        self._origin: Graph | None = None  # the graph that is rebuilt
        self._given = [0, 0]  # bytes and elements of the constants that the graph came with
        self._folded = [0, 0]  # bytes of those that were computed, and the steps that it took
        self.metadata: dict[str, str] = {}
        self.subject = ""  # what errors are about: the node that is being converted; a node's own name where empty

    @property
    def inputs(self) -> Mapping[str, Value]:
        return self._inputs

    @property
    def nodes(self) -> Sequence[Node]:
        return self._nodes

    def input(self, name: str, type: TensorType) -> Value:
        if self._exceeds_memory(type):
            where = f"{self._source}: " if self._source else ""
            raise ShapeError(f"{where}input {name!r} is {type}; accepted: less than 4 GiB")
        value = Value(self._unique(name), type)
        self._inputs[name] = value
        return value

    def constant(self, data: Array, name: str = "const") -> Value:
        if self._origin is None:
            self._given = [self._given[0] + data.nbytes, self._given[1] + data.size]
        else:
            self._folded[0] += data.nbytes
            limits.CONSTANT_BYTES.check(self._folded[0], self._name, more=GROWTH * self._known()[0])
        return Value.constant(self._unique(name), data)

    def may_compute(self, nbytes: int, steps: int) -> bool:
        """Whether the limits allow a constant to be computed, which then counts."""
        (given_bytes, given), after = self._known(), [self._folded[0] + nbytes, self._folded[1] + steps]
        allowed = (
            after[0] <= limits.CONSTANT_BYTES.value + GROWTH * given_bytes
            and after[1] <= limits.CONSTANT_WORK.value + 16 * given
        )
        if allowed:
            self._folded = after
        return allowed

    def compute(self, nbytes: int, steps: int, where: str) -> None:
        """As `may_compute` for a constant that no node can make; LimitError if it may not."""
        given_bytes, given = self._known()
        limits.CONSTANT_BYTES.check(self._folded[0] + nbytes, where, more=GROWTH * given_bytes)
        limits.CONSTANT_WORK.check(self._folded[1] + steps, where, more=16 * given)
        self.may_compute(nbytes, steps)

    def _known(self) -> list[int]:
        """Bytes and elements of the constants that the graph came with."""
        if self._origin is not None and not self._given[0]:
            arrays = [v.type for v in self._origin.constants()]
            self._given = [sum(t.nbytes for t in arrays), sum(t.size for t in arrays)]
        return self._given

    def output(self, name: str, value: Value) -> None:
        self._outputs[name] = value

    def add(
        self, op: str, *inputs: Value | None, name: str = "", outputs: Sequence[str] = (), **attrs: Any
    ) -> tuple[Value, ...]:
        """Add one node and return its outputs; constants when every input is one. Errors name the node."""
        operands = list(inputs)
        while operands and operands[-1] is None:
            operands.pop()
        label = name or f"{op}_{len(self._nodes)}"
        try:
            types = self._semantics.infer(op, [None if v is None else v.type for v in operands], attrs)
            for type_ in types:
                if self._exceeds_memory(type_):
                    raise ShapeError(f"the result is {type_}; accepted: less than 4 GiB")
        except ModelError as error:
            raise self._located(error, op, label) from None
        names = [n or label for n in (*outputs, *[""] * (len(types) - len(outputs)))]
        if self._foldable(op, operands, types) and self._may_compute(op, operands, types, attrs):
            return self._computed(op, operands, attrs, names)
        limits.NODES.check(len(self._nodes) + 1, self._source)
        values = tuple(Value(self._unique(n), t) for n, t in zip(names, types, strict=True))
        self._nodes.append(Node(op, tuple(operands), values, attrs, label))
        return values

    def fold(self, node: Node, translate: Translate) -> Sequence[Value] | None:
        """Compute a node of another graph now, if its operands are constants and the limits allow it."""
        operands = [None if v is None else translate(v) for v in node.inputs]
        types = [v.type for v in node.outputs]
        constant = all(v is None or v.is_constant for v in operands)
        if not constant or not self._may_compute(node.op, operands, types, node.attrs):
            return None
        return self._computed(node.op, operands, node.attrs, [v.name for v in node.outputs])

    def keep(self, node: Node, translate: Translate) -> Sequence[Value]:
        """Add a node of another graph. Nothing is made anew where its operands, or at least their types, stay."""
        operands = tuple([None if v is None else translate(v) for v in node.inputs])
        names = [v.name for v in node.outputs]
        free = self._names.keys().isdisjoint(names)
        if not free or (operands != node.inputs and not _stays(node, operands)):
            return self.add(node.op, *operands, name=node.name, outputs=names, **node.attrs)
        for name in names:
            self._names[name] = 1
        same = operands == node.inputs
        self._nodes.append(node if same else Node(node.op, operands, node.outputs, node.attrs, node.name))
        return node.outputs

    def add1(self, op: str, *inputs: Value | None, name: str = "", output: str = "", **attrs: Any) -> Value:
        """`add` for an operator with one output."""
        (value,) = self.add(op, *inputs, name=name, outputs=(output,), **attrs)
        return value

    def keep_inputs(self, graph: Graph) -> None:
        """Take the inputs of another graph over, whose nodes are to follow."""
        self._origin = graph
        self._inputs.update(graph.inputs)
        self._names.update(value.name for value in graph.inputs.values())

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def values_since(self, size: int) -> tuple[Value, ...]:
        """What the nodes make that came after so many."""
        return tuple(v for node in self._nodes[size:] for v in node.outputs)

    def rebuilt(self, graph: Graph, translate: Translate) -> Graph:
        """The graph with the outputs of `graph`; `graph` itself if it has no other nodes and outputs."""
        outputs = {name: translate(value) for name, value in graph.outputs.items()}
        same = len(self._nodes) == len(graph.nodes) and all(map(operator.is_, self._nodes, graph.nodes))
        if same and outputs == graph.outputs:
            return graph
        self._outputs.update(outputs)
        return self.build()

    def build(self) -> Graph:
        graph = Graph(self._name, dict(self._inputs), dict(self._outputs), tuple(self._nodes), dict(self.metadata))
        graph.verify()
        return graph

    def _exceeds_memory(self, type: TensorType) -> bool:
        """Whether no memory holds the tensor; an empty dimension does not make the others free."""
        return math.prod(max(d, 1) for d in type.shape) * type.dtype.size >= limits.ADDRESSES

    def _foldable(self, op: str, operands: Sequence[Value | None], types: Sequence[TensorType]) -> bool:
        present = [v for v in operands if v is not None]
        return (
            self._semantics.traits(op).foldable
            and bool(present)
            and all(v.is_constant for v in present)
            and sum(t.nbytes for t in types) <= max(self.MAX_FOLDED_BYTES, 2 * sum(v.type.nbytes for v in present))
        )

    def _computed(
        self, op: str, operands: Sequence[Value | None], attrs: Mapping[str, Any], names: Sequence[str]
    ) -> tuple[Value, ...]:
        arrays = self._semantics.evaluate(op, [None if v is None else v.data for v in operands], attrs)
        return tuple(Value.constant(self._unique(n), a) for a, n in zip(arrays, names, strict=True))

    def _may_compute(
        self, op: str, operands: Sequence[Value | None], types: Sequence[TensorType], attrs: Mapping[str, Any]
    ) -> bool:
        given = [None if v is None else v.type for v in operands]
        return self.may_compute(sum(t.nbytes for t in types), self._semantics.steps(op, given, types, attrs))

    def _unique(self, name: str) -> str:
        candidate = name
        while self._names[candidate]:
            candidate = f"{name}.{self._names[name]}"
            self._names[name] += 1
        self._names[candidate] += 1
        return candidate

    def _located(self, error: ModelError, op: str, label: str) -> ModelError:
        where = f"{self._source}: " if self._source else ""
        return type(error)(f"{where}{self.subject or f'node {label} ({op})'}: {error}")


def _stays(node: Node, operands: Sequence[Value | None]) -> bool:
    """Whether the node gives the same types for other operands, and nothing to fold."""
    types = zip(node.operands, (v for v in operands if v is not None), strict=True)
    return all(old.type == new.type for old, new in types) and not all(v is None or v.is_constant for v in operands)


Translate = Callable[[Value], Value]
Emit = Callable[[GraphBuilder, Node, Translate], "Sequence[Value] | None"]


Notes = dict[Value, "tuple[Promise, tuple[Value, ...]]"]
"""By the value that is replaced: what the rewrite promises, and what it matched."""


def rebuild(graph: Graph, semantics: Semantics, emit: Emit, notes: Notes | None = None) -> Graph:
    """The graph made by offering every node, in order, to `emit(builder, node, translate)`.

    `translate` maps a value of the old graph that is already there to its counterpart. `emit` returns the values that
    replace the node's outputs, or None to keep the node; `notes`, which it may write, go into the changes of the graph.
    Nodes and values that nothing changes are in both graphs; where that is all of them, the result is `graph` itself.
    """
    builder = GraphBuilder(semantics, graph.name)
    builder.metadata.update(graph.metadata)
    builder.keep_inputs(graph)
    renamed: dict[Value, Value] = {}
    changes: list[Change] = []

    def translate(value: Value) -> Value:
        return renamed.get(value, value)

    for node in graph.nodes:
        before = builder.size
        outputs = emit(builder, node, translate)
        if outputs is None:
            outputs = builder.keep(node, translate)
        if outputs is not node.outputs:
            renamed.update(zip(node.outputs, outputs, strict=True))
            made = builder.values_since(before)
            for old, new in zip(node.outputs, outputs, strict=True):
                promise, matched = (notes or {}).get(old, (None, (old,)))
                changes.append(Change(old, new, matched, made, promise))
    rebuilt = builder.rebuilt(graph, translate)
    return rebuilt if rebuilt is graph else replace(rebuilt, changes=(*graph.changes, *changes))
