"""Cases for the pooling kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.cases.quantized import data, outputs, zero_points
from tests.differential import Case
from tests.strategies import near, tensors
from tinyinfer.scales import whole_window
from tinyinfer.types import DType


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
    if op != "MaxPool":
        attrs["count_include_pad"] = draw(st.booleans())
    if op == "QLinearAveragePool":
        attrs |= draw(scales(DType.of(dtype)))
    return Case(op, (x,), attrs)


@st.composite
def scales(draw: st.DrawFn, dtype: DType) -> dict[str, Any]:
    ratio = draw(st.sampled_from([1.0, 0.5, 0.031, 3.7, 1e20, 1e-30]))
    return {"ratio": ratio, "x_zero_point": draw(zero_points(dtype)), "y": draw(outputs())}


@st.composite
def whole(draw: st.DrawFn) -> Case:
    """One window over everything, with rows of more taps than int16 holds the sum of."""
    dtype = draw(st.sampled_from([DType.INT8, DType.UINT8]))
    size = (draw(st.sampled_from([40, 255, 256, 257, 600])),)
    if draw(st.booleans()):
        size = (draw(st.integers(1, 3)), *size)
    attrs = whole_window(size)
    x = draw(data((1, draw(near(16, most=35)), *size), dtype))
    return Case("QLinearAveragePool", (x,), attrs | draw(scales(dtype)))


CASES = {
    "f32_maxpool": pool("MaxPool"),
    "x8_maxpool": pool("MaxPool", np.int8, np.uint8),
    "f32_avgpool": pool("AveragePool"),
    "x8_avgpool": st.one_of(pool("QLinearAveragePool", np.int8, np.uint8), whole()),
}
