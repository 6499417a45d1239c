"""Cases for matrix products."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.cases.conv import CLAMPS
from tests.differential import Case
from tests.strategies import near, shapes, tensors


@st.composite
def matmul(draw: st.DrawFn) -> Case:
    m, k, n = draw(near(4, 5, 6)), draw(near(4, 8)), draw(near(8, 12))
    batch = draw(shapes(2, most=3))
    a, b = draw(tensors((*batch, m, k))), draw(tensors((k, n)))
    bias = draw(st.none() | tensors((n,)))
    residual = draw(st.none() | tensors((*batch, m, n)))
    return Case("MatMul", (a, b, bias, residual), {"clamp": draw(CLAMPS)}, frozenset({1, 2}))


CASES = {"f32_gemm": matmul()}
