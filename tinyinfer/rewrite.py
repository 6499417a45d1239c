"""Rewrites as data: a pattern, a replacement, an example, and whether the bits stay.

A pattern is a tree of operators; its root is the node whose outputs are replaced, and every inner node must be read by
the pattern alone, so that nothing is computed twice. Rules are applied to each node in topological order, in sweeps,
until nothing changes. Every rule carries an example graph on which a test runs the reference before and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from tinyinfer.graph import Graph, GraphBuilder, Node, Notes, Promise, Semantics, Translate, Value, rebuild
from tinyinfer.types import Array


@dataclass(frozen=True)
class P:
    """Matches a node whose operator is one of `ops` (`"Conv|MatMul"`) and whose first operands match `operands`.

    An operand pattern is another P (its node must have no other reader), or a name that captures any value; a name
    ending in `!` captures a constant only. `name` captures the node itself. A node that the pattern names at several
    places says by `reads` how often it is read; a `shared` one may have any readers and stays for them.
    """

    ops: str
    operands: tuple[P | str, ...] = ()
    name: str = ""
    reads: int = 1
    shared: bool = False

    def matches(self, node: Node, scope: Scope, found: Match | None = None) -> Iterator[Match]:
        """The captures of every match with `node` as root."""
        if node.op not in _alternatives(self.ops) or len(node.inputs) < len(self.operands):
            return
        mine = (found or Match()).with_node(self.name, node, self.shared)
        yield from self._operands(node.inputs, scope, mine)
        if len(self.operands) == 2 and scope.semantics.traits(node.op).commutative:
            yield from self._operands(tuple(reversed(node.inputs)), scope, mine)

    def _operands(self, inputs: Sequence[Value | None], scope: Scope, found: Match) -> Iterator[Match]:
        partial = [found]
        for pattern, value in zip(self.operands, inputs):
            partial = [m for p in partial for m in _operand(pattern, value, scope, p)]
        yield from partial


def operators(patterns: Iterable[P | str]) -> frozenset[str]:
    """The operators that the roots of patterns name."""
    return frozenset(op for pattern in patterns if isinstance(pattern, P) for op in pattern.ops.split("|"))


def _operand(pattern: P | str, value: Value | None, scope: Scope, found: Match) -> Iterator[Match]:
    if value is None:
        return
    if isinstance(pattern, str):
        if value.is_constant or not pattern.endswith("!"):
            yield found.with_value(pattern.rstrip("!"), value)
    elif value in scope.producers and (pattern.shared or scope.uses[value] == pattern.reads):
        yield from pattern.matches(scope.producers[value], scope, found)


@dataclass(frozen=True)
class Scope:
    """What matching needs to know about the graph."""

    producers: Mapping[Value, Node]
    uses: Mapping[Value, int]
    semantics: Semantics


@dataclass(frozen=True)
class Match:
    """Captured nodes and values of the graph before the rewrite."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    made: tuple[Value, ...] = ()
    """What the matched nodes make that nothing else reads."""

    def with_node(self, name: str, node: Node, shared: bool = False) -> Match:
        nodes = {**self.nodes, name: node} if name else self.nodes
        return Match(nodes, self.values, self.made if shared else (*self.made, *node.outputs))

    def with_value(self, name: str, value: Value) -> Match:
        return Match(self.nodes, {**self.values, name: value}, self.made)

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    def node(self, name: str) -> Node:
        return self.nodes[name]


class Target:
    """Where a rule builds its replacement: a builder that takes values of the old graph."""

    def __init__(self, builder: GraphBuilder, translate: Translate, root: Node) -> None:
        self._builder = builder
        self._translate = translate
        self._root = root

    def value(self, value: Value) -> Value:
        """A value of the old graph that the replacement is."""
        return self._translate(value)

    def constant(self, data: Array, name: str) -> Value:
        return self._builder.constant(data, name)

    def add(self, op: str, *inputs: Value | None, like: Node, **attrs: object) -> Value:
        """A node named like the (main) node it comes from, its output like the root's."""
        operands = [None if v is None else self._translate(v) for v in inputs]
        return self._builder.add1(op, *operands, name=like.name, output=self._root.outputs[0].name, **attrs)

    def replace(self, node: Node, inputs: Iterable[Value | None] = (), **attrs: object) -> Value:
        """`node` with other operands (default: its own) and some attributes changed."""
        operands = tuple(inputs) or node.inputs
        return self.add(node.op, *operands, like=node, **{**node.attrs, **attrs})


Apply = Callable[[Match, Target], "Value | None"]
Example = Callable[[GraphBuilder], Value]


@dataclass(frozen=True)
class Rule:
    """One rewrite, and how near its results stay: the bits, unless it has a `tolerance` or `quanta` (`Promise`)."""

    title: str
    pattern: P
    apply: Apply
    example: Example
    tolerance: float = 0.0
    quanta: int = 0

    @property
    def promise(self) -> Promise:
        return Promise(self.title, self.tolerance, self.quanta)


def rule(title: str, pattern: P, example: Example, tolerance: float = 0.0, quanta: int = 0) -> Callable[[Apply], Rule]:
    """Make a Rule of the function that builds the replacement; it returns None to decline a match."""

    def wrap(function: Apply) -> Rule:
        return Rule(title, pattern, function, example, tolerance, quanta)

    return wrap


MAX_SWEEPS = 100
"""How often a graph is gone through. What a rule moves by one node each time stays where it then is."""


def apply_rules(graph: Graph, rules: Sequence[Rule], semantics: Semantics) -> Graph:
    """`graph` with `rules` applied until none matches, at most `MAX_SWEEPS` times to each node."""
    for after in sweeps(graph, rules, semantics):
        graph = after
    return graph


def sweeps(graph: Graph, rules: Sequence[Rule], semantics: Semantics) -> Iterator[Graph]:
    """The graph each time that `apply_rules` has gone through it."""
    by_root: dict[str, list[Rule]] = defaultdict(list)
    for candidate in rules:
        for op in _alternatives(candidate.pattern.ops):
            by_root[op].append(candidate)
    for _ in range(MAX_SWEEPS):
        if not any(node.op in by_root for node in graph.nodes):
            yield prune(graph)
            return
        scope, notes = Scope(graph.producers(), graph.uses(), semantics), Notes()

        def emit(
            builder: GraphBuilder, node: Node, translate: Translate, scope: Scope = scope, notes: Notes = notes
        ) -> Sequence[Value] | None:
            for candidate in by_root.get(node.op, ()):
                for match in candidate.pattern.matches(node, scope):
                    value = candidate.apply(match, Target(builder, translate, node))
                    if value is not None:
                        notes[node.output] = candidate.promise, match.made
                        return (value,)
            return None

        graph = prune(rebuild(graph, semantics, emit, notes))
        yield graph
        if not notes:
            return


@cache
def _alternatives(ops: str) -> frozenset[str]:
    """The operators of a pattern's root."""
    return frozenset(ops.split("|"))


def prune(graph: Graph) -> Graph:
    """`graph` without nodes that no output depends on; itself if there are none."""
    wanted = set(graph.outputs.values())
    kept = []
    for node in reversed(graph.nodes):
        if any(v in wanted for v in node.outputs):
            wanted.update(node.operands)
            kept.append(node)
    if len(kept) == len(graph.nodes):
        return graph
    return Graph(graph.name, graph.inputs, graph.outputs, tuple(reversed(kept)), graph.metadata, graph.changes)
