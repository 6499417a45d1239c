"""Common subexpressions."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence

from tinyinfer.graph import Graph, GraphBuilder, Node, Semantics, Translate, Value, rebuild


def merge_equal(graph: Graph, semantics: Semantics) -> Graph:
    """Nodes with the same operator, operands and attributes become one. Constants are equal when their bytes are."""
    known: dict[Hashable, Sequence[Value]] = {}
    digests: dict[Value, bytes] = {}

    def identity(value: Value | None) -> Hashable:
        if value is None or value.data is None:
            return value
        if value not in digests:
            digests[value] = hashlib.sha256(value.data.tobytes()).digest()
        return value.type, digests[value]

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        operands = (identity(None if v is None else translate(v)) for v in node.inputs)
        key = (node.op, tuple(operands), tuple(sorted(node.attrs.items())))
        if key not in known:
            known[key] = builder.keep(node, translate)
        return known[key]

    return rebuild(graph, semantics, emit)
