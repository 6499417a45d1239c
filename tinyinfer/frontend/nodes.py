"""What the NodeProtos of a graph say about themselves: operator, name, the tensors they read."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, NodeProto

from tinyinfer.frontend import reading


def domain_of(node: NodeProto) -> str:
    """The operator set of a node; "" for ONNX's own."""
    return "" if node.domain in reading.DEFAULT_DOMAINS else node.domain


def operator_of(node: NodeProto) -> str:
    """An operator as messages and the table of converters name it."""
    domain = domain_of(node)
    return f"{domain}::{node.op_type}" if domain else node.op_type


def name_of(node: NodeProto, index: int) -> str:
    """The name of a node, or one made of its operator and its place."""
    return node.name or f"{node.op_type}_{index}"


def branch_outputs(node: NodeProto) -> Iterator[str]:
    """The outputs of a node's subgraphs."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield from (info.name for info in attribute.g.output)


def names_read(graph: GraphProto) -> Iterator[str]:
    """Names of all tensors that nodes (of subgraphs too) or outputs read."""
    yield from (info.name for info in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from names_read(attribute.g)
