"""Cases for reductions."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import shapes, tensors


@st.composite
def reduce(draw: st.DrawFn, op: str) -> Case:
    shape = draw(shapes(4, min_rank=1, most=17))
    axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1).map(lambda s: tuple(sorted(s))))
    return Case(op, (draw(tensors(shape)),), {"axes": axes, "keepdims": draw(st.booleans())})


CASES = {"f32_reduce_sum": st.one_of(reduce("ReduceSum"), reduce("ReduceMean"))}
