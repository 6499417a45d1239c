"""Concat of what belongs together already: all parts of a Split, all operands of another Concat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinyinfer.graph import Graph, GraphBuilder, Node, Semantics, Translate, Value, rebuild


def nest(graph: Graph, semantics: Semantics) -> Graph:
    """Exact: operands that make up an existing value along the axis are replaced by it.

    Every value is then a part of one value only, which memory can mirror without copies.
    """
    wholes: dict[tuple[Value, ...], tuple[int, Value]] = {}

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        if node.op == "Split":
            wholes[node.outputs] = (node.attrs["axis"], node.operands[0])
        if node.op != "Concat":
            return None
        operands = joined(node.operands, node.attrs["axis"], wholes)
        if len(node.operands) > 1:
            wholes[node.operands] = (node.attrs["axis"], node.output)
        if operands == node.operands:
            return None
        if len(operands) == 1:
            return (translate(operands[0]),)
        names = [v.name for v in node.outputs]
        return builder.add("Concat", *map(translate, operands), name=node.name, outputs=names, **node.attrs)

    return rebuild(graph, semantics, emit)


def joined(
    operands: tuple[Value, ...], axis: int, wholes: Mapping[tuple[Value, ...], tuple[int, Value]]
) -> tuple[Value, ...]:
    """`operands` with runs that make up another value replaced by it, the longest first."""
    for parts, (along, whole) in sorted(wholes.items(), key=lambda item: -len(item[0])):
        if along != axis:
            continue
        for start in range(len(operands) - len(parts) + 1):
            if operands[start : start + len(parts)] == parts:
                return joined((*operands[:start], whole, *operands[start + len(parts) :]), axis, wholes)
    return operands
