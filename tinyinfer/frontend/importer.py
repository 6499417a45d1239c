"""The loop over the nodes of an ONNX graph."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto
from onnx.defs import OpSchema

from tinyinfer import registry
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError
from tinyinfer.frontend import binding, inference, problems, reading, schema, tensors, wide
from tinyinfer.frontend.context import Context
from tinyinfer.frontend.converters import CONVERTERS
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


WIDE_WAY_OUT = "values at run time are " + tensors.ACCEPTED + "; cast it to one of them in the model"


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
        self._wide: MutableMapping[str, Array] = {}  # constants of types that values do not have
        self._read: set[str] = set()
        self._count = 0
        self._problems = problems.Problems(source.label)
        self._origins = problems.Origins(self._builder)
        self._doubtful: set[str] = set()
        self._lost: set[str] = set()

    def run(self, shapes: Mapping[str, Sequence[int]]) -> Graph:
        graph = self._source.proto.graph
        self._read = set(_names_read(graph))
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
        value = self._operand(info.name, "the graph's outputs")
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

    def _survey(self, nodes: Iterable[NodeProto]) -> None:
        """Note every operator without a converter in nodes that are not converted."""
        for index, node in enumerate(nodes):
            if operator_of(node) not in CONVERTERS:
                self._problems.operator(operator_of(node), _node_name(node, index))
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

    def _convert_all(self, nodes: Iterable[NodeProto]) -> None:
        for node in nodes:
            self._convert(node, _node_name(node, self._count))
            self._count += 1

    def _convert(self, node: NodeProto, name: str) -> None:
        """Convert a node, or note what is not supported of it."""
        if operator_of(node) not in CONVERTERS:
            self._problems.operator(operator_of(node), name)
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
            if doubtful or not self._doubtful.isdisjoint(_branch_outputs(node)):
                self._doubtful.update(filter(None, node.output))
            where = f"{self._source.label}: node {name} ({node.op_type})"
            for output, value in zip(node.output, values, strict=False):
                self._define(output, value, where)
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
        formal = schema.find(node.op_type, self._source.opset, _domain(node))
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
        """The node's outputs, as far as its converter gives them."""
        opset, where = self._source.opset, f"{self._source.label}: node {name} ({node.op_type})"
        formal = schema.find(node.op_type, opset, _domain(node))
        if formal is None:
            raise ModelError(f"{where}: opset {opset}, which the model imports, has no operator of this name")
        attrs, problem = schema.attributes(node, formal)
        if not problem and self._fold_wide(node, formal, attrs, where):
            return ()
        inputs: tuple[Value | None, ...] = ()
        if not problem:
            reader = f"node {name} ({node.op_type})"
            inputs = tuple(
                self._rounded(i, node, k) if i in self._wide else None if not i else self._operand(i, reader)
                for k, i in enumerate(node.input)
            )
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
            way_out=self._origins.way_out,
        )
        converted = CONVERTERS[operator_of(node)](context)
        return converted if isinstance(converted, tuple) else (converted,)

    def _fold_wide(self, node: NodeProto, formal: OpSchema, attrs: Mapping[str, Any], where: str) -> bool:
        """Compute a node over constants of types that values do not have, or that gives one; whether it was such."""
        op = node.op_type
        reader = where.removeprefix(f"{self._source.label}: ")
        for name in node.input:
            self._read_wide(name, reader)
        if not any(name in self._wide for name in node.input):
            return self._make_wide(node, attrs, reader)
        if op not in wide.MOVEMENT and op not in wide.FUNCTIONS and op not in ("Cast", "CastLike"):
            return False
        arrays = [self._constant(name, reader) for name in node.input]
        present = [(k, a) for k, a in enumerate(arrays) if a is not None]
        if problem := schema.constant_problem(formal, [None if a is None else a.dtype for a in arrays]):
            raise ModelError(f"{where}: {problem}")
        if op in wide.MOVEMENT:
            return self._move_wide(node, where)
        rounded = op in wide.ROUNDED and node.input[0] not in self._wide
        if rounded or len(present) != len(node.input):
            return False
        if op in ("Cast", "CastLike"):
            to = tensors.numpy_of(attrs["to"]) if op == "Cast" else present[1][1].dtype
            if to is None:
                return False
            result = wide.cast(present[0][1], to)
        else:
            result = self._located(lambda: wide.apply(op, [array for _, array in present], self._spend))
        self._define_constant(node.output[0], result, where)
        return True

    def _make_wide(self, node: NodeProto, attrs: Mapping[str, Any], reader: str) -> bool:
        """Define the output of a node that makes a constant of a type that values do not have out of others."""
        where = f"{self._source.label}: {reader}"
        if node.op_type == "Constant" and isinstance(tensor := attrs.get("value"), TensorProto):
            if tensors.numpy_of(tensor.data_type) not in wide.DTYPES:
                return False
            self._define_constant(node.output[0], self._array(tensor, reader), where)
            return True
        if node.op_type == "ConstantOfShape" and isinstance(tensor := attrs.get("value"), TensorProto):
            dims = self._constant(node.input[0], reader)
            if tensors.numpy_of(tensor.data_type) not in wide.DTYPES or dims is None or tensor.dims not in ([], [1]):
                return False
            fill = self._array(tensor, reader)
            self._define_constant(
                node.output[0], self._located(lambda: wide.full(tuple(map(int, dims)), fill, self._spend)), where
            )
            return True
        if node.op_type not in ("Cast", "CastLike"):
            return False
        array = self._constant(node.input[0], reader)
        to = tensors.numpy_of(attrs["to"]) if node.op_type == "Cast" else None
        if array is None or to not in wide.DTYPES or to is None:
            return False
        self._define_constant(node.output[0], wide.cast(array, to), where)
        return True

    def _spend(self, count: int, item_size: int) -> None:
        self._builder.compute(count * item_size, count, "")

    def _located(self, compute: Callable[[], Array]) -> Array:
        try:
            return compute()
        except ModelError as error:
            raise type(error)(f"{self._source.label}: {self._builder.subject}: {error}") from None
        except ValueError as error:  # shapes that do not broadcast
            raise ShapeError(f"{self._source.label}: {self._builder.subject}: {error}") from None

    def _move_wide(self, node: NodeProto, where: str) -> bool:
        """Let the ordinary converter move the bits of constants."""
        dtypes = {self._wide[name].dtype for name in node.input if name in self._wide}
        twin = NodeProto()
        twin.CopyFrom(node)
        hidden = f"{where}/bits/"
        for k, name in enumerate(node.input):
            if name in self._wide:
                twin.input[k] = hidden + name
                self._known[hidden + name] = self._builder.constant(wide.bits(self._wide[name]), name)
        for k, name in enumerate(node.output):
            twin.output[k] = hidden + name if name else ""
        values = self._converted(twin, node.name or node.op_type)
        for name, value in zip(node.output, values, strict=False):
            if node.op_type in wide.WITHOUT_ELEMENTS:
                self._define(name, value, where)
            elif value.data is None:
                kinds = ", ".join(sorted(dtype.name for dtype in dtypes))
                raise UnsupportedError(f"{where}: its result would be {kinds} at run time; {WIDE_WAY_OUT}")
            else:
                self._define_constant(name, wide.from_bits(value.data, next(iter(dtypes))), where)
        return True

    def _read_wide(self, name: str, reader: str) -> None:
        """Read an initializer, if it has a type that values do not have."""
        tensor = None if name in self._known or name in self._wide else self._initializers.get(name)
        if tensor is not None and tensors.numpy_of(tensor.data_type) in wide.DTYPES:
            self._wide[name] = self._array(tensor, reader)

    def _constant(self, name: str, reader: str) -> Array | None:
        """The elements of a tensor that is known when compiling."""
        if name in self._wide:
            return self._wide[name]
        return self._operand(name, reader).data if name else None

    def _define_constant(self, name: str, array: Array, where: str) -> None:
        if array.dtype not in wide.DTYPES:
            self._define(name, self._builder.constant(array, name), where)
            return
        if name in self._known or name in self._initializers or name in self._wide:
            raise ModelError(f"{where}: the tensor {name!r} is produced a second time")
        self._wide[name] = array

    def _rounded(self, name: str, node: NodeProto, index: int) -> Value:
        """A constant of a type that values do not have, for an operator that rounds it to float32."""
        array = self._wide[name]
        if index not in wide.ROUNDED.get(node.op_type, ()):
            where = f"{self._source.label}: {self._builder.subject}"
            raise UnsupportedError(f"{where}: input {index} ({name!r}) is a constant of {array.dtype}; {WIDE_WAY_OUT}")
        with np.errstate(all="ignore"):
            return self._builder.constant(array.astype(np.float32), name)

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
        self._read_wide(name, reader)
        if name in self._wide:
            kind = self._wide[name].dtype
            raise UnsupportedError(f"{label}: {reader} reads {name!r}, a constant of {kind}; {WIDE_WAY_OUT}")
        if name in self._lost:
            raise problems.FollowingError(f"{label}: {reader} reads {name!r}, which is not known")
        if name in self._initializers:
            try:
                value = self._builder.constant(self._array(self._initializers[name], reader), name)
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

    def _array(self, tensor: TensorProto, reader: str) -> Array:
        try:
            return tensors.to_array(tensor, self._source.folder)
        except ModelError as error:
            raise type(error)(f"{self._source.label}: {reader}: {error}") from None

    def _inline(self, graph: GraphProto) -> tuple[Value, ...]:
        """The outputs of a subgraph whose nodes are converted in place: it sees the tensors around it, they not its."""
        around = (self._known, self._initializers, self._unavailable)
        self._known, self._initializers = ChainMap({}, self._known), ChainMap({}, self._initializers)
        self._unavailable = ChainMap({}, self._unavailable)
        around_wide, self._wide = self._wide, ChainMap({}, self._wide)
        try:
            self._add_initializers(graph)
            self._convert_all(graph.node)
            return tuple(self._operand(info.name, "a subgraph's outputs") for info in graph.output)
        finally:
            self._known, self._initializers, self._unavailable = around
            self._wide = around_wide


def _domain(node: NodeProto) -> str:
    """The operator set of a node; "" for ONNX's own."""
    return "" if node.domain in reading.DEFAULT_DOMAINS else node.domain


def operator_of(node: NodeProto) -> str:
    """An operator as messages and the table of converters name it."""
    domain = _domain(node)
    return f"{domain}::{node.op_type}" if domain else node.op_type


def _node_name(node: NodeProto, index: int) -> str:
    return node.name or f"{node.op_type}_{index}"


def _branch_outputs(node: NodeProto) -> Iterator[str]:
    """The outputs of a node's subgraphs."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield from (info.name for info in attribute.g.output)


def _names_read(graph: GraphProto) -> Iterator[str]:
    """Names of all tensors that nodes (of subgraphs too) or outputs read."""
    yield from (info.name for info in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _names_read(attribute.g)
