"""LayerNormalization written out as means, differences and roots, as exporters do before opset 17.

Statistics are computed as the operator computes them; a division by the root becomes a product with its reciprocal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyinfer.graph import GraphBuilder, Node, Value
from tinyinfer.passes.activation import scalar
from tinyinfer.passes.examples import given, weights
from tinyinfer.rewrite import Match, P, Rule, Target, rule
from tinyinfer.types import Array


def _centred(place: int) -> P:
    """x − mean(x), which is read three times: twice by its square."""
    return P("Sub", (f"x{place}", P("ReduceMean", ("x",), f"mean{place}")), f"centred{place}", reads=3)


VARIANCE = P("Add", (P("ReduceMean", (P("Mul", (_centred(1), _centred(2))),), "variance"), "epsilon!"))
ROOT = P("Sqrt", (VARIANCE,))
FORMS = {
    "centred / Sqrt(v)": P("Div", (_centred(0), ROOT), "root"),
    "centred / Pow(v, ½)": P("Div", (_centred(0), P("Pow", (VARIANCE, "half!"))), "root"),
    "centred·Reciprocal(Sqrt(v))": P("Mul", (_centred(0), P("Reciprocal", (ROOT,))), "root"),
    "centred·(1 / Sqrt(v))": P("Mul", (_centred(0), P("Div", ("one!", ROOT))), "root"),
}


def _normalized(m: Match, to: Target) -> Value | None:
    """The operator with a scale of ones, if the centred values are all the same and the last axes are normalised."""
    x, (mean, variance) = m["x"], (m.node(name) for name in ("mean0", "variance"))
    same = all(m.node(f"centred{i}") is m.node("centred0") and m[f"x{i}"] is x for i in range(3))
    axis = x.type.rank - len(mean.attrs["axes"])
    last = tuple(range(axis, x.type.rank))
    over_last = all(node.attrs["axes"] == last and node.attrs["keepdims"] for node in (mean, variance))
    constants = all(scalar(m.values[name]) == value for name, value in (("one", 1), ("half", 0.5)) if name in m.values)
    epsilon = scalar(m["epsilon"])
    if not (same and over_last and constants and 0 <= epsilon < 1):
        return None
    ones = to.constant(np.ones(x.shape[axis:], np.float32), "ones")
    return to.add("LayerNormalization", x, ones, like=m.node("root"), axis=axis, epsilon=epsilon)


def _written_out(b: GraphBuilder, form: str) -> Value:
    def number(value: float) -> Value:
        return b.constant(np.array(value, np.float32))

    x = given(b, 4, 9)
    centred = b.add1("Sub", x, b.add1("ReduceMean", x, axes=(1,), keepdims=True))
    variance = b.add1("ReduceMean", b.add1("Mul", centred, centred), axes=(1,), keepdims=True)
    v = b.add1("Add", variance, number(1e-5))
    finish: dict[str, Callable[[], Value]] = {
        "centred / Sqrt(v)": lambda: b.add1("Div", centred, b.add1("Sqrt", v)),
        "centred / Pow(v, ½)": lambda: b.add1("Div", centred, b.add1("Pow", v, number(0.5))),
        "centred·Reciprocal(Sqrt(v))": lambda: b.add1("Mul", centred, b.add1("Reciprocal", b.add1("Sqrt", v))),
        "centred·(1 / Sqrt(v))": lambda: b.add1("Mul", centred, b.add1("Div", number(1.0), b.add1("Sqrt", v))),
    }
    return finish[form]()


def _rule(form: str) -> Rule:
    title = f"{form} → LayerNormalization(x) where v = ReduceMean(centred²) + ε"
    return rule(title, FORMS[form], lambda b: _written_out(b, form), tolerance=1e-6)(_normalized)


def _affine(m: Match, to: Target, combine: Callable[[Array, Array, Array], tuple[Array, Array]]) -> Value | None:
    """The normalisation with the constant `c`, one number for each normalised element, taken into scale and bias."""
    node: Node = m.node("norm")
    x, scale, bias = (*node.inputs, None)[:3]
    c = m["c"].data
    if c is None or scale is None or scale.data is None or not (bias is None or bias.is_constant) or x is None:
        return None
    axis: int = node.attrs["axis"]
    shape = x.shape
    whole = (1,) * (len(shape) - c.ndim) + c.shape
    if len(whole) != len(shape) or any(d != 1 for d in whole[:axis]):
        return None
    shift = np.zeros(shape[axis:], np.float32) if bias is None or bias.data is None else bias.data
    new = combine(scale.data, shift, np.broadcast_to(c.reshape(whole[axis:]), shape[axis:]))
    return to.replace(node, (x, *(to.constant(a, f"{node.name}.affine") for a in new)))


def _norm(b: GraphBuilder) -> Value:
    scale, bias = (weights(b, 9, seed=i) for i in (3, 4))
    return b.add1("LayerNormalization", given(b, 4, 9), scale, bias, axis=1, epsilon=1e-5)


@rule(
    "Mul(LayerNormalization(x), c) → LayerNormalization(x) with scale and bias times c",
    P("Mul", (P("LayerNormalization", name="norm"), "c!")),
    lambda b: b.add1("Mul", _norm(b), weights(b, 1, 9, seed=5)),
    tolerance=1e-6,
)
def mul_of_normalization(m: Match, to: Target) -> Value | None:
    return _affine(m, to, lambda scale, bias, c: (scale * c, bias * c))


@rule(
    "Add(LayerNormalization(x), c) → LayerNormalization(x) with bias + c",
    P("Add", (P("LayerNormalization", name="norm"), "c!")),
    lambda b: b.add1("Add", _norm(b), weights(b, 9, seed=5)),
    tolerance=1e-6,
)
def add_to_normalization(m: Match, to: Target) -> Value | None:
    return _affine(m, to, lambda scale, bias, c: (scale, bias + c))


RULES = [*(_rule(form) for form in FORMS), mul_of_normalization, add_to_normalization]
