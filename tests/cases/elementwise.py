"""Cases for element-wise kernels."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.cases.conv import CLAMPS
from tests.differential import Case
from tests.strategies import broadcastable, shapes, tensors

FLOAT, INT32, INT64 = np.float32, np.int32, np.int64


@st.composite
def binary(draw: st.DrawFn, op: str, dtype: type) -> Case:
    left, right = draw(broadcastable())
    constants = frozenset({draw(st.sampled_from([0, 1]))}) if draw(st.booleans()) else frozenset()
    return Case(op, (draw(tensors(left, dtype)), draw(tensors(right, dtype))), {}, constants)


@st.composite
def clip(draw: st.DrawFn) -> Case:
    return Case("Clip", (draw(tensors(draw(shapes()), scale=8)),), {"clamp": draw(CLAMPS)})


CASES = {
    "f32_clip": clip(),
    "f32_add": binary("Add", FLOAT),
    "i32_add": binary("Add", INT32),
    "i64_add": binary("Add", INT64),
    "f32_sub": binary("Sub", FLOAT),
    "i32_sub": binary("Sub", INT32),
    "i64_sub": binary("Sub", INT64),
    "f32_mul": binary("Mul", FLOAT),
    "i32_mul": binary("Mul", INT32),
    "i64_mul": binary("Mul", INT64),
    "f32_div": binary("Div", FLOAT),
}
