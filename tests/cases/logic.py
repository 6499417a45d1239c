"""Cases for comparisons, boolean algebra, selection and element type conversion."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.cases.elementwise import TYPES, binary, unary
from tests.differential import Case
from tests.strategies import broadcastable, shapes, tensors
from tinyinfer.types import DType


@st.composite
def comparison(draw: st.DrawFn, op: str, dtypes: list[Any]) -> Case:
    """Two tensors that agree in about half of their elements where their shapes do."""
    case = draw(binary(op, draw(st.sampled_from(dtypes))))
    a, b = case.inputs
    if a.shape == b.shape:
        b = np.where(draw(tensors(a.shape, np.bool_)), a, b)
    return Case(op, (a, b), {}, case.constants)


@st.composite
def where(draw: st.DrawFn, dtypes: list[Any]) -> Case:
    """Three shapes that broadcast together, sometimes with a constant."""
    dtype = draw(st.sampled_from(dtypes))
    left, right = draw(broadcastable())
    full = np.broadcast_shapes(left, right)
    condition = tuple(d if draw(st.integers(0, 3)) else 1 for d in full)
    condition = condition[draw(st.integers(0, len(condition))) if draw(st.booleans()) else 0 :]
    inputs = (draw(tensors(condition, np.bool_)), draw(tensors(left, dtype)), draw(tensors(right, dtype)))
    constants = frozenset({draw(st.integers(0, 2))}) if draw(st.booleans()) else frozenset()
    return Case("Where", inputs, {}, constants)


@st.composite
def cast(draw: st.DrawFn, source: DType, target: DType) -> Case:
    """Floats reach beyond every integer type."""
    scale = draw(st.sampled_from([2.0, 100.0, 3e4, 2e9, 1e19]))
    return Case("Cast", (draw(tensors(draw(shapes()), source.numpy, scale)),), {"to": target})


def suffix(target: DType) -> str:
    return "bool" if target is DType.BOOL else target.prefix


# Each pair whose conversion is a kernel. `u8_cast_bool` also takes int8, and u8 stands for bool as a source.
CASTS = {
    f"{source.prefix}_cast_{suffix(target)}": cast(source, target)
    for source in (DType.FLOAT, DType.INT64, DType.INT32, DType.UINT8, DType.INT8)
    for target in DType
    if source.is_float or target in (DType.FLOAT, DType.BOOL) or target.size > source.size
    if source is not target and (source, target) != (DType.INT8, DType.BOOL)
}

CASES = {
    **{f"{prefix}_equal": comparison("Equal", [dtype]) for prefix, dtype in TYPES.items()},
    "u8_equal": comparison("Equal", [np.uint8, np.bool_]),
    **{f"{prefix}_less": comparison("Less", [dtype]) for prefix, dtype in TYPES.items()},
    **{f"{prefix}_less_or_equal": comparison("LessOrEqual", [dtype]) for prefix, dtype in TYPES.items()},
    **{f"u8_{op.lower()}": binary(op, np.bool_) for op in ("And", "Or", "Xor")},
    "u8_not": unary("Not", np.bool_),
    "x8_where": where([np.uint8, np.int8, np.bool_]),
    "x32_where": where([np.float32, np.int32]),
    "x64_where": where([np.int64]),
    **CASTS,
    "u8_cast_bool": st.one_of(cast(DType.UINT8, DType.BOOL), cast(DType.INT8, DType.BOOL)),
    "u8_cast_f32": st.one_of(cast(DType.UINT8, DType.FLOAT), cast(DType.BOOL, DType.FLOAT)),
}
