"""Functions written out by exporters become the operator they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.passes.examples import given
from tinyinfer.rewrite import Match, P, Rule, Target, rule

CLOSE = 1e-5
"""How far a constant may be from the one of the formula, relatively: exporters write few digits."""


def scalar(value: Value) -> float:
    """The one float of a constant, or NaN if it is not that."""
    data = value.data
    return float(data.item()) if data is not None and data.size == 1 and value.dtype.is_float else math.nan


def is_near(value: Value, number: float) -> bool:
    return math.isclose(scalar(value), number, rel_tol=CLOSE)


def _constant(b: GraphBuilder, value: float) -> Value:
    return b.constant(np.array(value, np.float32))


def _swish(b: GraphBuilder) -> Value:
    x = given(b, 3, 5)
    return b.add1("Mul", b.add1("Sigmoid", x), x)


@rule("Mul(x, Sigmoid(x)) → Swish(x)", P("Mul", ("x", P("Sigmoid", ("same",))), "product"), _swish)
def mul_of_sigmoid(m: Match, to: Target) -> Value | None:
    """Exact: Swish is defined as this product."""
    return to.add("Swish", m["x"], like=m.node("product")) if m["x"] is m["same"] else None


@rule(
    "Pow(x, 2) → x·x, Pow(x, 3) → x·x·x",
    P("Pow", ("x", "exponent!"), "power"),
    lambda b: b.add1("Pow", given(b, 3, 5), _constant(b, 3.0)),
    tolerance=1e-6,
)
def small_power(m: Match, to: Target) -> Value | None:
    x, node = m["x"], m.node("power")
    exponent = scalar(m["exponent"])
    if x.type != node.output.type or exponent not in (2, 3):
        return None
    square = to.add("Mul", x, x, like=node)
    return square if exponent == 2 else to.add("Mul", square, x, like=node)


# Gelu is half of x times a gate, in any order.
ERF_GATE = P("Add", (P("Erf", (P("Div|Mul", ("x1", "root!"), "scaled"),)), "one!"))
CUBE = P("Mul", (P("Mul", ("x2", "x3")), "x4"))
INNER = P("Add", ("x1", P("Mul", (CUBE, "cubic!"))))
TANH_GATE = P("Add", (P("Tanh", (P("Mul", (INNER, "root!")),)), "one!"))


def _is_half_of_gated(m: Match) -> bool:
    same = all(m.values.get(f"x{i}", m["x"]) is m["x"] for i in range(1, 5))
    return same and scalar(m["half"]) == 0.5 and scalar(m["one"]) == 1


def _gelu_of_erf(m: Match, to: Target) -> Value | None:
    root = 2**0.5 if m.node("scaled").op == "Div" else 0.5**0.5
    if not _is_half_of_gated(m) or not is_near(m["root"], root):
        return None
    return to.add("Gelu", m["x"], like=m.node("gelu"), approximate="none")


def _gelu_of_tanh(m: Match, to: Target) -> Value | None:
    if not _is_half_of_gated(m) or not is_near(m["root"], (2 / math.pi) ** 0.5) or not is_near(m["cubic"], 0.044715):
        return None
    return to.add("Gelu", m["x"], like=m.node("gelu"), approximate="tanh")


def _erf_gate(b: GraphBuilder, x: Value) -> Value:
    return b.add1("Add", b.add1("Erf", b.add1("Div", x, _constant(b, 2**0.5))), _constant(b, 1.0))


def _tanh_gate(b: GraphBuilder, x: Value) -> Value:
    cube = b.add1("Mul", b.add1("Mul", x, x), x)
    inner = b.add1("Add", x, b.add1("Mul", cube, _constant(b, 0.044715)))
    scaled = b.add1("Mul", inner, _constant(b, (2 / math.pi) ** 0.5))
    return b.add1("Add", b.add1("Tanh", scaled), _constant(b, 1.0))


def _gelu_rules() -> list[Rule]:
    """A rule for each gate and each order of the product."""
    made = []
    for gate, build, apply, formula in (
        (ERF_GATE, _erf_gate, _gelu_of_erf, "1 + Erf(x/√2)"),
        (TANH_GATE, _tanh_gate, _gelu_of_tanh, "1 + Tanh(√(2/π)·(x + 0.044715·x³))"),
    ):

        def example(b: GraphBuilder, order: str, build: Callable[[GraphBuilder, Value], Value] = build) -> Value:
            x, half = given(b, 3, 5), _constant(b, 0.5)
            factors = {"x": x, "½": half, "g": build(b, x)}
            first, second, third = (factors[name] for name in order)
            return b.add1("Mul", b.add1("Mul", first, second), third)

        orders: dict[str, tuple[P | str, P | str, P | str]] = {
            "x½g": ("x", "half!", gate),
            "xg½": ("x", gate, "half!"),
            "g½x": (gate, "half!", "x"),
        }
        for order, (first, second, third) in orders.items():
            made.append(
                rule(
                    f"{'·'.join(order)} → Gelu(x) where g = {formula}",
                    P("Mul", (P("Mul", (first, second)), third), "gelu"),
                    partial(example, order=order),
                    tolerance=1e-6,
                )(apply)
            )
    return made


RULES = [mul_of_sigmoid, small_power, *_gelu_rules()]
