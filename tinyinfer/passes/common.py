"""Common subexpressions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tinyinfer.graph import Graph, GraphBuilder, Node, Semantics, Translate, Value, rebuild


def merge_equal(graph: Graph, semantics: Semantics) -> Graph:
    """Nodes with the same operator, operands and attributes become one. Constants are equal when their bytes are."""
    known: dict[Hashable, Sequence[Value]] = {}

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        operands = [None if v is None else translate(v) for v in node.inputs]
        key = (node.op, tuple(map(_identity, operands)), tuple(sorted(node.attrs.items())))
        if key not in known:
            names = [v.name for v in node.outputs]
            known[key] = builder.add(node.op, *operands, name=node.name, outputs=names, **node.attrs)
        return known[key]

    return rebuild(graph, semantics, emit)


def _identity(value: Value | None) -> Hashable:
    if value is None or value.data is None:
        return value
    return value.type, value.data.tobytes()
