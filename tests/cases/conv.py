"""Cases for the convolution kernels."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import near, tensors
from tinyinfer.types import Clamp

CLAMPS = st.sampled_from([Clamp(), Clamp(0.0), Clamp(0.0, 6.0), Clamp(-1.0, 1.0)])


@st.composite
def conv(draw: st.DrawFn, kind: str) -> Case:
    spatial = draw(st.sampled_from([1, 2, 2]))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(spatial))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(spatial))
    dilations = tuple(draw(st.integers(1, 2)) for _ in range(spatial))
    pads = tuple(draw(st.integers(0, 3)) for _ in range(2 * spatial))
    size = tuple(draw(near(4, most=9)) for _ in range(spatial))
    batch = draw(st.integers(1, 2))
    if kind == "depthwise":
        group = draw(near(4, 8, least=2, most=19))
        depth = multiplier = 1
    else:
        group = draw(st.sampled_from([1, 1, 2, 3]))
        depth, multiplier = draw(near(4, most=9)), draw(near(8, most=19))
        # One channel and one filter for each group is depthwise, and a unit kernel is a matrix product.
        assume(not (depth == multiplier == 1))
        assume(group > 1 or max(kernel + strides) > 1 or any(pads))
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel)]
    assume(all(size[i] + pads[i] + pads[spatial + i] >= extents[i] for i in range(spatial)))
    out = [(size[i] + pads[i] + pads[spatial + i] - extents[i]) // strides[i] + 1 for i in range(spatial)]
    filters = group * multiplier
    x = draw(tensors((batch, group * depth, *size)))
    w = draw(tensors((filters, depth, *kernel)))
    bias = draw(st.none() | tensors((filters,)))
    residual = draw(st.none() | tensors((batch, filters, *out)))
    attrs = {"strides": strides, "pads": pads, "dilations": dilations, "group": group, "clamp": draw(CLAMPS)}
    return Case("Conv", (x, w, bias, residual), attrs, frozenset({1, 2}))


CASES = {"f32_conv": conv("general"), "f32_dwconv": conv("depthwise")}
