"""Concat of what belongs together already: all parts of a Split, all operands of another Concat."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence

from tinyinfer.graph import Graph, GraphBuilder, Node, Semantics, Translate, Value, rebuild

MOST_LOOKS = 1_000_000
"""How many runs of operands are compared: about a second. What is left then stays as it is."""


def nest(graph: Graph, semantics: Semantics) -> Graph:
    """Exact: operands that make up an existing value along the axis are replaced by it.

    Every value is then a part of one value only, which memory can mirror without copies.
    """
    wholes = _Wholes()

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        if node.op == "Split":
            wholes.add(node.outputs, node.attrs["axis"], node.operands[0])
        if node.op != "Concat":
            return None
        operands = wholes.joined(node.operands, node.attrs["axis"])
        if len(node.operands) > 1:
            wholes.add(node.operands, node.attrs["axis"], node.output)
        if operands == node.operands:
            return None
        if len(operands) == 1:
            return (translate(operands[0]),)
        names = [v.name for v in node.outputs]
        return builder.add("Concat", *map(translate, operands), name=node.name, outputs=names, **node.attrs)

    return rebuild(graph, semantics, emit)


class _Wholes:
    """Values that are made of, or fall into, others along an axis."""

    def __init__(self) -> None:
        self._of: dict[tuple[Value, ...], tuple[int, Value]] = {}
        self._lengths: dict[int, list[int]] = defaultdict(list)  # of the parts along an axis, descending
        self._looks = 0

    def add(self, parts: tuple[Value, ...], axis: int, whole: Value) -> None:
        self._of[parts] = (axis, whole)
        lengths = self._lengths[axis]
        if len(parts) not in lengths:
            insort(lengths, len(parts), key=lambda n: -n)

    def joined(self, operands: tuple[Value, ...], axis: int) -> tuple[Value, ...]:
        """`operands` with runs that make up another value replaced by it, the longest first."""
        while (run := self._longest(operands, axis)) is not None:
            start, end, whole = run
            operands = (*operands[:start], whole, *operands[end:])
        return operands

    def _longest(self, operands: tuple[Value, ...], axis: int) -> tuple[int, int, Value] | None:
        for length in self._lengths[axis]:
            for start in range(len(operands) - length + 1):
                self._looks += length
                if self._looks > MOST_LOOKS:
                    return None
                along, whole = self._of.get(operands[start : start + length], (-1, None))
                if whole is not None and along == axis:
                    return start, start + length, whole
        return None
