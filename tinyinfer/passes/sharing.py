"""Weights that occur twice in a model, once as a matrix and once transposed, are stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence

from tinyinfer.graph import Graph, GraphBuilder, Node, Semantics, Translate, Value, rebuild
from tinyinfer.types import Array


def share_embeddings(graph: Graph, semantics: Semantics) -> Graph:
    """Gather{axis=0}(Bᵀ, i) → Transpose(Gather{axis=1}(B, i)) where B is also the right operand of a MatMul.

    Exact. The output matrix of a language model is often its embedding, transposed. The lowering of Gather reads
    columns of a constant from the panels that the product reads.
    """
    shapes = {node.operands[0].shape for node in graph.nodes if node.op == "Gather" and node.attrs["axis"] == 0}
    transposed: dict[Hashable, Value] = {}
    for node in graph.nodes:
        b = node.inputs[1] if node.op == "MatMul" else None
        if b is not None and b.data is not None and b.type.rank == 2 and b.shape[::-1] in shapes:
            transposed.setdefault(_content(b.data.T), b)

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        if node.op != "Gather" or node.attrs["axis"] != 0:
            return None
        table, indices = node.operands
        matrix = transposed.get(_content(table.data)) if table.data is not None and transposed else None
        if matrix is None or indices.is_constant:
            return None
        columns = builder.add1("Gather", matrix, translate(indices), name=node.name, axis=1)
        perm = (*range(1, columns.type.rank), 0)
        return (builder.add1("Transpose", columns, name=node.name, output=node.output.name, perm=perm),)

    return rebuild(graph, semantics, emit)


def _content(data: Array) -> Hashable:
    return data.dtype, data.shape, hashlib.sha256(data.tobytes()).digest()
