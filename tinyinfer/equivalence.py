"""Whether a rewritten graph computes what the graph before it did: value by value, by the reference, on given inputs.

The rewritten graph runs as it is. Beside it the graph before runs node by node; wherever the rewrites say that a value
of the one is a value of the other, the two are compared, and the graph before goes on with the value of the rewritten
one. So each rewrite is judged by itself, on the same operands, and what one of them loses is never counted to another.
Nodes that are the same in both graphs, operands included, need not run twice.

Promises of the rewrites that led to a value, and to what it is computed from that is not compared itself, add up: none
at all means the same bits; floats may differ by the sum of the tolerances times the largest number that took part
(results, values between, and for products max|x|·max Σ|w|), and two sums of n products, each in its order, by n
roundings each; bytes by the sum of the quanta, and by one more where floats before them may differ.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from tinyinfer import passes, registry
from tinyinfer.bits import same_bits, show
from tinyinfer.graph import Change, Graph, Node, Promise, Value
from tinyinfer.ref import interpreter
from tinyinfer.rewrite import prune
from tinyinfer.types import Array


@dataclass(frozen=True)
class Deviation:
    """A value at which the rewritten graph differs from the graph before by more than its rewrites promise."""

    node: str
    """The node of the graph before, by its name and operator."""
    op: str
    output: str
    index: tuple[int, ...]
    actual: object
    expected: object
    allowed: float
    """0: the bits should be the same."""
    rewrites: tuple[str, ...]
    """Those that took part, in order."""

    def __str__(self) -> str:
        place = "".join(f"[{i}]" for i in self.index)
        within = f" within {self.allowed:.3g}" if self.allowed else ""
        return f"{self.output}{place} is {show(self.actual)}, expected {show(self.expected)}{within}"


class Comparison:
    """`before` runs beside `after`, whose nodes are given to `take` in order with what they computed."""

    def __init__(self, before: Graph, after: Graph, feeds: Mapping[str, Array]) -> None:
        self._before = prune(before)
        changes = after.changes[len(before.changes) :]
        self._became = _ends(changes)
        self._became.update(zip(before.outputs.values(), after.outputs.values(), strict=True))
        self._promises = _Promises(changes)
        self._after = after.producers()
        self._last = {v: i for i, node in enumerate(self._before.nodes) for v in node.operands}
        self._next = 0
        self._inputs = {v: np.asarray(feeds[name]) for name, v in before.inputs.items()}
        counterparts = {v: self._counterpart(v) for node in self._before.nodes for v in node.outputs}
        self._pending = Counter(u for u in counterparts.values() if u in self._after)
        self._between = {v for v, u in counterparts.items() if u is None} | self._after.keys() - self._pending.keys()
        self._reaching = self._promises.reaching(after, self._between)
        self._computed: dict[Value, Array] = {}
        self._known = dict(self._inputs)
        self._sizes = {v: _largest(a) for v, a in self._known.items()}
        self._terms: dict[Value, int] = {}
        self.compared = 0
        """How many values that rewrites changed were compared."""
        self.deviations: list[Deviation] = []

    def take(self, node: Node, arrays: Sequence[Array]) -> None:
        """What a node of `after` computed."""
        self._measure(node, arrays)
        self._computed.update((v, a) for v, a in zip(node.outputs, arrays, strict=True) if v in self._pending)
        self.advance()

    def run(self, after: Graph, feeds: Mapping[str, Array]) -> None:
        """Run `after` too."""
        for node, arrays in interpreter.trace(after, feeds, registry.reference_of):
            self.take(node, arrays)
        self.advance()

    def advance(self) -> None:
        """Run `before` as far as `after` is; to its end, once `after` is at its own."""
        while self._next < len(self._before.nodes):
            node = self._before.nodes[self._next]
            counterparts = [self._counterpart(v) for v in node.outputs]
            if any(u in self._after and u not in self._computed for u in counterparts):
                return
            self._run(node, counterparts)
            for value in node.operands:
                if self._last[value] == self._next:
                    self._known.pop(value, None)
            self._next += 1

    def _run(self, node: Node, counterparts: Sequence[Value | None]) -> None:
        arrays: Sequence[Array | None] = [None] * len(node.outputs)
        if not self._is_kept(node, counterparts):
            operands = [None if v is None else v.data if v.data is not None else self._known[v] for v in node.inputs]
            computed = interpreter.apply(registry.reference_of(node.op), operands, node.attrs)
            arrays = computed
            self._measure(node, computed)
        for value, counterpart, array in zip(node.outputs, counterparts, arrays, strict=True):
            actual = None if counterpart is None else self._actual(counterpart)
            if array is not None and actual is not None:
                self._judge(node, value, counterpart, actual, array)
            found = array if actual is None else actual
            if value in self._last and found is not None:
                self._known[value] = found

    def _actual(self, value: Value) -> Array | None:
        """What `after` has, which is let go when nothing of `before` is to be compared with it any more."""
        if value.data is not None:
            return value.data
        if value in self._inputs:
            return self._inputs[value]
        array = self._computed[value]
        self._pending[value] -= 1
        if not self._pending[value]:
            del self._computed[value]
        return array

    def _is_kept(self, node: Node, counterparts: Sequence[Value | None]) -> bool:
        """Whether `after` has this node, with the same operands or what became of them."""
        made = None if counterparts[0] is None else self._after.get(counterparts[0])
        if made is None or made.outputs != tuple(counterparts):
            return False
        operands = tuple(None if v is None else self._became.get(v, v) for v in node.inputs)
        return made is node or (made.op, made.attrs, made.inputs) == (node.op, node.attrs, operands)

    def _counterpart(self, value: Value) -> Value | None:
        """The value of `after` that stands for one of `before`; None where no one does."""
        found = self._became.get(value, value)
        return found if found in self._after or found.is_constant or found in self._inputs else None

    def _measure(self, node: Node, arrays: Sequence[Array]) -> None:
        """Note the largest number that took part in a node's results, back to values that both graphs have."""
        inner = max((self._sizes.get(v, 0.0) for v in node.operands if v in self._between), default=0.0)
        bound = max(inner, self._bound(node))
        terms = max((self._terms.get(v, 0) for v in node.operands if v in self._between), default=0)
        terms = max(terms, _terms(node))
        for value, array in zip(node.outputs, arrays, strict=True):
            self._terms[value] = max(terms, self._terms.get(value, 0))
            self._sizes[value] = max(_largest(array), bound, self._sizes.get(value, 0.0))

    def _bound(self, node: Node) -> float:
        """How large partial sums of a product can be."""
        filters = registry.SEMANTICS.traits(node.op).filter_axis
        weights = None if filters is None else node.operands[1].data
        if weights is None or weights.dtype != np.float32:
            return 0.0
        axes = tuple(axis for axis in range(weights.ndim) if axis != filters) if filters != -1 else (-2,)
        with np.errstate(all="ignore"):
            sums = float(np.abs(weights).sum(axis=axes).max(initial=0.0))
        bound = sums * self._sizes.get(node.operands[0], 0.0)
        return bound if np.isfinite(bound) else 0.0

    def _judge(self, node: Node, value: Value, counterpart: Value | None, actual: Array, expected: Array) -> None:
        reaching = frozenset() if counterpart is None else self._reaching.get(counterpart, frozenset())
        promises = self._promises.of(value, reaching)
        size = max(self._sizes.get(v, 0.0) for v in (value, counterpart) if v is not None)
        terms = max(self._terms.get(v, 0) for v in (value, counterpart) if v is not None)
        wrong, allowed = differing(actual, expected, promises, size, terms)
        self.compared += 1
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            titles = self._promises.titles(value)
            found = (actual[index], expected[index], allowed, titles)
            self.deviations.append(Deviation(node.name, node.op, value.name, index, *found))


def differing(
    actual: Array, expected: Array, promises: Sequence[Promise], size: float, terms: int = 0
) -> tuple[Array, float]:
    """Which elements differ by more than the promises allow, and how much that is; `size`, `terms` as the module says.

    Where numbers that are not finite take part, a rewrite that rounds may change which results are finite.
    """
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return np.ones(expected.shape, np.bool_), 0.0
    tolerance = sum(p.tolerance for p in promises)
    quanta = sum(p.quanta for p in promises)
    equal = same_bits(actual, expected)
    if not tolerance and not quanta:
        return ~equal, 0.0
    if expected.dtype.kind != "f":
        allowed: float = quanta + (1 if tolerance else 0)
        return np.abs(actual.astype(np.int64) - expected.astype(np.int64)) > allowed, allowed
    allowed = (tolerance + quanta / 128 + 2 * terms * ROUNDING) * size
    with np.errstate(invalid="ignore"):
        distance = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    finite = np.isfinite(actual) & np.isfinite(expected)
    return np.asarray(~equal & finite & (distance > allowed + SMALLEST)), allowed


SMALLEST = 2.0**-126
"""Below this float32 has fewer than 24 bits."""
ROUNDING = 2.0**-24
"""What one operation on float32 may lose of its result."""


def _terms(node: Node) -> int:
    """How many products each result of the node sums."""
    axis = registry.SEMANTICS.traits(node.op).filter_axis
    if axis is None:
        return 0
    shape = node.operands[1].shape
    return math.prod(shape) // max(shape[axis], 1) if axis != -1 else shape[-2]


class _Promises:
    """The rewrites that led to each value, and what those that round promise, each application once."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes
        self._of: dict[Value, frozenset[int]] = {}
        made = {value for change in changes for value in change.made}
        for i, change in enumerate(changes):
            found = frozenset[int]().union(*(self._of.get(v, ()) for v in change.matched))
            if change.promise is not None and not change.promise.exact:
                found |= {i}
            for value in (change.old, *change.made):
                self._add(value, found)
        for change in reversed(changes):
            if change.new in made:
                self._add(change.old, self._of.get(change.new, frozenset()))

    def _add(self, value: Value, found: frozenset[int]) -> None:
        if found:
            self._of[value] = self._of.get(value, frozenset()) | found

    def reaching(self, after: Graph, between: Set[Value]) -> dict[Value, frozenset[int]]:
        """Those of each value of `after`, and of what it is computed from `between` the values that are compared."""
        found: dict[Value, frozenset[int]] = {}
        for node in after.nodes:
            operands = (found[v] for v in node.operands if v in between and v in found)
            upstream = frozenset[int]().union(*operands)
            found.update((v, upstream | self._of.get(v, frozenset())) for v in node.outputs)
        return found

    def of(self, value: Value, reaching: frozenset[int]) -> list[Promise]:
        promises = (self._changes[i].promise for i in sorted(self._of.get(value, frozenset()) | reaching))
        return [p for p in promises if p is not None]

    def titles(self, value: Value) -> tuple[str, ...]:
        """All rewrites that replaced the value or what took its place."""
        found = []
        for change in self._changes:
            if change.old is value:
                value = change.new
                found += [change.promise.title] if change.promise else []
        return tuple(dict.fromkeys(found))


def _ends(changes: Sequence[Change]) -> dict[Value, Value]:
    """What each value that was replaced has become in the end."""
    became: dict[Value, Value] = {}
    for change in reversed(changes):
        became[change.old] = became.get(change.new, change.new)
    return became


def _largest(array: Array) -> float:
    """The largest magnitude of the finite numbers."""
    if array.dtype.kind != "f" or not array.size:
        return 0.0
    found = float(np.abs(array).max())
    return found if np.isfinite(found) else float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def first_break(graph: Graph, feeds: Mapping[str, Array]) -> tuple[str, Deviation] | None:
    """The first pass of the pipeline, and within it the first rewrite, that does not keep its promise."""
    for step in passes.PIPELINE:
        for after in step.steps(graph):
            deviations = compare(graph, after, feeds).deviations if after is not graph else []
            if deviations:
                return step.name, deviations[0]
            graph = after
    return None


def compare(before: Graph, after: Graph, feeds: Mapping[str, Array]) -> Comparison:
    """Run both graphs by the reference and compare them."""
    comparison = Comparison(before, after, feeds)
    comparison.run(after, feeds)
    return comparison
