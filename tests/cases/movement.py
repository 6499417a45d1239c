"""Cases for kernels that move elements."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import near, shapes, tensors


@st.composite
def concat(draw: st.DrawFn, dtype: type) -> Case:
    shape = draw(shapes(4, min_rank=1))
    axis = draw(st.integers(0, len(shape) - 1))
    parts = [
        draw(tensors((*shape[:axis], draw(near(4, most=6)), *shape[axis + 1 :]), dtype))
        for _ in range(draw(st.integers(1, 4)))
    ]
    return Case("Concat", tuple(parts), {"axis": axis})


CASES = {"x8_copy": concat(np.uint8), "x32_copy": concat(np.float32), "x64_copy": concat(np.int64)}
