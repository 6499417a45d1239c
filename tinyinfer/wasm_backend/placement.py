"""Concatenation and padding without copies: operands that are written straight into their part of the result.

Chosen before lowering: whoever produces an operand has to know the place. Where a place keeps more memory alive than
the copy would cost (the operand of a late Concat is made early), the copy stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from tinyinfer.graph import Graph, Node, Value
from tinyinfer.traits import Facts, Writes
from tinyinfer.wasm_backend.strides import Layout, blocks, collapse, equivalent, part, pitch, reshaped, same, strides_of

Locate = Callable[[tuple[int, ...]], "tuple[int, tuple[int, ...]] | None"]
"""Element offset and strides of a part, given the strides of the whole; None where strides cannot express it."""


@dataclass(frozen=True)
class Part:
    """The place of a value: elements of another value."""

    whole: Value
    locate: Locate


Parts = Mapping[Value, Part]

MOST_VISITS = 1_000_000
"""How many nodes are gone through to tell how much memory places need: two seconds or so. The rest is copied."""
MOST_LINKS = 64
"""How many views and element-wise operators before an operand are looked at, one behind the other."""


def choose(graph: Graph, layouts: Mapping[Value, Layout], facts: Facts) -> dict[Value, Part]:
    """The places of values that become parts of a Concat or Pad, all of one or else the larger ones, as long as no
    more memory is needed."""
    search = _Search(graph, layouts, facts)
    chosen: dict[Value, Part] = {}
    limit = search.peak(chosen)
    for candidates in search.candidates():
        every = {v: part for candidate in candidates for v, part in candidate.items()}
        by_size = sorted(candidates, key=lambda parts: -max(v.type.nbytes for v in parts))
        for candidate in (every, *by_size):
            if not chosen.keys().isdisjoint(candidate):
                continue
            if search.visits > MOST_VISITS:
                return chosen
            extended = chosen | candidate
            if search.peak(extended) <= limit:
                chosen = extended
    return chosen


class _Search:
    """What is asked of a graph again and again."""

    def __init__(self, graph: Graph, layouts: Mapping[Value, Layout], facts: Facts) -> None:
        self._graph = graph
        self._layouts = layouts
        self._traits = facts.traits
        self._producers = graph.producers()
        self._uses = graph.uses()
        self._index = {node: i for i, node in enumerate(graph.nodes)}
        self._last = {v: i for i, node in enumerate(graph.nodes) for v in node.operands}
        self._last.update(dict.fromkeys(graph.outputs.values(), len(graph.nodes)))
        self._visible = set(graph.outputs.values())
        self.visits = 0

    def candidates(self) -> Iterator[list[dict[Value, Part]]]:
        """For each whole, largest first, and each of its operands the values that get a place together, if any."""
        for node in sorted(self._graph.nodes, key=lambda n: -n.outputs[0].type.nbytes):
            if self._traits(node.op).whole:
                yield [parts for parts in self._operands(node) if parts]

    def _operands(self, node: Node) -> Iterator[dict[Value, Part]]:
        if node.op == "Pad":
            inside: dict[Value, Part] = {}
            self._put(node.operands[0], Part(node.output, _interior(node.attrs["pads"])), inside)
            yield inside
            return
        start, axis, counts = 0, node.attrs["axis"], Counter(node.operands)
        for v in node.operands:
            parts: dict[Value, Part] = {}
            if counts[v] == 1:
                self._put(v, Part(node.output, _slice(axis, start)), parts)
            yield parts
            start += v.shape[axis]

    def _put(self, v: Value, place: Part, parts: dict[Value, Part]) -> None:
        """Add `v` at `place`, or what it is a view of, and before that the operand it may be computed on."""
        for _ in range(MOST_LINKS):
            before = self._producers.get(v)
            if before is None or v.type.size == 0 or not self._is_writable(before, v, place):
                return
            if self._traits(before.op).view:
                (x,) = before.operands
                back = _before(before)
                if back is None or self._uses[x] != 1:
                    return
                v, place = x, Part(place.whole, _composed(place.locate, back))
                continue
            parts[v] = place
            below = self._computed_on(before, v)
            if below is None:
                return
            v, place = below, Part(v, _same)

    def _computed_on(self, node: Node, v: Value) -> Value | None:
        """The operand that the element-wise result `v` may lie on, if its producer can write it there."""
        if not self._traits(node.op).elementwise:
            return None
        for x in node.operands:
            if x.type == v.type and self._uses[x] == 1 and self._follows(x, v):
                before = self._producers.get(x)
                if before is not None and not self._traits(before.op).view:
                    return x
        return None

    def _is_writable(self, node: Node, v: Value, place: Part) -> bool:
        """Whether the kernels of `node` write `v` there.

        An output of the graph is read row-major in the end: it is copied once, here or there.
        """
        root = place.whole
        if root not in self._layouts or v not in self._layouts or v in self._visible:
            return False
        found = place.locate(strides_of(root.shape, self._layouts[root]))
        if found is None:
            return False
        layout, strides = self._layouts[v], found[1]
        dense = strides_of(v.shape, layout)
        match self._traits(node.op).writes:
            case Writes.ANY:
                return True
            case Writes.COLUMNS:
                has_residual = len(node.inputs) > 3
                return not has_residual and (v.shape[-1] == 1 or strides[-1] == 1)
            case Writes.BLOCKS:
                changed = [axis for axis, n in enumerate(node.operands[0].shape) if n != v.shape[axis]]
                return blocks(v.shape, layout, strides, changed[-1] if changed else layout[-1]) is not None
            case Writes.ROWS:
                return pitch(v.shape, layout, strides) is not None
            case Writes.NEST:
                order = [v.shape[axis] for axis in layout]
                loops = collapse(order, [strides[axis] for axis in layout], [dense[axis] for axis in layout])
                return len(loops.shape) <= 2 and all(inner[-1:] in ((), (1,)) for inner in loops.strides)
            case Writes.DENSE:
                return same(v.shape, strides, dense)

    def _follows(self, x: Value, v: Value) -> bool:
        return x in self._layouts and equivalent(v.shape, self._layouts[x], self._layouts[v])

    def peak(self, parts: Parts) -> int:
        """Bytes alive at once, about: memory is held from the first writer of a group of values to its last reader."""
        self.visits += len(self._graph.nodes)
        tops = _Tops(parts)
        spans: dict[Value, list[int]] = {v: [-1, self._last.get(v, -1)] for v in self._graph.inputs.values()}
        roots: dict[Value, Value] = {v: v for v in spans}
        for i, node in enumerate(self._graph.nodes):
            for v in node.outputs:
                root = self._root(v, node, tops, roots)
                roots[v] = root
                span = spans.setdefault(root, [i, i])
                span[1] = max(span[1], self._last.get(v, i))
        changes = [0] * (len(self._graph.nodes) + 3)
        for root, (first, last) in spans.items():
            changes[first + 1] += root.type.nbytes
            changes[last + 2] -= root.type.nbytes
        return max(accumulate(changes))

    def _root(self, v: Value, node: Node, tops: _Tops, roots: Mapping[Value, Value]) -> Value:
        """The value in whose memory `v` lies."""
        if v in tops.parts:
            return tops.of(v)
        operands = [x for x in node.operands if x in roots]
        if self._traits(node.op).view and operands:
            return roots[operands[0]]
        if self._traits(node.op).elementwise and v not in tops.wholes:
            for x in operands:
                if roots[x] is x and x.type == v.type and self._last[x] == self._index[node] and x not in tops.parts:
                    return x
        return v


class _Tops:
    """The outermost wholes of parts."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.wholes = {part.whole for part in parts.values()}
        self._known: dict[Value, Value] = {}

    def of(self, v: Value) -> Value:
        way = []
        while v in self.parts and v not in self._known:
            way.append(v)
            v = self.parts[v].whole
        top = self._known.get(v, v)
        self._known.update(dict.fromkeys(way, top))
        return top


def _same(strides: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return 0, strides


def _slice(axis: int, start: int) -> Locate:
    return lambda strides: part(strides, axis, start)


def _interior(pads: tuple[int, ...]) -> Locate:
    begins = pads[: len(pads) // 2]
    return lambda strides: (sum(n * s for n, s in zip(begins, strides)), strides)


def _composed(outer: Locate, inner: Locate) -> Locate:
    """A part of a part."""

    def locate(strides: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        middle = outer(strides)
        found = None if middle is None else inner(middle[1])
        return None if middle is None or found is None else (middle[0] + found[0], found[1])

    return locate


def _before(node: Node) -> Locate | None:
    """How the operand of a Reshape or Transpose lies, given the strides of its output."""
    (x,), y = node.operands, node.outputs[0]
    if node.op == "Transpose":
        perm: tuple[int, ...] = node.attrs["perm"]
        return lambda strides: (0, tuple(strides[perm.index(axis)] for axis in range(len(perm))))
    if node.op == "Reshape":

        def locate(strides: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
            found = reshaped(y.shape, strides, x.shape)
            return None if found is None else (0, found)

        return locate
    return None
