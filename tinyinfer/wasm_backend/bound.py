"""The least memory that the activations of a graph need, whatever the plan: what the arena is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tinyinfer.graph import Graph, Node, Value
from tinyinfer.traits import Facts

MOST_PARTS = 1_000_000
"""How often parts of other values are looked at: about a second. The nodes of a graph that are left then are not."""


def live_bound(graph: Graph, facts: Facts) -> int:
    """The largest sum of bytes needed at one node: operands that are read later, all that this node reads and makes.

    Inputs count from the beginning and outputs to the end. Nothing counts twice that could be the same bytes: shapes
    and orders of one tensor, parts of a whole, results that may lie on an operand read for the last time.
    """
    alive = _Alive(graph, facts)
    most = 0 if graph.nodes else alive.inputs()
    for i, node in enumerate(graph.nodes):
        most = max(most, alive.at(i, node))
        if alive.looks > MOST_PARTS:
            break
    return most


class _Alive:
    def __init__(self, graph: Graph, facts: Facts) -> None:
        self._facts = facts
        self._last = {v: i for i, node in enumerate(graph.nodes) for v in node.operands}
        self._last.update(dict.fromkeys(graph.outputs.values(), len(graph.nodes)))
        self._tensors = {v: v for v in graph.inputs.values()}
        self._ends = {v: self._last.get(v, -1) for v in graph.inputs.values()}
        self._wholes: dict[Value, list[tuple[int, Value]]] = defaultdict(list)
        for i, node in enumerate(graph.nodes):
            self._add(i, node)
        self.looks = 0
        self._there: set[Value] = set()
        self._ending: dict[int, list[Value]] = defaultdict(list)
        self._bytes_alone = 0
        self._parts: dict[Value, None] = {}  # those that are parts of others, at any node so far
        for v in graph.inputs.values():
            self._begin(v, 0)

    def _add(self, i: int, node: Node) -> None:
        """Note which tensor every output is, when it is read last, and what is a part of what from this node on."""
        variable = [self._tensors[v] for v in node.operands if v in self._tensors]
        traits = self._facts.traits(node.op)
        viewed = variable[0] if traits.view and variable else None
        for y in node.outputs:
            whole = viewed is not None and y.type.nbytes == viewed.type.nbytes
            self._tensors[y] = viewed if viewed is not None and whole else y
            self._ends[self._tensors[y]] = max(self._ends.get(self._tensors[y], i), self._last.get(y, i))
            if viewed is not None and not whole:
                self._wholes[y].append((i, viewed))
            if traits.whole:
                for x in variable:
                    self._wholes[x].append((i, y))

    def inputs(self) -> int:
        return self._bytes_alone

    def at(self, i: int, node: Node) -> int:
        """Bytes needed at a node; called for each in order."""
        made = [y for y in node.outputs if self._tensors[y] is y]
        for y in made:
            self._begin(y, i)
        for v in (*made, *(self._tensors[v] for v in node.operands if v in self._tensors)):
            if v in self._there and v in self._wholes and self._wholes[v][0][0] <= i and v not in self._parts:
                self._parts[v] = None
                self._bytes_alone -= v.type.nbytes
        taken = any(self._ends[x] == i and x.type.nbytes >= y.type.nbytes for y in made[:1] for x in self._donors(node))
        needed = self._bytes_alone + self._bytes_of_parts(i) - (made[0].type.nbytes if taken else 0)
        for v in self._ending.pop(i, ()):
            self._end(v)
        return needed

    def _begin(self, v: Value, i: int) -> None:
        self._there.add(v)
        self._bytes_alone += v.type.nbytes
        self._ending[max(self._ends[v], i)].append(v)

    def _end(self, v: Value) -> None:
        self._there.discard(v)
        if v in self._parts:
            del self._parts[v]
        else:
            self._bytes_alone -= v.type.nbytes

    def _donors(self, node: Node) -> Iterable[Value]:
        may_lie_on, names = self._facts.traits(node.op).may_lie_on, self._facts.operands(node.op)
        return (self._tensors[v] for name, v in zip(names, node.inputs) if v in self._tensors and may_lie_on(name))

    def _bytes_of_parts(self, i: int) -> int:
        """Bytes of parts: none where the whole is there as well, else not more than the whole."""
        pieces: dict[Value, int] = defaultdict(int)
        for v in self._parts:
            wholes = self._around(v, i)
            self.looks += len(wholes)
            if self._there.isdisjoint(wholes):
                pieces[wholes[-1]] += v.type.nbytes
        return sum(min(n, whole.type.nbytes) for whole, n in pieces.items())

    def _around(self, v: Value, i: int) -> list[Value]:
        """The values that `v` is a part of at a node, and those that they are parts of."""
        found: dict[Value, None] = {}
        queue = [v]
        for inner in queue:
            around = [whole for since, whole in self._wholes.get(inner, ()) if since <= i and whole not in found]
            found.update(dict.fromkeys(around))
            queue.extend(around)
        return list(found)
