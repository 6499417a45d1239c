"""Cases for the pooling kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import near, tensors


@st.composite
def pool(draw: st.DrawFn, op: str, *dtypes: Any) -> Case:
    spatial = draw(st.sampled_from([1, 2, 2]))
    kernel = tuple(draw(st.integers(1, 5)) for _ in range(spatial))
    strides = tuple(draw(st.integers(1, 4)) for _ in range(spatial))
    dilations = tuple(draw(st.integers(1, 3)) for _ in range(spatial))
    pads = tuple(draw(st.integers(0, 4)) for _ in range(2 * spatial))
    size = tuple(draw(near(4, most=9)) for _ in range(spatial))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel)]
    assume(all(size[i] + pads[i] + pads[spatial + i] >= reach[i] for i in range(spatial)))
    dtype = draw(st.sampled_from(dtypes or (np.float32,)))
    x = draw(tensors((draw(st.integers(1, 2)), draw(near(4, 8, 16, most=35)), *size), dtype))
    attrs = {"kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations}
    attrs["ceil_mode"] = draw(st.booleans())
    if op == "AveragePool":
        attrs["count_include_pad"] = draw(st.booleans())
    return Case(op, (x,), attrs)


CASES = {
    "f32_maxpool": pool("MaxPool"),
    "x8_maxpool": pool("MaxPool", np.int8, np.uint8),
    "f32_avgpool": pool("AveragePool"),
}
