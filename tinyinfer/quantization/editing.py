"""An ONNX model that is being rewritten: constants, producers and consumers by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tinyinfer.errors import ModelError
from tinyinfer.types import Array

DEFAULT_DOMAINS = ("", "ai.onnx")
PRODUCER = "tinyinfer"


class Editor:
    """Wraps a ModelProto, which it changes. Nodes are told apart by identity; all of them have names."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self._initializers: dict[str, TensorProto] = {t.name: t for t in proto.graph.initializer}
        self._arrays: dict[str, Array] = {}
        self._taken = set(_all_names(proto.graph))
        self._name_nodes()
        self._types = {
            v.name: v.type.tensor_type
            for v in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
            if v.type.HasField("tensor_type")
        }

    @property
    def nodes(self) -> list[NodeProto]:
        return list(self.proto.graph.node)

    @property
    def inputs(self) -> list[str]:
        """Names of the graph's inputs that are not constants."""
        return [i.name for i in self.proto.graph.input if i.name not in self._initializers]

    @property
    def outputs(self) -> list[str]:
        return [o.name for o in self.proto.graph.output]

    def is_constant(self, name: str) -> bool:
        return name in self._initializers

    def tensor(self, name: str) -> TensorProto:
        """An initializer as it is in the model."""
        return self._initializers[name]

    def array(self, name: str) -> Array:
        """The value of an initializer; ModelError where it holds none."""
        if name not in self._arrays:
            try:
                self._arrays[name] = np.asarray(numpy_helper.to_array(self._initializers[name]))
            except Exception as error:  # NumPy and protobuf raise whatever they meet
                raise ModelError(f"initializer {name!r} cannot be read: {error}") from None
        return self._arrays[name]

    def constant(self, node: NodeProto, index: int) -> Array | None:
        """The value of a node's operand where it is present and constant."""
        name = operand(node, index)
        return self.array(name) if name and self.is_constant(name) else None

    def is_float(self, name: str) -> bool:
        """Whether a tensor is float32, as far as shape inference knows; unknown types count as float32."""
        if self.is_constant(name):
            return bool(self._initializers[name].data_type == TensorProto.FLOAT)
        return name not in self._types or self._types[name].elem_type in (TensorProto.FLOAT, TensorProto.UNDEFINED)

    def rank(self, name: str) -> int | None:
        """The rank of a tensor where it is known."""
        if self.is_constant(name):
            return len(self._initializers[name].dims)
        type_ = self._types.get(name)
        return len(type_.shape.dim) if type_ is not None and type_.HasField("shape") else None

    def producers(self) -> dict[str, NodeProto]:
        return {name: node for node in self.proto.graph.node for name in node.output if name}

    def consumers(self) -> dict[str, list[NodeProto]]:
        """The nodes that read each tensor; a node that holds graphs reads what those read."""
        found: dict[str, list[NodeProto]] = {}
        for node in self.proto.graph.node:
            for name in dict.fromkeys(_reads(node)):
                found.setdefault(name, []).append(node)
        return found

    def unique(self, name: str) -> str:
        """`name`, or `name` with a number, that nothing in the model bears yet; it is taken from now on."""
        candidate, count = name, 0
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate

    def add_constant(self, array: Array, name: str, data_type: int | None = None) -> str:
        """Add an initializer under a name like `name`; returns the name it got."""
        label = self.unique(name)
        self.define_constant(array, label, data_type)
        return label

    def define_constant(self, array: Array, name: str, data_type: int | None = None) -> None:
        """Add an initializer under exactly this name, which no other tensor may bear (any longer)."""
        if data_type is None:
            tensor = numpy_helper.from_array(np.array(array, order="C"), name)
        else:
            tensor = helper.make_tensor(name, data_type, array.shape, array.ravel())
        self.define(tensor)

    def define(self, tensor: TensorProto) -> None:
        """Add an initializer as it is."""
        self.proto.graph.initializer.append(tensor)
        self._initializers[tensor.name] = self.proto.graph.initializer[-1]

    def replace_nodes(self, nodes: Iterable[NodeProto]) -> None:
        """Make these the graph's nodes."""
        kept = list(nodes)
        del self.proto.graph.node[:]
        self.proto.graph.node.extend(kept)

    def drop_unread(self) -> None:
        """Remove the initializers that nothing reads, and their entries among the inputs."""
        read = set(self.consumers()) | set(self.outputs)
        graph = self.proto.graph
        unread = {t.name for t in graph.initializer} - read
        for field in (graph.initializer, graph.input):
            kept = [item for item in field if item.name not in unread]
            del field[:]
            field.extend(kept)
        self._initializers = {t.name: t for t in graph.initializer}

    def finish(self, nodes: Iterable[NodeProto]) -> onnx.ModelProto:
        """The model with these nodes, and with nothing that they do not read or that may not hold of them."""
        self.replace_nodes(nodes)
        self.drop_unread()
        del self.proto.graph.value_info[:]
        del self.proto.graph.quantization_annotation[:]
        self.proto.producer_name = PRODUCER
        return self.proto

    def _name_nodes(self) -> None:
        """Give a name to every node without one, or whose name is another's."""
        seen: set[str] = set()
        for index, node in enumerate(self.proto.graph.node):
            if not node.name or node.name in seen:
                node.name = self.unique(node.name or f"{node.op_type}_{index}")
            seen.add(node.name)


def opset_of(proto: onnx.ModelProto) -> int:
    """Version of the default operator set; 0 where the model imports none."""
    return max((o.version for o in proto.opset_import if o.domain in DEFAULT_DOMAINS), default=0)


def operand(node: NodeProto, index: int) -> str:
    """The name of an operand; "" where it is absent."""
    return node.input[index] if index < len(node.input) else ""


def attribute(node: NodeProto, name: str, default: object = None) -> object:
    """The value of an attribute, or the default."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def integer(node: NodeProto, name: str, default: int) -> int:
    """An integer attribute."""
    value = attribute(node, name, default)
    assert isinstance(value, int)
    return value


def number(node: NodeProto, name: str, default: float) -> float:
    """A float attribute."""
    value = attribute(node, name, default)
    assert isinstance(value, (int, float))
    return float(value)


def without_attributes(node: NodeProto, names: Sequence[str]) -> None:
    """Remove attributes."""
    kept = [a for a in node.attribute if a.name not in names]
    del node.attribute[:]
    node.attribute.extend(kept)


def copy_of(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A model that may be changed without changing `proto`."""
    copied = onnx.ModelProto()
    copied.CopyFrom(proto)
    return copied


def _reads(node: NodeProto) -> Iterator[str]:
    yield from (name for name in node.input if name)
    for graph in _graphs(node):
        for inner in graph.node:
            yield from _reads(inner)
        yield from (output.name for output in graph.output)


def _graphs(node: NodeProto) -> Iterator[onnx.GraphProto]:
    for a in node.attribute:
        if a.type == onnx.AttributeProto.GRAPH:
            yield a.g
        yield from a.graphs


def _all_names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (item.name for item in (*graph.input, *graph.output, *graph.initializer, *graph.value_info))
    for node in graph.node:
        yield node.name
        yield from (*node.input, *node.output)
        for inner in _graphs(node):
            yield from _all_names(inner)
