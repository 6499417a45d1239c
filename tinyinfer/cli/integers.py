"""What of a quantised model runs in integers, what stays float, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tinyinfer import passes, registry
from tinyinfer.cli import console
from tinyinfer.graph import Graph, Node, Value
from tinyinfer.passes.integer_range import obstacles
from tinyinfer.passes.quantized import INTEGER_FORMS, OF_ONE_VALUE
from tinyinfer.tables import normalization
from tinyinfer.types import DType

BYTES = (DType.INT8, DType.UINT8)


@dataclass(frozen=True)
class Arithmetic:
    """What a node computes in: `integers`, `float`, or a `conversion` between them; and why it is float."""

    node: Node
    kind: str
    why: str = ""


def is_quantized(graph: Graph) -> bool:
    """Whether any value is computed in bytes."""
    return any(_converts(node) or _is_integer(node) for node in graph.nodes)


def arithmetic(graph: Graph, imported: Graph | None = None) -> Iterator[Arithmetic]:
    """Every node of a graph after the passes; the graph before them tells of sums that integers cannot hold."""
    because = {} if imported is None else _obstacles(imported)
    producers = graph.producers()
    readers: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in node.operands:
            readers.setdefault(value, []).append(node)
    for node in graph.nodes:
        if _converts(node):
            yield Arithmetic(node, "conversion")
        elif _is_integer(node):
            yield Arithmetic(node, "integers")
        else:
            yield Arithmetic(node, "float", because.get(node.name) or _why_float(node, graph, producers, readers))


def _obstacles(imported: Graph) -> dict[str, str]:
    """By the name of the node, from the graph in which products of bytes have just been recognised."""
    (found,) = (stage.graph for stage in passes.stages(imported) if stage.name == passes.INTEGERS)
    return {node.name: why for node, why in obstacles(found)}


def _converts(node: Node) -> bool:
    return registry.SEMANTICS.traits(node.op).conversion


def _is_integer(node: Node) -> bool:
    return node.op.endswith("Integer") or all(v.dtype is not DType.FLOAT for v in (*node.operands[:1], *node.outputs))


def _why_float(node: Node, graph: Graph, producers: Mapping[Value, Node], readers: dict[Value, list[Node]]) -> str:
    if node.op == "MatMulNBits":
        return "only its weights are quantised; they stay bytes"
    variable = [v for v in node.operands if not v.is_constant]
    real = [v for v in variable if v not in producers or producers[v].op != "DequantizeLinear"]
    if len(real) == len(variable):
        return "no operand is quantised"
    if node.op not in INTEGER_FORMS:
        return _no_form(node.op)
    if real:
        return f"operand {real[0].name} is not quantised"
    if node.op in ("ReduceMean", "ReduceMax"):
        return "its axes are no neighbours, or the innermost ones, over which float is faster"
    if node.op == "Resize":
        return "only nearest, and linear along two axes with the scale kept, have an integer form"
    if node.op in OF_ONE_VALUE and (len(variable) > 1 or any(v.type.size > 1 for v in node.operands if v.is_constant)):
        return f"{node.op} has an integer form only with a constant number as its other operand"
    if any(v.is_constant and v.dtype is DType.FLOAT for v in node.operands[:2]):
        return "an operand is a float constant"
    for value in node.outputs:
        if value in graph.outputs.values():
            return "its result is an output of the model"
        others = [r for r in readers.get(value, []) if r.op != "QuantizeLinear"]
        if others:
            return f"its result is read as float by {others[0].name} ({others[0].op})"
    return "its scales are no single constants, or far apart"


def _no_form(op: str) -> str:
    """Why an operator has no integer form."""
    if op == "BatchNormalization":
        return "it belongs into the weights before a model is quantised"
    if op in (row.name for row in normalization.ROWS):
        return "its statistics need more than eight bits"
    return f"{op} has no integer form"


def show_integers(graph: Graph, imported: Graph) -> None:
    """Print every node of a quantised model with what it computes in; `imported` is the graph before the passes."""
    if not is_quantized(graph):
        return
    found = list(arithmetic(graph, imported))
    rows: list[list[console.Cell]] = [[row.node.name, row.node.op, row.kind, row.why] for row in found]
    console.show_table("Arithmetic", ["node", "operator", "runs in", "why float"], rows)
    counts = Counter(row.kind for row in found)
    console.say(", ".join(f"{counts[kind]} nodes: {kind}" for kind in ("integers", "float", "conversion")))
