"""Weights that occur twice in a model, once as a matrix and once transposed, are stored once."""

from __future__ import annotations

from collections.abc import Sequence

from tinyinfer.graph import Graph, GraphBuilder, Node, Semantics, Translate, Value, rebuild


def share_embeddings(graph: Graph, semantics: Semantics) -> Graph:
    """Gather{axis=0}(Bᵀ, i) → Transpose(Gather{axis=1}(B, i)) where B is also the right operand of a MatMul.

    Exact. The output matrix of a language model is often its embedding, transposed. The lowering of Gather reads
    columns of a constant from the panels that the product reads.
    """
    factors = [node.inputs[1] for node in graph.nodes if node.op == "MatMul"]

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        if node.op != "Gather" or node.attrs["axis"] != 0:
            return None
        table, indices = node.operands
        matrix = next((b for b in factors if b is not None and _is_transpose(b, table)), None)
        if matrix is None or indices.is_constant:
            return None
        columns = builder.add1("Gather", matrix, translate(indices), name=node.name, axis=1)
        perm = (*range(1, columns.type.rank), 0)
        return (builder.add1("Transpose", columns, name=node.name, output=node.output.name, perm=perm),)

    return rebuild(graph, semantics, emit)


def _is_transpose(a: Value, b: Value) -> bool:
    if a.data is None or b.data is None or a.dtype is not b.dtype:
        return False
    return a.type.rank == 2 and a.shape == b.shape[::-1] and a.data.tobytes() == b.data.T.tobytes()
