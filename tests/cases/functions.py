"""Cases for activations, other functions of one variable, and softmax."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import broadcastable, near, seeds, shapes, tensors
from tinyinfer.types import Array

SCALARS = st.sampled_from([0.0, 0.01, 0.2, 1 / 6, 0.5, 1.0, 1.6732632, -0.3])


@st.composite
def operands(draw: st.DrawFn) -> Array:
    """Values where the functions bend, at the edges of their ranges, or any bit patterns at all."""
    shape = draw(shapes(4, most=17))
    kind = draw(st.sampled_from(["near", "wide", "bits"]))
    if kind != "bits":
        return draw(tensors(shape, scale=2 if kind == "near" else 40))
    patterns = np.random.default_rng(draw(seeds())).integers(0, 2**32, shape, np.uint64)
    return patterns.astype(np.uint32).view(np.float32).reshape(shape)


@st.composite
def function(draw: st.DrawFn, op: str, **attrs: st.SearchStrategy[float] | str) -> Case:
    values = {k: v if isinstance(v, str) else draw(v) for k, v in attrs.items()}
    return Case(op, (draw(operands()),), values)


@st.composite
def prelu(draw: st.DrawFn) -> Case:
    x = draw(operands())
    slope = tuple(d if draw(st.booleans()) else 1 for d in x.shape)
    slope = slope[draw(st.integers(0, len(slope))) :]
    constant = frozenset({1}) if draw(st.booleans()) else frozenset()
    return Case("PRelu", (x, draw(tensors(slope))), {}, constant)


@st.composite
def power(draw: st.DrawFn) -> Case:
    """Bases of any kind; exponents small, integral or of any kind."""
    base, exponent = draw(broadcastable(4))
    x = draw(tensors(base, scale=draw(st.sampled_from([1, 100]))))
    y = draw(tensors(exponent, scale=draw(st.sampled_from([1, 4, 40]))))
    return Case("Pow", (x, np.rint(y) if draw(st.booleans()) else y))


@st.composite
def softmax(draw: st.DrawFn, op: str) -> Case:
    """Long and short rows along any axis, in rows that hold neighbours far apart as well as equal ones."""
    before, after = draw(shapes(2, most=6)), draw(shapes(2, most=6))
    n = draw(near(4, 8))
    x = draw(tensors((*before, n, *after), scale=draw(st.sampled_from([1, 8, 60]))))
    return Case(op, (x,), {"axis": len(before)})


CASES = {
    "f32_exp": function("Exp"),
    "f32_log": function("Log"),
    "f32_sigmoid": function("Sigmoid"),
    "f32_swish": function("Swish"),
    "f32_tanh": function("Tanh"),
    "f32_erf": function("Erf"),
    "f32_gelu": function("Gelu", approximate="none"),
    "f32_gelu_tanh": function("Gelu", approximate="tanh"),
    "f32_softplus": function("Softplus"),
    "f32_mish": function("Mish"),
    "f32_elu": function("Elu", alpha=SCALARS),
    "f32_hard_sigmoid": function("HardSigmoid", alpha=SCALARS, beta=SCALARS),
    "f32_hard_swish": function("HardSwish"),
    "f32_leaky_relu": function("LeakyRelu", alpha=SCALARS),
    "f32_prelu": prelu(),
    "f32_pow": power(),
    "f32_sqrt": function("Sqrt"),
    "f32_reciprocal": function("Reciprocal"),
    "f32_softmax": softmax("Softmax"),
    "f32_log_softmax": softmax("LogSoftmax"),
}
