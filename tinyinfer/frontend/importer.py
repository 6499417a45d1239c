"""The loop over the nodes of an ONNX graph."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto
from onnx.defs import OpSchema

from tinyinfer import registry
from tinyinfer.errors import ModelError, UnsupportedError
from tinyinfer.frontend import binding, inference, nodes, problems, reading, schema, tensors
from tinyinfer.frontend.context import Context
from tinyinfer.frontend.converters import CONVERTERS
from tinyinfer.frontend.folding import Folding
from tinyinfer.graph import Graph, Value
from tinyinfer.types import Array, TensorType


def load(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto, shapes: Mapping[str, Sequence[int]] | None = None
) -> Graph:
    """Import an ONNX model: a path, the bytes of a file, or a ModelProto.

    `shapes` binds open dimensions: input name → full shape. A symbolic dimension bound once holds for all inputs; an
    open first dimension defaults to 1. Values keep ONNX's tensor names and nodes ONNX's node names.

    Raises ModelError (not ONNX, truncated, malformed, missing external data), UnsupportedError (all that TinyInfer does
    not have, at once: operators, attribute values, element types, operands that vary) or ShapeError (open or
    contradicting dimensions).
    """
    return _Import(reading.read(model)).run(dict(shapes or {}))


class _Import:
    """The state of one import: tensors by name.

    Where a node cannot be converted the import goes on, so that all such nodes are reported together. Its outputs are
    stood in for by values of the types that the model declares, or of a guess; they, and what is computed from them,
    are doubtful. Of nodes with doubtful operands only what does not depend on those is reported. Tensors without a
    stand-in are lost, with all that reads them.
    """

    def __init__(self, source: reading.Source) -> None:
        self._source = source
        name = source.proto.graph.name or (Path(source.label).stem if source.folder else "model")
        self._builder = registry.builder(name, source.label)
        self._known: MutableMapping[str, Value | None] = {"": None}
        self._initializers: MutableMapping[str, TensorProto] = {}
        self._unavailable: MutableMapping[str, str] = {}  # outputs a converter left out → what they are
        self._read: set[str] = set()
        self._count = 0
        self._problems = problems.Problems(source.label)
        self._origins = problems.Origins(self._builder)
        self._folding = Folding(self, self._builder, source.label, source.opset)
        self._doubtful: set[str] = set()
        self._lost: set[str] = set()

    def run(self, shapes: Mapping[str, Sequence[int]]) -> Graph:
        graph = self._source.proto.graph
        self._read = set(nodes.names_read(graph))
        self._add_initializers(graph)
        bound = self._add_inputs(graph, shapes)
        self._convert_all(graph.node)
        if not graph.output:
            raise ModelError(f"{self._source.label}: the graph has no outputs")
        for info in graph.output:
            try:
                self._builder.output(info.name, self._output(info))
            except UnsupportedError as error:
                self._problems.add(error)
        self._problems.report()
        if bound.open is not None:
            raise bound.open
        self._builder.metadata.update((p.key, p.value) for p in self._source.proto.metadata_props)
        return self._builder.build()

    def _output(self, info: onnx.ValueInfoProto) -> Value:
        value = self.operand(info.name, "the graph's outputs")
        declared = info.type.tensor_type.elem_type
        if declared and info.name not in self._doubtful and tensors.dtype_of(declared) is not value.dtype:
            raise ModelError(
                f"{self._source.label}: output {info.name!r} is declared {tensors.type_name(declared)}, "
                f"but its value is {value.dtype.value}; declare that, or cast the value"
            )
        return value

    def _add_inputs(self, graph: GraphProto, shapes: Mapping[str, Sequence[int]]) -> binding.Bound:
        inputs = [info for info in graph.input if info.name not in self._initializers]
        bound = binding.bind(inputs, shapes, self._source.label)
        self._doubtful.update(bound.doubtful)
        for error in bound.refused:
            self._problems.add(error)
        for info in inputs:
            if info.name in bound.types:
                self._known[info.name] = self._builder.input(info.name, bound.types[info.name])
            else:
                self._lost.add(info.name)
        return bound

    def _survey(self, listed: Iterable[NodeProto]) -> None:
        """Note every operator without a converter in nodes that are not converted."""
        for index, node in enumerate(listed):
            if nodes.operator_of(node) not in CONVERTERS:
                self._problems.operator(nodes.operator_of(node), nodes.name_of(node, index))
            self._survey_subgraphs(node)

    def _survey_subgraphs(self, node: NodeProto) -> None:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                self._survey(attribute.g.node)

    def _add_initializers(self, graph: GraphProto) -> None:
        for sparse in graph.sparse_initializer:
            text = f"initializer {sparse.values.name!r} is sparse; accepted: dense tensors"
            self._problems.add(UnsupportedError(text))
            self._lost.add(sparse.values.name)
        self._initializers.update((tensor.name, tensor) for tensor in graph.initializer)

    def _convert_all(self, listed: Iterable[NodeProto]) -> None:
        for node in listed:
            self._convert(node, nodes.name_of(node, self._count))
            self._count += 1

    def _convert(self, node: NodeProto, name: str) -> None:
        """Convert a node, or note what is not supported of it."""
        if nodes.operator_of(node) not in CONVERTERS:
            self._problems.operator(nodes.operator_of(node), name)
            self._give_up(node)
            return
        doubtful = not self._doubtful.isdisjoint(node.input)
        if not self._lost.isdisjoint(node.input) or (doubtful and node.op_type == "If"):
            self._check_constants(node, name)
            self._give_up(node)
            return
        around = self._builder.subject
        self._builder.subject = f"node {name} ({node.op_type})"
        try:
            values = self._converted(node, name)
        except UnsupportedError as error:
            if not (doubtful and isinstance(error, problems.OperandError)):
                self._problems.add(error)
            self._give_up(node)
        except ModelError:
            if not doubtful:
                raise
            self._give_up(node)
        else:
            if doubtful or not self._doubtful.isdisjoint(nodes.branch_outputs(node)):
                self._doubtful.update(filter(None, node.output))
            where = f"{self._source.label}: node {name} ({node.op_type})"
            for output, value in zip(node.output, values, strict=False):
                self.define(output, value, where)
            for index, output in enumerate(node.output[len(values) :], len(values)):
                self._unavailable[output] = f"output {index} of node {name} ({node.op_type})"
        self._builder.subject = around

    def _check_constants(self, node: NodeProto, name: str) -> None:
        """Note the initializers that a node which is not converted reads and that could not be."""
        for i in node.input:
            if i in self._initializers and i not in self._lost:
                try:
                    tensors.require_supported(self._initializers[i])
                except UnsupportedError as error:
                    self._lost.add(i)
                    self._problems.add(UnsupportedError(f"node {name} ({node.op_type}): {error}"))

    def _give_up(self, node: NodeProto) -> None:
        """Let stand-ins take the place of the node's outputs."""
        self._survey_subgraphs(node)
        formal = schema.find(node.op_type, self._source.opset, nodes.domain_of(node))
        operands = [None if v is None else v.type for v in map(self._known.get, node.input)]
        for index, output in enumerate(node.output):
            if not output:
                continue
            type_ = self._declared.get(output)
            if type_ is None and formal is not None:
                type_ = inference.guessed(formal, index, operands)
            if type_ is None or output in self._known or output in self._initializers:
                self._lost.add(output)
            else:
                self._known[output] = Value(output, type_)
                self._doubtful.add(output)

    @cached_property
    def _declared(self) -> Mapping[str, TensorType]:
        graph = self._source.proto.graph
        return inference.declared((*graph.value_info, *graph.output))

    def _converted(self, node: NodeProto, name: str) -> tuple[Value, ...]:
        """The node's outputs, as far as its converter gives them and they are not defined yet."""
        opset, where = self._source.opset, f"{self._source.label}: node {name} ({node.op_type})"
        formal = schema.find(node.op_type, opset, nodes.domain_of(node))
        if formal is None:
            raise ModelError(f"{where}: opset {opset}, which the model imports, has no operator of this name")
        attrs, problem = schema.attributes(node, formal)
        if problem:
            raise ModelError(f"{where}: {problem}")

        def convert(node: NodeProto, given: Mapping[int, Value]) -> tuple[Value, ...]:
            return self._on_values(node, name, formal, attrs, given)

        if self._folding.take(node, formal, attrs, where, convert):
            return ()
        reader = f"node {name} ({node.op_type})"
        rounded = {k: self._folding.rounded(i) for k, i in enumerate(node.input) if self._folding.kind(i, reader)}
        return convert(node, rounded)

    def _on_values(
        self, node: NodeProto, name: str, formal: OpSchema, attrs: Mapping[str, Any], given: Mapping[int, Value]
    ) -> tuple[Value, ...]:
        """What the node's converter makes of its operands, of which some are given."""
        opset, reader = self._source.opset, f"node {name} ({node.op_type})"
        inputs = tuple(
            given[k] if k in given else None if not i else self.operand(i, reader) for k, i in enumerate(node.input)
        )
        problem = schema.type_problem(formal, [None if v is None else v.dtype for v in inputs])
        if problem:
            raise ModelError(f"{self._source.label}: {reader}: {problem}")
        context = Context(
            op=node.op_type,
            name=name,
            opset=opset,
            inputs=inputs,
            operand_names=schema.operand_names(formal),
            outputs=tuple(node.output),
            attrs=attrs,
            builder=self._builder,
            source=self._source.label,
            is_read=self._read.__contains__,
            inline=self._inline,
            tensor=lambda tensor: self.array(tensor, reader),
            way_out=self._origins.way_out,
        )
        converted = CONVERTERS[nodes.operator_of(node)](context)
        return converted if isinstance(converted, tuple) else (converted,)

    def define(self, name: str, value: Value, where: str) -> None:
        """Give a tensor its value; nothing where it has no name."""
        if name:
            self.require_new(name, where)
            self._known[name] = value

    def require_new(self, name: str, where: str) -> None:
        """Raise ModelError where a tensor of this name exists."""
        if name in self._known or name in self._initializers or self._folding.has(name):
            raise ModelError(f"{where}: the tensor {name!r} is produced a second time")

    def initializer(self, name: str) -> TensorProto | None:
        """The initializer of this name, unless it has been read or could not be."""
        return None if name in self._known or name in self._lost else self._initializers.get(name)

    def operand(self, name: str, reader: str) -> Value:
        """The value of a tensor that `reader` reads."""
        value = self._known.get(name)
        if value is not None:
            return value
        label = self._source.label
        if self._folding.kind(name, reader):
            raise UnsupportedError(f"{label}: {reader} reads {name!r}, {self._folding.refused(name)}")
        if name in self._lost:
            raise problems.FollowingError(f"{label}: {reader} reads {name!r}, which is not known")
        if name in self._initializers:
            try:
                value = self._builder.constant(self.array(self._initializers[name], reader), name)
            except UnsupportedError:
                self._lost.add(name)  # reported once, for its first reader
                raise
            self._known[name] = value
            return value
        if name in self._unavailable:
            what = f"{name!r}, {self._unavailable[name]}"
            raise UnsupportedError(f"{label}: {reader} reads {what}, which is not supported")
        raise ModelError(
            f"{label}: {reader} reads {name!r}, which is no input, no initializer and no output of an earlier node"
        )

    def array(self, tensor: TensorProto, reader: str) -> Array:
        """The elements of a tensor that `reader` reads."""
        try:
            return tensors.to_array(tensor, self._source.folder)
        except ModelError as error:
            raise type(error)(f"{self._source.label}: {reader}: {error}") from None

    def _inline(self, graph: GraphProto) -> tuple[Value, ...]:
        """The outputs of a subgraph whose nodes are converted in place: it sees the tensors around it, they not its."""
        around = (self._known, self._initializers, self._unavailable)
        self._known, self._initializers = ChainMap({}, self._known), ChainMap({}, self._initializers)
        self._unavailable = ChainMap({}, self._unavailable)
        try:
            with self._folding.scope():
                self._add_initializers(graph)
                self._convert_all(graph.node)
                return tuple(self.operand(info.name, "a subgraph's outputs") for info in graph.output)
        finally:
            self._known, self._initializers, self._unavailable = around
