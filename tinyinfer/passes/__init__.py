"""The pipeline: named passes over the graph, in order. Layout is not among them: it is chosen when lowering."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tinyinfer import registry, rewrite
from tinyinfer.graph import Graph
from tinyinfer.passes import (
    activation,
    attention,
    bias,
    clamp,
    identity,
    layer_normalization,
    normalization,
    padding,
    quantized,
    residual,
    weight_only,
    winograd,
)
from tinyinfer.passes.common import merge_equal
from tinyinfer.passes.concatenation import nest
from tinyinfer.passes.sharing import share_embeddings


@dataclass(frozen=True)
class Pass:
    """A pass and what it is for."""

    name: str
    purpose: str
    steps: Callable[[Graph], Iterable[Graph]]
    """The graph as it is after each step, the last one being the result."""
    rules: tuple[rewrite.Rule, ...] = ()
    """The rules that its steps apply, if it is made of rules."""

    def run(self, graph: Graph) -> Graph:
        for after in self.steps(graph):
            graph = after
        return graph


def _whole(name: str, purpose: str, run: Callable[[Graph], Graph]) -> Pass:
    return Pass(name, purpose, lambda graph: [run(graph)])


def rules(name: str, purpose: str, applied: list[rewrite.Rule]) -> Pass:
    """A pass of rules; ValueError names operators that their patterns misspell."""
    for rule in applied:
        _require_known(rule.pattern, rule.title)
    return Pass(name, purpose, lambda graph: rewrite.sweeps(graph, applied, registry.SEMANTICS), tuple(applied))


def _require_known(pattern: rewrite.P, title: str) -> None:
    """Every name in a pattern is an operator of the table: a misspelt one would never match."""
    unknown = rewrite.operators([pattern]) - registry.OPERATORS.keys()
    if unknown:
        raise ValueError(f"rule {title!r}: no operator is named {', '.join(sorted(unknown))}")
    for operand in pattern.operands:
        if isinstance(operand, rewrite.P):
            _require_known(operand, title)


INTEGERS = "integers"
"""The pass in which products of bytes are recognised."""

PIPELINE: list[Pass] = [
    _whole("prune", "drop nodes that no output depends on", rewrite.prune),
    _whole("merge equal", "compute equal expressions once", lambda graph: merge_equal(graph, registry.SEMANTICS)),
    rules("identity", "drop shape changes that change nothing, join those that follow each other", identity.RULES),
    rules(INTEGERS, "compute on bytes what stands between dequantisation and quantisation", quantized.RULES),
    rules("integer sums", "multiply bytes where the result stays float", quantized.SUMS),
    _whole("fold", "dequantise the constants that are left", quantized.fold),
    _whole("concatenation", "join parts that belong together", lambda graph: nest(graph, registry.SEMANTICS)),
    rules(
        "written out",
        "recognise functions and normalisations that exporters write out",
        [*activation.RULES, *layer_normalization.RULES, *quantized.RULES],
    ),
    rules("normalization", "fold BatchNormalization and per-channel scales into weights", normalization.RULES),
    rules("bias", "fold additions of a per-channel constant into the bias", bias.RULES),
    rules("padding", "fold zero padding into convolutions", padding.RULES),
    _whole(
        "split products",
        "multiply by the columns of each part of a Split",
        lambda graph: attention.split_products(graph, registry.SEMANTICS),
    ),
    rules("attention", "scale queries instead of scores, add masks inside the product", attention.RULES),
    _whole("merge masks", "repeat a mask once", lambda graph: merge_equal(graph, registry.SEMANTICS)),
    _whole(
        "sharing",
        "read embeddings from the transposed matrix where a product needs that too",
        lambda graph: share_embeddings(graph, registry.SEMANTICS),
    ),
    rules("fusion", "add residuals and clamp inside the producing kernel", [*residual.RULES, *clamp.RULES]),
    rules("weight only", "keep quantised weights of products as bytes", weight_only.RULES),
    rules("winograd", "multiply less for convolutions by 3×3 filters", winograd.RULES),
]


@dataclass(frozen=True)
class Stage:
    """The graph after one pass."""

    name: str
    purpose: str
    graph: Graph


def stages(graph: Graph) -> list[Stage]:
    """The graph after each pass, in order."""
    result = []
    for step in PIPELINE:
        before, graph = graph, step.run(graph)
        if graph is not before:
            graph.verify()
        result.append(Stage(step.name, step.purpose, graph))
    return result


def run(graph: Graph) -> Graph:
    """The graph after all passes."""
    return stages(graph)[-1].graph
