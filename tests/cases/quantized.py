"""Cases for the quantised kernels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.cases.conv import geometries
from tests.differential import Case
from tests.strategies import near, seeds, shapes, tensors
from tinyinfer.ref import elementary
from tinyinfer.types import Array, Clamp, DType, Quantized

BYTES = st.sampled_from([DType.INT8, DType.UINT8])


def zero_points(dtype: DType) -> st.SearchStrategy[int]:
    """The ends of the range, its middle, and anything else."""
    info = np.iinfo(dtype.numpy)
    return st.sampled_from([info.min, info.max, 0, info.max // 2 + 1]) | st.integers(info.min, info.max)


def full(seed: int, shape: tuple[int, ...], dtype: DType) -> Array:
    """Bytes from all of the range, its ends often."""
    rng, info = np.random.default_rng(seed), np.iinfo(dtype.numpy)
    values = rng.integers(info.min, info.max, shape, endpoint=True)
    ends = rng.choice([info.min, info.max], shape)
    return np.where(rng.random(shape) < rng.choice([0.0, 0.3, 1.0]), ends, values).astype(dtype.numpy)


@st.composite
def data(draw: st.DrawFn, shape: tuple[int, ...], dtype: DType) -> Array:
    return full(draw(seeds()), shape, dtype)


@st.composite
def zeros_of(draw: st.DrawFn, dtype: DType, count: int) -> Array:
    """One zero point, or `count` of them; mostly 0 for int8, as weights have."""
    if dtype is DType.INT8 and draw(st.booleans()):
        return np.zeros((), np.int8)
    if draw(st.booleans()):
        return full(draw(seeds()), (count,), dtype)
    return np.asarray(draw(zero_points(dtype)), dtype.numpy)


@st.composite
def outputs(draw: st.DrawFn) -> Quantized:
    dtype = draw(BYTES)
    y = Quantized.full(dtype, draw(zero_points(dtype)))
    if draw(st.booleans()):
        return y
    lo = draw(st.integers(y.lo, y.hi))
    return y.within(lo, draw(st.integers(lo, y.hi)))


def multipliers(draw: st.DrawFn, terms: int, count: int, kinds: tuple[str, ...]) -> Array:
    """Such that sums of `terms` products fill the range, saturate or vanish; powers of two make ties."""
    size = (count,) if draw(st.booleans()) else ()
    rng = np.random.default_rng(draw(seeds()))
    typical = rng.uniform(0.2, 3.0, size) / (np.sqrt(terms) * 50)
    kind = draw(st.sampled_from(kinds))
    values = {
        "typical": typical, "ties": np.exp2(np.round(np.log2(typical))), "large": typical * 2.0**60,
        "tiny": typical * 2.0**-120,
    }[kind]  # fmt: skip
    return np.asarray(values, np.float32)


@st.composite
def conv(draw: st.DrawFn, kind: str, wide: bool = False) -> Case:
    geometry = draw(geometries(kind))
    filters, *taps = geometry.w
    return draw(_product("Conv", geometry.x, geometry.w, math.prod(taps), filters, geometry.attrs, wide))


@st.composite
def _product(
    draw: st.DrawFn,
    name: str,
    left: tuple[int, ...],
    right: tuple[int, ...],
    terms: int,
    channels: int,
    attrs: dict[str, Any],
    wide: bool,
    variable: bool = False,
    dynamic: bool | None = None,
) -> Case:
    """The integer or the requantising form of a product; `wide`: weights less their zero points need nine bits."""
    left_type, right_type = draw(BYTES), draw(BYTES)
    x, w = draw(data(left, left_type)), draw(data(right, right_type))
    zero = np.asarray(draw(zero_points(left_type)), left_type.numpy)
    if wide:
        w = np.array(w)
        w.reshape(-1)[0] = np.iinfo(w.dtype).max
        w_zero = np.asarray(np.iinfo(w.dtype).min, w.dtype)
    elif variable:
        w_zero = draw(zeros_of(right_type, channels))
    else:
        w_zero = np.zeros((), np.int8) if right_type is DType.INT8 else np.asarray(128, np.uint8)
    dynamic = draw(st.booleans()) if dynamic is None else dynamic
    constants = {3, 4, 5} if dynamic else {2, 3, 4, 5}
    if not variable:
        constants |= {1}
    if draw(st.booleans()):
        return Case(f"{name}Integer", (x, w, zero, w_zero), attrs, frozenset(constants - {4, 5}))
    # Kernels for int8 weights take what is known to be small.
    large = wide or variable
    kinds = ("typical", "typical", "ties", "tiny", *(["large"] if large else []))
    multiplier = multipliers(draw, terms, channels, kinds)
    bias = draw(st.none() | tensors((channels,), np.int32))
    if bias is not None and not large:
        bias = bias % np.int32(1 << 16)
    kind = {"Conv": "QLinearConv", "MatMul": "QLinearMatMul"}[name]
    return Case(kind, (x, w, zero, w_zero, multiplier, bias), {**attrs, "y": draw(outputs())}, frozenset(constants))


@st.composite
def matmul(draw: st.DrawFn, variable: bool, wide: bool = False, dynamic: bool | None = None) -> Case:
    """Some of enough rows for several blocks, which are 28 to 64 rows high."""
    high = draw(st.integers(0, 3)) == 0
    m, k, n = draw(st.integers(57, 200) if high else near(4, 5)), draw(near(8, 16)), draw(near(8, 12))
    left = () if high else draw(shapes(2, most=3))
    right: tuple[int, ...] = ()
    if variable:
        right = tuple(d if draw(st.integers(0, 3)) else 1 for d in left[draw(st.integers(0, len(left))) :])
    return draw(_product("MatMul", (*left, m, k), (*right, k, n), k, n, {}, wide, variable, dynamic))


@st.composite
def pointwise(draw: st.DrawFn) -> Case:
    """A unit kernel is a matrix product."""
    depth, filters = draw(near(8)), draw(near(8))
    size = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    attrs = {"strides": (1, 1), "pads": (0,) * 4, "dilations": (1, 1), "group": 1}
    return draw(_product("Conv", (1, depth, *size), (filters, depth, 1, 1), depth, filters, attrs, False))


@st.composite
def quantize(draw: st.DrawFn, kind: str) -> Case:
    shape = draw(shapes(3, most=9))
    dtype = draw(BYTES)
    zero = np.asarray(draw(zero_points(dtype)), dtype.numpy)
    scale = np.asarray(draw(st.sampled_from([1.0, 0.5, 0.037, 3.0, 1e-38, 1e38, 1e-45])), np.float32)
    constants = frozenset(draw(st.sampled_from([(), (1, 2)])))
    if kind == "dequantize":
        return Case("DequantizeLinear", (draw(data(shape, dtype)), scale, zero), {}, constants)
    x = draw(tensors(shape, scale=draw(st.sampled_from([2.0, 40.0]))))
    return Case("QuantizeLinear", (x, scale, zero), {}, constants)


@st.composite
def dynamic(draw: st.DrawFn) -> Case:
    shape = draw(shapes(3, most=9) | st.tuples(near(16, 32, most=70)))
    x = draw(tensors(shape, scale=draw(st.sampled_from([1e-44, 2.0, 1e30]))))
    return Case("DynamicQuantizeLinear", (x + np.float32(draw(st.sampled_from([0.0, 0.0, 5.0, -5.0]))),))


@st.composite
def picture(draw: st.DrawFn) -> Case:
    """Few planes, which become channels-last pixels."""
    case = draw(quantize("quantize"))
    shape = (draw(st.integers(1, 2)), draw(st.integers(2, 4)), draw(near(4, most=9)), draw(near(4, most=9)))
    x = draw(tensors(shape, scale=draw(st.sampled_from([2.0, 40.0]))))
    if draw(st.booleans()):
        return Case("DynamicQuantizeLinear", (x,))
    return replace(case, inputs=(x, *case.inputs[1:]))


@st.composite
def lookup(draw: st.DrawFn) -> Case:
    x = draw(data(draw(shapes(3, most=9)), draw(BYTES)))
    return Case("Lookup", (x, draw(data((256,), draw(BYTES)))), {}, frozenset({1}))


@st.composite
def pair(draw: st.DrawFn, op: str) -> Case:
    shape = draw(shapes(3, most=9))
    other = tuple(d if draw(st.integers(0, 3)) else 1 for d in shape)
    left, right = draw(BYTES), draw(BYTES)
    ratios = st.sampled_from([1.0, 0.5, 0.25, -0.25, 0.7310586, 0.01, 3.7, -3.7, 1e-30, 1e30])
    attrs: dict[str, Any] = {
        "a_zero_point": draw(zero_points(left)), "b_zero_point": draw(zero_points(right)), "y": draw(outputs())
    }  # fmt: skip
    if op == "QLinearAdd":
        attrs |= {"a_ratio": draw(ratios), "b_ratio": draw(ratios)}
    else:
        attrs |= {"ratio": draw(ratios) / 64}
    operands = [draw(data(shape, left)), draw(data(other, right))]
    return Case(op, tuple(operands), attrs)


@st.composite
def sums(draw: st.DrawFn) -> Case:
    """Results of integer products, with channels in the middle or last."""
    shape = draw(shapes(4, most=9).filter(len))
    axis = draw(st.integers(0, len(shape) - 1))
    n = shape[axis]
    scale = draw(tensors((n,) if draw(st.booleans()) else (), scale=draw(st.sampled_from([1e-40, 0.01, 1e30]))))
    bias = draw(st.none() | tensors((n,)))
    clamp = draw(st.sampled_from([Clamp(), Clamp(0.0), Clamp(0.0, 6.0)]))
    constants = frozenset(draw(st.sampled_from([(), (1, 2), (2,)])))
    inputs = (draw(tensors(shape, np.int32)), scale, bias)
    return Case("DequantizeSums", inputs, {"axis": axis, "clamp": clamp}, constants)


@st.composite
def softmax(draw: st.DrawFn) -> Case:
    """Tables of large, of small and of no steps."""
    shape = draw(shapes(3, most=9).filter(len) | st.tuples(near(4, most=13), st.just(1)))
    kind, result = draw(BYTES), draw(BYTES)
    steps = np.arange(256, dtype=np.float32) * np.float32(draw(st.sampled_from([0.0, 0.01, 0.3, 5.0])))
    attrs = {
        "axis": draw(st.integers(0, len(shape) - 1)), "ratio": draw(st.sampled_from([256.0, 255.0, 3.7, 1e6, 1e-3])),
        "y": Quantized.full(result, draw(zero_points(result))),
    }  # fmt: skip
    return Case("QLinearSoftmax", (draw(data(shape, kind)), elementary.exp(-steps)), attrs, frozenset({1}))


CASES = {
    "i8_qgemm": st.one_of(matmul(False), pointwise()),
    "i8_qgemm_w16": st.one_of(matmul(True), matmul(False, wide=True)),
    "i8_qgemm_bias": matmul(False, dynamic=True),
    "x8_qpack": matmul(True),
    "i8_qconv": conv("general"),
    "i8_qconv_w16": conv("general", wide=True),
    "x8_qdwconv": conv("depthwise"),
    "f32_quantize": quantize("quantize"),
    "f32_quantize_pixels": picture(),
    "f32_quantize_range": dynamic(),
    "x8_dequantize": quantize("dequantize"),
    "i32_dequantize_rows": sums(),
    "x8_lookup": lookup(),
    "x8_qadd": pair("QLinearAdd"),
    "x8_qmul": pair("QLinearMul"),
    "x8_softmax": softmax(),
}
