"""Models damaged by seeds, in their structure (fields, wiring, functions, branches) or in their bytes."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import AttributeProto, TensorProto, helper

INTEGERS = (
    0,
    1,
    -1,
    2,
    3,
    5,
    -2,
    7,
    64,
    100,
    1000,
    65536,
    10**8,
    2**31 - 1,
    -(2**31),
    2**40,
    2**62,
    2**63 - 1,
    -(2**63),
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 3e38, 1e8, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    "",
    "x",
    "y",
    "linear",
    "SAME_UPPER",
    "constant",
    "own",
    "ai.onnx",
    "location",
    "offset",
    "-1",
    "\0",
    "é" * 300,
)
BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1), FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1), FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}  # fmt: skip

Change = Callable[[random.Random, onnx.ModelProto], None]


def damaged(blob: bytes, seed: int) -> bytes:
    """A model with one to four changes, mostly of its structure."""
    rng = random.Random(seed)
    changes = 1 + min(int(rng.expovariate(1)), 3)
    if rng.random() < 0.15:
        return _bytes(rng, blob, changes)
    proto = onnx.ModelProto.FromString(blob)
    for _ in range(changes):
        rng.choice(CHANGES)(rng, proto)
    made = proto.SerializeToString()
    return _bytes(rng, made, 1) if rng.random() < 0.05 else made


def _bytes(rng: random.Random, blob: bytes, changes: int) -> bytes:
    """Bytes set, flipped, left out, put in, repeated."""
    made = bytearray(blob)
    for _ in range(changes):
        at, size = rng.randrange(len(made) or 1), rng.randint(1, 12)
        made[at : at + rng.choice((0, 1, size))] = rng.choice(
            (b"", rng.randbytes(size), bytes([rng.choice((0, 1, 127, 128, 255))]), made[at : at + 3 * size] * 2)
        )
    return bytes(made)


def _messages(message: Message) -> Iterator[Message]:
    """A message and all those in it."""
    waiting = [message]
    while waiting:
        at = waiting.pop()
        yield at
        for field, value in at.ListFields():
            if field.message_type is not None:
                waiting.extend(value if field.is_repeated else [value])


def _field(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Change a field of a message, most often one that is set."""
    message = rng.choice(list(_messages(proto)))
    present = [field for field, _ in message.ListFields()]
    field = rng.choice(present if present and rng.random() < 0.8 else list(message.DESCRIPTOR.fields))
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif field.message_type is not None:
        _inner(rng, proto, message, field)
    elif field.is_repeated:
        _elements(rng, getattr(message, field.name), lambda old: _scalar(rng, field, old))
    else:
        setattr(message, field.name, _scalar(rng, field, getattr(message, field.name)))


def _inner(rng: random.Random, proto: onnx.ModelProto, message: Message, field: FieldDescriptor) -> None:
    """Leave out, copy or move messages of a field."""
    alike = [m for m in _messages(proto) if m.DESCRIPTOR is field.message_type]
    other = copy.deepcopy(rng.choice(alike)) if alike else None
    if not field.is_repeated:
        if other is None or rng.random() < 0.3:
            getattr(message, field.name).SetInParent()
        else:
            getattr(message, field.name).CopyFrom(other)
        return
    values = getattr(message, field.name)
    if values and rng.random() < 0.6:
        at = rng.randrange(len(values))
        if rng.random() < 0.5:
            del values[at]
        else:
            values.insert(rng.randint(0, len(values)), values.pop(at))
    else:
        values.insert(rng.randint(0, len(values)), other or field.message_type._concrete_class())


def _elements(rng: random.Random, values: Any, scalar: Callable[[Any], Any]) -> None:
    """Change, put in or leave out elements of a repeated field."""
    if values and rng.random() < 0.6:
        at = rng.randrange(len(values))
        values[at] = scalar(values[at])
    elif values and rng.random() < 0.5:
        del values[rng.randrange(len(values))]
    else:
        values.insert(rng.randint(0, len(values)), scalar(values[0] if values else None))


def _scalar(rng: random.Random, field: FieldDescriptor, old: Any) -> Any:
    if field.enum_type is not None:
        return rng.choice(list(field.enum_type.values_by_number))
    if field.cpp_type in BOUNDS:
        low, high = BOUNDS[field.cpp_type]
        near = (old or 0) + rng.choice((-1, 1, 2))
        return min(max(rng.choice((near, rng.randint(0, 30), rng.choice(INTEGERS))), low), high)
    if field.type == FieldDescriptor.TYPE_STRING:
        return rng.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.choice((_bytes(rng, old or b"", 1), rng.choice(TEXTS).encode()))
    return rng.choice(FLOATS)


def _nodes(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [m for m in _messages(proto) if isinstance(m, onnx.NodeProto)]


def _wiring(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Let an operand or result be another tensor, or none."""
    nodes = _nodes(proto)
    if not nodes:
        return
    names = [t.name for t in proto.graph.initializer] + [i.name for i in proto.graph.input]
    names += [name for node in nodes for name in (*node.input, *node.output)] + [""]
    node = rng.choice(nodes)
    _elements(rng, rng.choice((node.input, node.input, node.output)), lambda _: rng.choice(names))


def _operator(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Let a node be of another operator."""
    nodes = _nodes(proto)
    if nodes:
        rng.choice(nodes).op_type = rng.choice(OPERATORS)


def _sizes(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Change dimensions of a tensor or of a type, with elements that match more often than not."""
    tensors = [m for m in _messages(proto) if isinstance(m, TensorProto)]
    shapes = [m for m in _messages(proto) if isinstance(m, onnx.TensorShapeProto)]
    if tensors and rng.random() < 0.5:
        tensor = rng.choice(tensors)
        _elements(rng, tensor.dims, lambda _: rng.choice((0, 1, 2, 3, 8, -1, 2**31)))
        if rng.random() < 0.7 and 0 <= (count := _product(tensor.dims)) < 10_000:
            tensor.raw_data = (tensor.raw_data or b"\0") * (count * 8)
            del tensor.float_data[:], tensor.int64_data[:], tensor.int32_data[:]
            tensor.raw_data = tensor.raw_data[: count * rng.choice((1, 4, 4, 8))]
    elif shapes:
        shape = rng.choice(shapes)
        if shape.dim and rng.random() < 0.7:
            rng.choice(shape.dim).dim_value = rng.choice((0, 1, 2, 3, 17, -1, 2**16, 2**31, 2**40))
        else:
            shape.dim.add(dim_value=rng.choice((1, 2)))


def _product(dims: Sequence[int]) -> int:
    product = 1
    for d in dims:
        product *= d
    return product


def _integers_of(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Change an element of a constant of integers: a shape, axes, pads, sizes."""
    wide = [m for m in _messages(proto) if isinstance(m, TensorProto) and m.data_type == TensorProto.INT64]
    wide = [m for m in wide if len(m.raw_data) >= 8]
    if wide:
        tensor = rng.choice(wide)
        at = 8 * rng.randrange(len(tensor.raw_data) // 8)
        value = rng.choice(INTEGERS).to_bytes(8, "little", signed=True)
        tensor.raw_data = tensor.raw_data[:at] + value + tensor.raw_data[at + 8 :]


def _attribute(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Change an attribute's value, or let a node have one of another's."""
    nodes = [node for node in _nodes(proto) if node.attribute]
    if not nodes:
        return
    attribute = rng.choice(rng.choice(nodes).attribute)
    if attribute.type == AttributeProto.INTS and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(INTEGERS)
    elif attribute.type == AttributeProto.INT:
        attribute.i = rng.choice(INTEGERS)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = rng.choice(FLOATS)
    else:
        rng.choice(_nodes(proto)).attribute.append(copy.deepcopy(attribute))


def _function(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Move a node into a function, of the name of an operator at times, that may call itself."""
    if not proto.graph.node:
        return
    node = rng.choice(proto.graph.node)
    domain, name = rng.choice(("own", "own", "")), rng.choice(("f", "f", node.op_type))
    body = [copy.deepcopy(node)]
    made = helper.make_function(domain, name, node.input, node.output, body, list(proto.opset_import))
    proto.functions.append(made)
    node.op_type, node.domain = name, domain
    if rng.random() < 0.8:
        del node.attribute[:]
    if rng.random() < 0.8:
        proto.opset_import.append(helper.make_opsetid(domain, 1))


def _branch(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Move nodes into a branch of an If, in a few levels."""
    if not proto.graph.node:
        return
    at = rng.randrange(len(proto.graph.node))
    for _ in range(rng.choice((1, 1, 2, 3))):
        node = copy.deepcopy(proto.graph.node[at])
        outputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output]
        graph = helper.make_graph([node], "branch", [], outputs)
        chosen = rng.choice(("always", "always", *node.input[:1]))
        new = helper.make_node("If", [chosen], list(node.output), then_branch=graph, else_branch=graph)
        proto.graph.node[at].CopyFrom(new)
    proto.graph.initializer.append(helper.make_tensor("always", TensorProto.BOOL, [], [rng.random() < 0.5]))


def _versions(rng: random.Random, proto: onnx.ModelProto) -> None:
    """Let the model be of another operator set."""
    if proto.opset_import:
        rng.choice(proto.opset_import).version = rng.choice((*range(6, 29), rng.choice(INTEGERS)))


CHANGES: tuple[Change, ...] = (
    _field, _field, _field, _wiring, _wiring, _operator, _sizes, _integers_of, _integers_of, _attribute, _attribute,
    _function, _branch, _versions,
)  # fmt: skip
OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})
