"""What `tinyinfer inspect` shows of a model that cannot be compiled: everything that its file says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from onnx import AttributeProto, GraphProto, NodeProto, ValueInfoProto

from tinyinfer.cli import console
from tinyinfer.frontend import binding, reading, tensors
from tinyinfer.frontend.converters import CONVERTERS
from tinyinfer.frontend.nodes import operator_of


def show_refused(path: Path) -> None:
    """Print inputs, outputs, operators and parameters of an ONNX file. ModelError where it does not decode."""
    source = reading.parse(path)
    proto = source.proto
    if not proto.HasField("graph"):
        return
    domains = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in proto.opset_import) or "none"
    producer = f", made by {proto.producer_name} {proto.producer_version}".rstrip() if proto.producer_name else ""
    console.say(f"{path}: {proto.graph.name}, {console.size(path.stat().st_size)}, opset {domains}{producer}")
    graph = proto.graph
    rows: list[list[console.Cell]] = [
        [kind, info.name, *_declared(info)]
        for kind, infos in (("input", _inputs(graph)), ("output", graph.output))
        for info in infos
    ]
    console.show_table("Inputs and outputs", ["", "name", "type", "shape"], rows)
    for info in _open(graph):
        console.say(binding.open_dimensions(info))
    functions = (node for function in proto.functions for node in function.node)
    counts = Counter(map(operator_of, _nodes([*graph.node, *functions])))
    own = {f"{function.domain}::{function.name}" for function in proto.functions}
    rows = [[op, n, _status(op, own)] for op, n in counts.most_common()]
    console.show_table("Operators", ["operator", ">nodes", ""], [*rows, ["total", sum(counts.values()), ""]])
    _show_parameters(source)


def open_inputs(path: Path) -> list[ValueInfoProto]:
    """The inputs of an ONNX file that have open dimensions."""
    return _open(reading.parse(path).proto.graph)


def _open(graph: GraphProto) -> list[ValueInfoProto]:
    return [i for i in _inputs(graph) if i.type.HasField("tensor_type") and binding.open_dimensions(i)]


def _inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """The inputs that have to be fed."""
    initializers = {tensor.name for tensor in graph.initializer}
    return [info for info in graph.input if info.name not in initializers]


def _status(op: str, own: set[str]) -> str:
    return "a function of the model" if op in own else "" if op in CONVERTERS else "not supported"


def _declared(info: ValueInfoProto) -> tuple[str, str]:
    """Element type and shape as declared; ? for an open dimension without a name."""
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return (kind or "none").removesuffix("_type"), ""
    tensor = info.type.tensor_type
    dims = [str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim]
    shape = "×".join(dims) or "scalar" if tensor.HasField("shape") else "not declared"
    return tensors.type_name(tensor.elem_type), shape


def _nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """All nodes, those of subgraphs too."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _nodes(attribute.g.node)


def _show_parameters(source: reading.Source) -> None:
    """Print how many parameters there are of each element type, and their bytes where the type has a size."""
    counts: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for tensor in source.proto.graph.initializer:
        counts[tensor.data_type] += math.prod(tensor.dims)
        sizes[tensor.data_type] += math.prod(tensor.dims) * tensors.item_size(tensor.data_type)
    rows: list[list[console.Cell]] = [
        [tensors.type_name(code), n, console.size(sizes[code]) if sizes[code] else ""]
        for code, n in counts.most_common()
    ]
    if rows:
        console.show_table("Parameters", ["type", ">elements", ">size"], rows)
