"""Functions written out by exporters become the operator they are."""

from __future__ import annotations

from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.passes.examples import given
from tinyinfer.rewrite import Match, P, Target, rule


def _swish(b: GraphBuilder) -> Value:
    x = given(b, 3, 5)
    return b.add1("Mul", b.add1("Sigmoid", x), x)


@rule("Mul(x, Sigmoid(x)) → Swish(x)", P("Mul", ("x", P("Sigmoid", ("same",))), "product"), _swish)
def mul_of_sigmoid(m: Match, to: Target) -> Value | None:
    """Exact: Swish is defined as this product."""
    return to.add("Swish", m["x"], like=m.node("product")) if m["x"] is m["same"] else None


RULES = [mul_of_sigmoid]
