"""The only loop over nodes that runs reference semantics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinyinfer.graph import Graph, Node, Value
from tinyinfer.ref import arith
from tinyinfer.types import Array

Reference = Callable[..., "Array | tuple[Array, ...]"]


def apply(reference: Reference, inputs: list[Array | None], attrs: Mapping[str, Any]) -> tuple[Array, ...]:
    """Outputs of one operator as a tuple of contiguous arrays. Floating-point warnings are not errors here."""
    with np.errstate(all="ignore"):
        outputs = reference(*inputs, **attrs)
    arrays = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple(np.ascontiguousarray(a).reshape(np.shape(a)) for a in arrays)


def trace(
    graph: Graph, feeds: Mapping[str, Array], reference_of: Callable[[str], Reference], tier: str = "simd128"
) -> Iterator[tuple[Node, tuple[Array, ...]]]:
    """Run `graph` node by node with the multiply-add of `tier`, yielding each node with its outputs.

    `feeds` maps input names to arrays. What was folded into constants stays as it is on every tier. Arrays that no
    later node reads are let go.
    """
    known: dict[Value, Array] = {value: np.asarray(feeds[name]) for name, value in graph.inputs.items()}
    last = {value: i for i, node in enumerate(graph.nodes) for value in node.operands}
    for i, node in enumerate(graph.nodes):
        operands = [None if v is None else v.data if v.data is not None else known[v] for v in node.inputs]
        with arith.tier(tier):
            outputs = apply(reference_of(node.op), operands, node.attrs)
        for value, array in zip(node.outputs, outputs, strict=True):
            if array.shape != value.shape or array.dtype != value.dtype.numpy:
                raise AssertionError(f"{node}: reference gave {array.dtype}{list(array.shape)}")
            if value in last:
                known[value] = array
        for value in node.operands:
            if last[value] == i:
                known.pop(value, None)
        yield node, outputs


def run(
    graph: Graph, feeds: Mapping[str, Array], reference_of: Callable[[str], Reference], tier: str = "simd128"
) -> dict[str, Array]:
    """The graph's outputs by name, with the multiply-add of `tier`."""
    wanted = set(graph.outputs.values())
    known: dict[Value, Array] = {value: np.asarray(feeds[name]) for name, value in graph.inputs.items()}
    for node, outputs in trace(graph, feeds, reference_of, tier):
        known.update((v, a) for v, a in zip(node.outputs, outputs, strict=True) if v in wanted)
    return {name: value.data if value.data is not None else known[value] for name, value in graph.outputs.items()}
