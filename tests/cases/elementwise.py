"""Cases for element-wise kernels."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.cases.conv import CLAMPS
from tests.differential import Case
from tests.strategies import broadcastable, shapes, tensors

TYPES = {"f32": np.float32, "i32": np.int32, "i64": np.int64}


@st.composite
def binary(draw: st.DrawFn, op: str, dtype: type) -> Case:
    left, right = draw(broadcastable())
    constants = frozenset({draw(st.sampled_from([0, 1]))}) if draw(st.booleans()) else frozenset()
    return Case(op, (draw(tensors(left, dtype)), draw(tensors(right, dtype))), {}, constants)


@st.composite
def unary(draw: st.DrawFn, op: str, dtype: type) -> Case:
    return Case(op, (draw(tensors(draw(shapes()), dtype)),))


@st.composite
def clip(draw: st.DrawFn) -> Case:
    return Case("Clip", (draw(tensors(draw(shapes()), scale=8)),), {"clamp": draw(CLAMPS)})


CASES = {
    "f32_clip": clip(),
    **{
        f"{prefix}_{op.lower()}": binary(op, dtype)
        for op in ("Add", "Sub", "Mul", "Div", "Min", "Max")
        for prefix, dtype in TYPES.items()
    },
    **{f"{prefix}_{op.lower()}": unary(op, dtype) for op in ("Neg", "Abs") for prefix, dtype in TYPES.items()},
    **{f"f32_{op.lower()}": unary(op, np.float32) for op in ("Floor", "Ceil", "Round")},
}
