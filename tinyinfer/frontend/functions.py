"""What the calls of a model's own functions stand for, and how deep its subgraphs are, before anything recurses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnx import AttributeProto, ModelProto, NodeProto

from tinyinfer import limits
from tinyinfer.errors import ModelError

Key = tuple[str, str, str]


@dataclass(frozen=True)
class _Size:
    """Nodes, bytes, and levels of calls."""

    nodes: int = 0
    nbytes: int = 0
    levels: int = 0


def check(model: ModelProto, label: str) -> None:
    """LimitError if calls stand for too many nodes or bytes or are nested too deeply, ModelError for a recursion."""
    bodies = {(f.domain, f.name, f.overload): list(_nodes(f.node)) for f in model.functions}
    sizes: dict[Key, _Size] = {}
    for key in bodies:
        _measure(key, bodies, sizes, label)
    total = _sum(_nodes(model.graph.node), sizes)
    limits.NESTING.check(total.levels, label)
    limits.FUNCTION_NODES.check(total.nodes, label)
    limits.FUNCTION_BYTES.check(total.nbytes, label)


def check_nesting(model: ModelProto, label: str) -> None:
    """LimitError if subgraphs are nested too deeply for what walks them by recursion."""
    bodies = [model.graph.node, *(f.node for f in model.functions)]
    levels = 0
    while bodies:
        limits.NESTING.check(levels, label)
        attributes = [a for nodes in bodies for node in nodes for a in node.attribute]
        bodies = [graph.node for a in attributes for graph in (*((a.g,) if a.HasField("g") else ()), *a.graphs)]
        levels += 1


def _measure(key: Key, bodies: dict[Key, list[NodeProto]], sizes: dict[Key, _Size], label: str) -> None:
    """Fill `sizes` in for a function and all that it calls, without recursion."""
    if key in sizes:
        return
    calls = {key: iter(bodies[key])}  # of the functions being measured, each called by the one before it
    while calls:
        at = next(reversed(calls))
        inner = next((k for node in calls[at] if (k := _key(node)) in bodies and k not in sizes), None)
        if inner in calls:
            raise ModelError(f"{label}: the function {at[1]!r} calls itself, directly or through others")
        if inner is not None:
            calls[inner] = iter(bodies[inner])
            continue
        called = _sum(bodies[at], sizes)
        nbytes = sum(node.ByteSize() for node in bodies[at])
        sizes[at] = _Size(len(bodies[at]) + called.nodes, nbytes + called.nbytes, called.levels + 1)
        del calls[at]


def _sum(nodes: Iterable[NodeProto], sizes: dict[Key, _Size]) -> _Size:
    """What the calls among `nodes` stand for."""
    called = [sizes[key] for node in nodes if (key := _key(node)) in sizes]
    return _Size(
        sum(size.nodes for size in called),
        sum(size.nbytes for size in called),
        max((size.levels for size in called), default=0),
    )


def _key(node: NodeProto) -> Key:
    return node.domain, node.op_type, node.overload


def _nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """All nodes, those of subgraphs too."""
    waiting = [iter(nodes)]
    while waiting:
        node = next(waiting[-1], None)
        if node is None:
            waiting.pop()
            continue
        yield node
        waiting.extend(iter(a.g.node) for a in node.attribute if a.type == AttributeProto.GRAPH)
