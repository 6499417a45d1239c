"""Cases for the convolution kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from tests.differential import Case
from tests.strategies import near, tensors
from tinyinfer.types import Clamp

CLAMPS = st.sampled_from([Clamp(), Clamp(0.0), Clamp(0.0, 6.0), Clamp(-1.0, 1.0)])
CONSTANTS = st.sampled_from([frozenset({1, 2}), frozenset({1, 2}), frozenset()])


@st.composite
def channels(draw: st.DrawFn, kind: str) -> tuple[int, int, int]:
    """Groups, and input channels and filters of each; one of both and several groups is depthwise."""
    if kind == "depthwise":
        return draw(near(4, 8, least=2, most=19)), 1, 1
    group, depth, filters = draw(st.sampled_from([1, 1, 2, 3])), draw(near(4, most=9)), draw(near(8, most=19))
    assume(not (depth == filters == 1))
    return group, depth, filters


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shapes of a convolution and its attributes."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    attrs: dict[str, Any]


@st.composite
def geometries(draw: st.DrawFn, kind: str) -> Geometry:
    """Depthwise kernels are often 3 × 3, of which kernels compute several neighbouring pixels together."""
    threes = kind == "depthwise" and draw(st.integers(0, 2)) > 0
    spatial = 2 if threes else draw(st.sampled_from([1, 2, 2]))
    kernel = (3, 3) if threes else tuple(draw(st.integers(1, 4)) for _ in range(spatial))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(spatial))
    dense = threes and draw(st.booleans())
    dilations = tuple(1 if dense else draw(st.integers(1, 2)) for _ in range(spatial))
    pads = tuple(draw(st.integers(0, 3)) for _ in range(2 * spatial))
    size = [draw(near(4, most=14)) for _ in range(spatial)]
    if threes:
        size[1] = draw(near(4, 7, 14, most=20))
    batch = draw(st.integers(1, 2))
    group, depth, each = draw(channels(kind))
    # A unit kernel is a matrix product.
    assume(group > 1 or max(kernel + strides) > 1 or any(pads))
    room = [size[i] + pads[i] + pads[spatial + i] - dilations[i] * (kernel[i] - 1) - 1 for i in range(spatial)]
    assume(min(room) >= 0)
    out = [free // stride + 1 for free, stride in zip(room, strides)]
    return Geometry(
        (batch, group * depth, *size),
        (group * each, depth, *kernel),
        (batch, group * each, *out),
        {"strides": strides, "pads": pads, "dilations": dilations, "group": group},
    )


@st.composite
def conv(draw: st.DrawFn, kind: str) -> Case:
    geometry = draw(geometries(kind))
    x, w = draw(tensors(geometry.x)), draw(tensors(geometry.w))
    bias = draw(st.none() | tensors(geometry.w[:1]))
    residual = draw(st.none() | tensors(geometry.y))
    return Case("Conv", (x, w, bias, residual), {**geometry.attrs, "clamp": draw(CLAMPS)}, draw(CONSTANTS))


@st.composite
def conv_transpose(draw: st.DrawFn, kind: str) -> Case:
    spatial = draw(st.sampled_from([1, 2, 2]))
    kernel = tuple(draw(st.integers(1, 5)) for _ in range(spatial))
    strides = tuple(draw(st.integers(1, 4)) for _ in range(spatial))
    dilations = tuple(draw(st.integers(1, 3)) for _ in range(spatial))
    pads = tuple(draw(st.integers(0, 3)) for _ in range(2 * spatial))
    extra = tuple(draw(st.integers(0, 3)) for _ in range(spatial))
    size = tuple(draw(near(4, most=6)) for _ in range(spatial))
    for i in range(spatial):
        full = strides[i] * (size[i] - 1) + dilations[i] * (kernel[i] - 1) + 1 + extra[i]
        assume(full - pads[i] - pads[spatial + i] > 0)
    group, depth, each = draw(channels(kind))
    x = draw(tensors((draw(st.integers(1, 2)), group * depth, *size)))
    w = draw(tensors((group * depth, each, *kernel)))
    bias = draw(st.none() | tensors((group * each,)))
    attrs = {"strides": strides, "pads": pads, "dilations": dilations, "output_padding": extra, "group": group}
    return Case("ConvTranspose", (x, w, bias), {**attrs, "clamp": draw(CLAMPS)}, draw(CONSTANTS))


@st.composite
def winograd(draw: st.DrawFn) -> Case:
    """Odd and even outputs, from a single one up; filters that fill panels or not; padding on all sides."""
    pads = tuple(draw(st.integers(0, 3)) for _ in range(4))
    size = [draw(near(2, 8, most=14)) for _ in range(2)]
    out = [size[i] + pads[i] + pads[2 + i] - 2 for i in range(2)]
    assume(min(out) > 0)
    batch, depth, filters = draw(st.integers(1, 2)), draw(near(4, 8, most=13)), draw(near(8, most=19))
    x, w = draw(tensors((batch, depth, *size))), draw(tensors((filters, depth, 3, 3)))
    bias, residual = draw(st.none() | tensors((filters,))), draw(st.none() | tensors((batch, filters, *out)))
    attrs = {"strides": (1, 1), "pads": pads, "dilations": (1, 1), "clamp": draw(CLAMPS), "winograd": True}
    return Case("Conv", (x, w, bias, residual), attrs, draw(CONSTANTS))


CASES = {
    "f32_conv": st.one_of(conv("general"), conv_transpose("general")),
    "f32_winograd": winograd(),
    "f32_dwconv": st.one_of(conv("depthwise"), conv_transpose("depthwise")),
}
