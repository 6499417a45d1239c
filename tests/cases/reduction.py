"""Cases for reductions."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import shapes, tensors

FLOAT, INT32, INT64 = np.float32, np.int32, np.int64


@st.composite
def reduce(draw: st.DrawFn, op: str, dtype: type = FLOAT) -> Case:
    shape = draw(shapes(4, min_rank=1, most=17))
    axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1).map(lambda s: tuple(sorted(s))))
    if draw(st.integers(0, 9)) == 0:
        shape = tuple(0 if i == axes[0] else d for i, d in enumerate(shape))
    return Case(op, (draw(tensors(shape, dtype)),), {"axes": axes, "keepdims": draw(st.booleans())})


@st.composite
def arg(draw: st.DrawFn, op: str, dtype: type) -> Case:
    shape = draw(shapes(4, min_rank=1, most=17))
    axis = draw(st.integers(0, len(shape) - 1))
    attrs = {"axis": axis, "keepdims": draw(st.booleans()), "select_last_index": draw(st.booleans())}
    return Case(op, (draw(tensors(shape, dtype)),), attrs)


CASES = {
    "f32_reduce_sum": st.one_of(reduce("ReduceSum"), reduce("ReduceMean")),
    "i32_reduce_sum": reduce("ReduceSum", INT32),
    "i64_reduce_sum": reduce("ReduceSum", INT64),
    "f32_reduce_max": reduce("ReduceMax"),
    "i32_reduce_max": reduce("ReduceMax", INT32),
    "i64_reduce_max": reduce("ReduceMax", INT64),
    "f32_reduce_min": reduce("ReduceMin"),
    "i32_reduce_min": reduce("ReduceMin", INT32),
    "i64_reduce_min": reduce("ReduceMin", INT64),
    "f32_argmax": arg("ArgMax", FLOAT),
    "i32_argmax": arg("ArgMax", INT32),
    "i64_argmax": arg("ArgMax", INT64),
    "f32_argmin": arg("ArgMin", FLOAT),
    "i32_argmin": arg("ArgMin", INT32),
    "i64_argmin": arg("ArgMin", INT64),
}
