"""The loop over the nodes of an ONNX graph."""

from __future__ import annotations

import os
from collections import ChainMap, Counter
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

from tinyinfer import registry
from tinyinfer.errors import ModelError, UnsupportedError
from tinyinfer.frontend import binding, reading, schema, tensors
from tinyinfer.frontend.context import Context
from tinyinfer.frontend.converters import CONVERTERS
from tinyinfer.graph import Graph, Value
from tinyinfer.types import Array


def load(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto, shapes: Mapping[str, Sequence[int]] | None = None
) -> Graph:
    """Import an ONNX model: a path, the bytes of a file, or a ModelProto.

    `shapes` binds open dimensions: input name → full shape. A symbolic dimension bound once holds for all inputs; an
    open first dimension defaults to 1. Values keep ONNX's tensor names and nodes ONNX's node names.

    Raises ModelError (not ONNX, truncated, malformed, missing external data), UnsupportedError (operators TinyInfer
    does not have, all at once; attribute values; element types) or ShapeError (open or contradicting dimensions).
    """
    return _Import(reading.read(model)).run(dict(shapes or {}))


class _Import:
    """The state of one import: tensors by name."""

    def __init__(self, source: reading.Source) -> None:
        self._source = source
        name = source.proto.graph.name or (Path(source.label).stem if source.folder else "model")
        self._builder = registry.builder(name, source.label)
        self._known: MutableMapping[str, Value | None] = {"": None}
        self._initializers: MutableMapping[str, TensorProto] = {}
        self._unavailable: MutableMapping[str, str] = {}  # outputs a converter left out → what they are
        self._read: set[str] = set()
        self._count = 0

    def run(self, shapes: Mapping[str, Sequence[int]]) -> Graph:
        graph = self._source.proto.graph
        self._require_supported(graph.node)
        self._read = set(_names_read(graph))
        self._add_initializers(graph)
        label = self._source.label
        inputs = [info for info in graph.input if info.name not in self._initializers]
        for name, type_ in binding.bind(inputs, shapes, label).items():
            self._known[name] = self._builder.input(name, type_)
        self._convert_all(graph.node)
        if not graph.output:
            raise ModelError(f"{label}: the graph has no outputs")
        for info in graph.output:
            self._builder.output(info.name, self._operand(info.name, "the graph's outputs"))
        self._builder.metadata.update((p.key, p.value) for p in self._source.proto.metadata_props)
        return self._builder.build()

    def _require_supported(self, nodes: Iterable[NodeProto]) -> None:
        """Raise UnsupportedError that lists every operator without a converter."""
        counts: Counter[str] = Counter()
        example: dict[str, str] = {}
        for index, node in enumerate(nodes):
            label = _operator(node)
            if label not in CONVERTERS:
                counts[label] += 1
                example.setdefault(label, _node_name(node, index))
        if counts:
            lines = [f"  {label} ×{count}, for example node {example[label]}" for label, count in counts.most_common()]
            plural = "operator is" if len(counts) == 1 else "operators are"
            raise UnsupportedError("\n".join([f"{self._source.label}: {len(counts)} {plural} not supported:", *lines]))

    def _add_initializers(self, graph: GraphProto) -> None:
        if graph.sparse_initializer:
            name = graph.sparse_initializer[0].values.name
            raise UnsupportedError(f"{self._source.label}: initializer {name!r} is sparse; accepted: dense tensors")
        self._initializers.update((tensor.name, tensor) for tensor in graph.initializer)

    def _convert_all(self, nodes: Iterable[NodeProto]) -> None:
        for node in nodes:
            self._convert(node, _node_name(node, self._count))
            self._count += 1

    def _convert(self, node: NodeProto, name: str) -> None:
        opset, where = self._source.opset, f"{self._source.label}: node {name} ({node.op_type})"
        formal = schema.find(node.op_type, opset, _domain(node))
        if formal is None:
            raise ModelError(f"{where}: opset {opset}, which the model imports, has no operator of this name")
        attrs, problem = schema.attributes(node, formal)
        inputs: tuple[Value | None, ...] = ()
        if not problem:
            inputs = tuple(None if not i else self._operand(i, f"node {name} ({node.op_type})") for i in node.input)
            problem = schema.type_problem(formal, [None if v is None else v.dtype for v in inputs])
        if problem:
            raise ModelError(f"{where}: {problem}")
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
            tensor=lambda tensor: self._array(tensor, f"node {name} ({node.op_type})"),
        )
        converted = CONVERTERS[_operator(node)](context)
        values = converted if isinstance(converted, tuple) else (converted,)
        for output, value in zip(node.output, values, strict=False):
            self._define(output, value, where)
        for index, output in enumerate(node.output[len(values) :], len(values)):
            self._unavailable[output] = f"output {index} of node {name} ({node.op_type})"

    def _define(self, name: str, value: Value, where: str) -> None:
        if not name:
            return
        if name in self._known or name in self._initializers:
            raise ModelError(f"{where}: the tensor {name!r} is produced a second time")
        self._known[name] = value

    def _operand(self, name: str, reader: str) -> Value:
        """The value of a tensor that `reader` reads."""
        value = self._known.get(name)
        if value is not None:
            return value
        label = self._source.label
        if name in self._initializers:
            value = self._builder.constant(self._array(self._initializers[name], reader), name)
            self._known[name] = value
            return value
        if name in self._unavailable:
            what = f"{name!r}, {self._unavailable[name]}"
            raise UnsupportedError(f"{label}: {reader} reads {what}, which is not supported")
        raise ModelError(
            f"{label}: {reader} reads {name!r}, which is no input, no initializer and no output of an earlier node"
        )

    def _array(self, tensor: TensorProto, reader: str) -> Array:
        try:
            return tensors.to_array(tensor, self._source.folder)
        except ModelError as error:
            raise type(error)(f"{self._source.label}: {reader}: {error}") from None

    def _inline(self, graph: GraphProto) -> tuple[Value, ...]:
        """The outputs of a subgraph whose nodes are converted in place: it sees the tensors around it, they not its."""
        self._require_supported(graph.node)
        around = (self._known, self._initializers, self._unavailable)
        self._known, self._initializers = ChainMap({}, self._known), ChainMap({}, self._initializers)
        self._unavailable = ChainMap({}, self._unavailable)
        self._add_initializers(graph)
        self._convert_all(graph.node)
        outputs = tuple(self._operand(info.name, "a subgraph's outputs") for info in graph.output)
        self._known, self._initializers, self._unavailable = around
        return outputs


def _domain(node: NodeProto) -> str:
    """The operator set of a node; "" for ONNX's own."""
    return "" if node.domain in reading.DEFAULT_DOMAINS else node.domain


def _operator(node: NodeProto) -> str:
    """An operator as messages and the table of converters name it."""
    domain = _domain(node)
    return f"{domain}::{node.op_type}" if domain else node.op_type


def _node_name(node: NodeProto, index: int) -> str:
    return node.name or f"{node.op_type}_{index}"


def _names_read(graph: GraphProto) -> Iterator[str]:
    """Names of all tensors that nodes (of subgraphs too) or outputs read."""
    yield from (info.name for info in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _names_read(attribute.g)
