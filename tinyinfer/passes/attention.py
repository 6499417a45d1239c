"""Scaled dot-product attention: the scale moves into the projection's weights, the mask into the product of scores.

As exported, both are passes over all scores, [heads, tokens, tokens]. Queries are scaled instead, and where they come
from a product with constant weights these are, so that nothing is left to do when running.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinyinfer import rewrite
from tinyinfer.graph import Graph, GraphBuilder, Node, Semantics, Translate, Value, rebuild
from tinyinfer.passes.activation import scalar
from tinyinfer.passes.bias import is_plain
from tinyinfer.passes.examples import given, weights
from tinyinfer.passes.normalization import mul_of_matmul
from tinyinfer.rewrite import Match, P, Target, rule

LEAST_COLUMNS = 32
"""Parts of a Split narrower than this stay columns of one product, whose kernel computes several of them together."""


def split_products(graph: Graph, semantics: Semantics) -> Graph:
    """Split{last axis}(MatMul(x, w)) → one MatMul for each part, with its columns of the constant w.

    Exact: columns do not depend on each other. Queries then have weights of their own, which take up their scale.
    """
    uses, producers = graph.uses(), graph.producers()

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        product = producers.get(node.operands[0]) if node.op == "Split" else None
        if product is None or product.op != "MatMul" or uses[product.output] > 1 or not _takes_columns(product, node):
            return None
        x, w, bias = (*product.inputs, None)[:3]
        assert x is not None
        assert w is not None
        ends = np.cumsum(node.attrs["split"])
        parts: list[Value] = []
        for y, size, end in zip(node.outputs, node.attrs["split"], ends, strict=True):
            columns = [
                None if v is None or v.data is None else builder.constant(v.data[..., end - size : end], v.name)
                for v in (w, bias)
            ]
            label = f"{product.name}.{len(parts)}"
            part = builder.add1("MatMul", translate(x), *columns, name=label, output=y.name, **product.attrs)
            parts.append(part)
        return parts

    return rewrite.prune(rebuild(graph, semantics, emit))


def _takes_columns(product: Node, split: Node) -> bool:
    constants = len(product.operands) <= 3 and all(v.is_constant for v in product.operands[1:])
    along_columns = split.attrs["axis"] == product.output.type.rank - 1
    return constants and along_columns and min(split.attrs["split"]) >= LEAST_COLUMNS


def _scores(b: GraphBuilder) -> Value:
    return b.add1("MatMul", given(b, 2, 4, 3, name="q"), given(b, 2, 3, 5, name="k"))


@rule(
    "MatMul(a, b)·c, MatMul(a, b) / c → MatMul(a·c', b)",
    P("Mul|Div", (P("MatMul", ("a", "b"), "product"), "c!"), "scale"),
    lambda b: b.add1("Div", _scores(b), b.constant(np.array(3.0, np.float32))),
    tolerance=1e-6,
)
def scale_of_scores(m: Match, to: Target) -> Value | None:
    """Only if A is not larger than what is scaled now."""
    larger = m["a"].type.size > m.node("product").output.type.size
    return None if larger else _scale_left(m, to, m["a"], m["b"])


def _projected(b: GraphBuilder) -> Value:
    projection = b.add1("MatMul", given(b, 4, 3), weights(b, 3, 6))
    heads = b.add1("Transpose", b.add1("Reshape", projection, shape=(4, 2, 3)), perm=(1, 0, 2))
    scores = b.add1("MatMul", heads, given(b, 2, 3, 2, name="k"))
    return b.add1("Mul", scores, b.constant(np.array(0.3, np.float32)))


QUERIES = P("Transpose", (P("Reshape", (P("MatMul", ("x", "w!")),)),), "queries")


@rule(
    "MatMul(queries, b)·c → MatMul(queries·c, b) where queries = Transpose(Reshape(MatMul(x, w)))",
    P("Mul|Div", (P("MatMul", (QUERIES, "b"), "product"), "c!"), "scale"),
    _projected,
    tolerance=1e-6,
)
def scale_of_projected_scores(m: Match, to: Target) -> Value | None:
    """The weights w are going to take the factor."""
    return _scale_left(m, to, m.node("queries").output, m["b"])


def _scale_left(m: Match, to: Target, a: Value, b: Value) -> Value | None:
    """The product of A times the factor and B, if neither is constant."""
    product = m.node("product")
    factor = scalar(m["c"]) if m.node("scale").op == "Mul" else 1 / (scalar(m["c"]) or math.nan)
    variable = not (a.is_constant or b.is_constant) and len(product.operands) == 2 and is_plain(product)
    same = m.node("scale").output.type == product.output.type
    if not (variable and same and math.isfinite(factor)):
        return None
    constant = to.constant(np.array(factor, np.float32), f"{product.name}.scale")
    return to.replace(product, (to.add("Mul", a, constant, like=m.node("scale")), b))


@rule(
    "Mul(Reshape(x), c) → Reshape(Mul(x, c))",
    P("Mul", (P("Reshape|Transpose", ("x",), "move"), "c!"), "scale"),
    lambda b: b.add1("Mul", b.add1("Transpose", given(b, 4, 6), perm=(1, 0)), b.constant(np.array([0.3], np.float32))),
)
def scale_before_movement(m: Match, to: Target) -> Value | None:
    """Exact: an element-wise function may run before elements move, where a producer can take it up."""
    move, c = m.node("move"), m["c"]
    if math.isnan(scalar(c)) or m.node("scale").output.type != move.output.type:
        return None
    constant = to.constant(np.array(scalar(c), np.float32), c.name)
    return to.replace(move, (to.add("Mul", m["x"], constant, like=m.node("scale")),))


def _masked(b: GraphBuilder) -> Value:
    return b.add1("Add", _scores(b), given(b, 1, 1, 5, name="mask"))


@rule(
    "Add(MatMul(a, b), mask) → MatMul(a, b, residual=mask)",
    P("Add", (P("MatMul", ("a", "b"), "product"), "mask"), "sum"),
    _masked,
)
def mask_of_scores(m: Match, to: Target) -> Value | None:
    """Exact: the mask is added last, with one rounding, either way. It has to serve several matrices, or it is as large
    as they are; one row that serves all of a matrix is repeated once for all products that use it.
    """
    product, mask = m.node("product"), m["mask"]
    y = product.output.type
    rank = mask.type.rank
    if not is_plain(product) or m.node("sum").output.type != y or not 2 <= rank <= y.rank or mask.dtype is not y.dtype:
        return None
    shape = (*mask.shape[:-2], *y.shape[-2:])
    if math.prod(shape) * 2 > y.size:
        return None
    rows = mask if mask.shape == shape else to.add("Expand", mask, like=m.node("sum"), shape=shape)
    a, b, bias = (*product.inputs, None)[:3]
    return to.replace(product, (a, b, bias, rows))


RULES = [scale_of_projected_scores, scale_of_scores, scale_before_movement, mul_of_matmul, mask_of_scores]
