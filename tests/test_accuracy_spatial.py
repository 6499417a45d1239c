"""Spatial and normalisation references against the evaluator of the onnx package, in float64, by a stated contract.

The evaluator is an independent implementation of the ONNX specification. Where it departs from the text, the test says
so and uses the text.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tests.cases import conv, linear, normalization, pooling, reduction, resize
from tests.contracts import UNIT, Sum, ordinary
from tests.differential import Case
from tinyinfer import registry
from tinyinfer.ref import interpreter
from tinyinfer.types import Array, Clamp

OPSET = 21


def evaluate(case: Case) -> Array:
    """The reference's first output."""
    return interpreter.apply(registry.reference_of(case.op), list(case.inputs), case.attrs)[0]


def oracle(op: str, inputs: list[Array | None], **attrs: Any) -> Array:
    """The ONNX operator evaluated by the onnx package, float32 inputs widened to float64."""
    names = ["" if a is None else f"x{i}" for i, a in enumerate(inputs)]
    feeds = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in zip(names, inputs) if a is not None}
    node = helper.make_node(op, names, ["y"], **attrs)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in feeds.items()
    ]
    result = helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, None)
    graph = helper.make_graph([node], op, infos, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    return np.asarray(ReferenceEvaluator(model).run(None, feeds)[0])


def assert_within(actual: Array, expected: Array, bound: Array | float) -> None:
    """Element-wise |actual − expected| ≤ bound, and the same shape."""
    assert actual.shape == expected.shape
    error = np.abs(actual.astype(np.float64) - expected)
    assert (error <= bound).all(), f"error {np.max(error)} at {np.unravel_index(np.argmax(error), error.shape)}"


# ── pooling ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def naive_pool(case: Case) -> Array:
    """MaxPool or AveragePool in float64, window by window; positions beyond the padded input do not exist."""
    (x,), attrs = case.inputs, case.attrs
    assert x is not None
    pads, dilations, strides = attrs["pads"], attrs["dilations"], attrs["strides"]
    spatial = x.ndim - 2
    wide = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *zip(pads[:spatial], pads[spatial:])), constant_values=np.nan)
    shape = evaluate(case).shape
    y = np.empty(shape)
    for place in np.ndindex(*shape[2:]):
        taps = []
        for tap in np.ndindex(*attrs["kernel_shape"]):
            at = [o * s + k * d for o, s, k, d in zip(place, strides, tap, dilations)]
            if all(i < n for i, n in zip(at, wide.shape[2:])):
                taps.append(wide[(slice(None), slice(None), *at)])
        window = np.array(taps)
        if case.op == "MaxPool":
            y[(..., *place)] = np.fmax.reduce(window, initial=-np.inf)
        else:
            missing = np.isnan(window)
            count = len(window) if attrs["count_include_pad"] else np.count_nonzero(~missing, axis=0)
            y[(..., *place)] = np.where(missing, 0, window).sum(axis=0) / count
    return y


@given(pooling.pool("MaxPool"), st.integers(0, 99))
def test_max_pool_is_exact(case, seed):
    case = ordinary(case, seed)
    assert evaluate(case).tolist() == naive_pool(case).tolist()


@given(pooling.pool("AveragePool"), st.integers(0, 99))
@pytest.mark.filterwarnings("ignore:invalid value")
def test_average_pool(case, seed):
    """γ of the number of taps times the largest element; windows without a tap are NaN in both."""
    case = ordinary(case, seed)
    actual, expected = evaluate(case), naive_pool(case)
    assert (np.isnan(actual) == np.isnan(expected)).all()
    bound = (np.prod(case.attrs["kernel_shape"]) + 1) * UNIT * np.abs(case.inputs[0]).max()
    assert_within(np.nan_to_num(actual), np.nan_to_num(expected), bound)


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "pads", "windows"),
    [
        (4, 2, 2, (0, 0), 2),
        (5, 2, 2, (0, 0), 3),  # the last window holds one element
        (5, 3, 2, (0, 0), 2),
        (4, 1, 3, (0, 0), 2),
        (2, 1, 3, (0, 1), 1),  # a second window would begin in the padding
        (6, 3, 4, (1, 1), 2),  # so would a third one here
        (7, 2, 4, (1, 1), 2),
        (8, 2, 4, (1, 1), 3),
    ],
)
def test_ceil_mode_counts_windows_that_begin_inside(length, kernel, stride, pads, windows):
    x = np.zeros((1, 1, length), np.float32)
    attrs = {"kernel_shape": (kernel,), "strides": (stride,), "pads": pads, "dilations": (1,), "ceil_mode": True}
    assert evaluate(Case("MaxPool", (x,), attrs)).shape == (1, 1, windows)


# ── resampling ───────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def resizes(draw: st.DrawFn) -> Case:
    """Cases on which the evaluator follows the text: it computes lengths as scale times length, coordinates in floating
    point, excludes neighbours in nearest mode too, and gives a pytorch_half_pixel axis of length 1 the coordinate -0.5.
    """
    case = draw(resize.resize())
    attrs = dict(case.attrs)
    lengths = zip(case.inputs[0].shape, attrs["scales"], attrs["sizes"])
    assume(all(float(np.float32(scale)) == scale and d * scale == size for d, scale, size in lengths))
    assume(attrs["coordinate_transformation_mode"] != "pytorch_half_pixel" or min(attrs["sizes"]) > 1)
    attrs["exclude_outside"] = attrs["exclude_outside"] and attrs["mode"] != "nearest"
    attrs["roi"] = tuple(round(4 * border) / 4 for border in attrs["roi"])
    return Case(case.op, case.inputs, attrs)


@given(resizes(), st.integers(0, 99))
def test_resize(case, seed):
    """Exact for nearest; else each of at most 4 axes rounds up to 4 weights, products and sums, Σ|w| ≤ 2."""
    case = ordinary(case, seed)
    (x,), attrs = case.inputs, dict(case.attrs)
    roi = np.array(attrs.pop("roi"), np.float64)
    scales = np.array(attrs.pop("scales"), np.float32)
    del attrs["sizes"]
    attrs["exclude_outside"] = int(attrs["exclude_outside"])
    expected = oracle("Resize", [x, roi if roi.size else None, scales], **attrs)
    bound = 0 if attrs["mode"] == "nearest" else 4 * 12 * UNIT * 2**4 * max(np.abs(x).max(), 7.5)
    assert_within(evaluate(case), expected, bound)


@pytest.mark.parametrize("length", [2, 5, 30, 100, 333])
def test_nearest_hits_the_pixels_a_scale_means(length):
    """1/3 is no float32, yet downsampling by it takes every third pixel, as a float32 division would."""
    x = np.arange(3 * length, dtype=np.float32)
    attrs = {
        "sizes": (length,),
        "scales": (float(np.float32(1 / 3)),),
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
        "cubic_coeff_a": -0.75,
        "exclude_outside": False,
        "extrapolation_value": 0.0,
        "roi": (),
    }
    assert evaluate(Case("Resize", (x,), attrs)).tolist() == x[::3].tolist()


# ── reductions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(reduction.reduce("ReduceSum") | reduction.reduce("ReduceMean"), st.integers(0, 99))
def test_reduce_sum_and_mean(case, seed):
    """γ of the number of terms times Σ|x|, over all of X; a mean of nothing is NaN."""
    case = ordinary(case, seed)
    (x,), axes = case.inputs, case.attrs["axes"]
    count = np.prod([x.shape[a] for a in axes])
    assume(count > 0 and x.size > 0)
    combine = np.sum if case.op == "ReduceSum" else np.mean
    expected = combine(x.astype(np.float64), axis=axes, keepdims=case.attrs["keepdims"])
    assert_within(evaluate(case), expected, (count + 1) * UNIT * np.abs(x).sum())


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin", "ArgMax", "ArgMin"])
def test_selections_are_exact(op):
    @given((reduction.arg if op.startswith("Arg") else reduction.reduce)(op, np.float32), st.integers(0, 99))
    def check(case, seed):
        """Small whole numbers give ties."""
        case = ordinary(case, seed)
        x = np.rint(case.inputs[0])
        assume(x.size > 0)
        attrs = {k: int(v) if isinstance(v, bool) else v for k, v in case.attrs.items()}
        expected = oracle(op, [x, np.array(attrs.pop("axes"))] if "axes" in attrs else [x], **attrs)
        assert evaluate(Case(op, (x,), case.attrs)).tolist() == expected.tolist()

    check()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_nan_and_signed_zeros_in_arg(op, last):
    """NaN is chosen before any number; +0 and -0 are equal."""
    sign = 1.0 if op == "ArgMax" else -1.0
    rows = np.array([[1, np.nan, 3, np.nan], [-1, 0.0, -0.0, -2], [-np.inf] * 4, [1, np.inf, np.inf, 0]], np.float32)
    case = Case(op, (rows * np.float32(sign),), {"axis": 1, "keepdims": False, "select_last_index": last})
    assert evaluate(case).tolist() == ([3, 2, 3, 2] if last else [1, 1, 0, 1])


# ── normalisation ────────────────────────────────────────────────────────────────────────────────────────────────────


def assert_normalized(case: Case, rows: Array, epsilon: float) -> None:
    """Where rows of n elements vary, mean and variance are known to n roundings relative to the largest element.

    |error| ≤ (2n + 16)·u·(max|x| / σ)²·max|scale| + 4u·max|bias|, σ the least deviation √(var + epsilon) of any row.
    """
    x, *parameters = case.inputs
    deviation = np.sqrt(rows.astype(np.float64).var(axis=-1) + epsilon).min()
    assume(deviation > 0.05)
    expected = oracle(case.op, list(case.inputs), **case.attrs)
    largest = [np.abs(p).max() for p in parameters if p is not None]
    bound = (2 * rows.shape[-1] + 16) * UNIT * (max(np.abs(x).max(), 1) / deviation) ** 2 * max(*largest, 1)
    assert_within(evaluate(case), expected, bound)


@given(normalization.batch_normalization(), st.integers(0, 99))
def test_batch_normalization(case, seed):
    """A handful of roundings, none of them of a sum over many elements."""
    case = ordinary(case, seed)
    inputs = [*case.inputs[:4], np.abs(case.inputs[4]) + np.float32(0.25)]
    case = Case(case.op, tuple(inputs), case.attrs)
    x, scale, bias, mean, var = (a.astype(np.float64) for a in inputs)
    along = (-1, *(1,) * (x.ndim - 2))
    expected = (x - mean.reshape(along)) / np.sqrt(var + case.attrs["epsilon"]).reshape(along)
    expected = expected * scale.reshape(along) + bias.reshape(along)
    assert_within(evaluate(case), expected, 8 * UNIT * (np.abs(x).max() + 8) * (2 * np.abs(scale).max() + 1) + UNIT * 8)


@given(normalization.instance_normalization(), st.integers(0, 99))
def test_instance_normalization(case, seed):
    case = ordinary(case, seed)
    x = case.inputs[0]
    assert_normalized(case, x.reshape(*x.shape[:2], -1), case.attrs["epsilon"])


@given(normalization.layer_normalization(), st.integers(0, 99))
def test_layer_normalization(case, seed):
    case = ordinary(case, seed)
    x = case.inputs[0]
    assert_normalized(case, x.reshape(*x.shape[: case.attrs["axis"]], -1), case.attrs["epsilon"])


# ── convolutions and products ────────────────────────────────────────────────────────────────────────────────────────


def naive_conv_transpose(
    x: Array, w: Array, bias: Array | None, *, strides, pads, dilations, output_padding, group, **_: Any
) -> Array:
    """ConvTranspose in float64 as its definition: every input element adds its multiple of the kernel to the output."""
    spatial = x.ndim - 2
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, w.shape[2:])]
    full = [s * (n - 1) + r + e for s, n, r, e in zip(strides, x.shape[2:], reach, output_padding)]
    y = np.zeros((x.shape[0], w.shape[1] * group, *full))
    depth, filters = x.shape[1] // group, w.shape[1]
    for c in range(x.shape[1]):
        out = slice(c // depth * filters, (c // depth + 1) * filters)
        for place in np.ndindex(*x.shape[2:]):
            for tap in np.ndindex(*w.shape[2:]):
                at = tuple(p * s + t * d for p, s, t, d in zip(place, strides, tap, dilations))
                y[(slice(None), out, *at)] += x[(slice(None), c, *place)][:, None] * w[(c, slice(None), *tap)]
    inner = (slice(pads[i], full[i] - pads[spatial + i]) for i in range(spatial))
    y = y[(slice(None), slice(None), *inner)]
    return y if bias is None else y + bias.reshape(-1, *(1,) * spatial)


@given(conv.conv_transpose("general") | conv.conv_transpose("depthwise"), st.integers(0, 99))
def test_conv_transpose(case, seed):
    """γ of the number of terms times |b| + Σ|x·w|."""
    case = ordinary(case, seed)
    x, w, bias = (None if a is None else a.astype(np.float64) for a in case.inputs)
    attrs = {**case.attrs, "clamp": Clamp()}
    terms = w[0].size * x.shape[1]
    magnitude = naive_conv_transpose(np.abs(x), np.abs(w), None if bias is None else np.abs(bias), **attrs)
    exact = naive_conv_transpose(x, w, bias, **attrs)
    assert_within(evaluate(Case(case.op, case.inputs, attrs)), exact, Sum(terms + 1, magnitude)(exact))


@given(conv.conv("general") | conv.conv("depthwise"), st.integers(0, 99))
def test_conv(case, seed):
    """γ of the number of terms times |b| + Σ|x·w| + |r|."""
    case = ordinary(case, seed)
    (x, w, bias, residual), attrs = case.inputs, {**case.attrs, "clamp": Clamp()}
    plain = {name: value for name, value in attrs.items() if name != "clamp"}

    def exact(*operands: Array | None) -> Array:
        y = oracle("Conv", [a for a in operands[:3] if a is not None], **plain)
        return y if operands[3] is None else y + operands[3]

    magnitude = exact(*(None if a is None else np.abs(a) for a in case.inputs))
    bound = Sum(w[0].size + 2, magnitude)(magnitude)
    assert_within(evaluate(Case(case.op, case.inputs, attrs)), exact(x, w, bias, residual), bound)


def filtered(x: Array, w: Array, pads: tuple[int, ...]) -> Array:
    """What minimal filtering makes of the absolute values of everything that it adds, [N, M, OH, OW] in float64."""
    across = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])
    halves = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]])
    back = np.array([[1, 1, 1, 0], [0, 1, 1, 1]])
    size = [x.shape[2 + i] + pads[i] + pads[2 + i] - 2 for i in range(2)]
    inputs = np.abs(np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2] + 1), (pads[1], pads[3] + 1))).astype(np.float64))
    u = halves @ np.abs(w.astype(np.float64)) @ halves.T
    y = np.zeros((x.shape[0], w.shape[0], size[0] + 1, size[1] + 1))
    for i, j in itertools.product(range(0, size[0], 2), range(0, size[1], 2)):
        v = across @ inputs[:, :, i : i + 4, j : j + 4] @ across.T
        y[:, :, i : i + 2, j : j + 2] = back @ np.einsum("ncij,mcij->nmij", v, u) @ back.T
    return y[:, :, : size[0], : size[1]]


@given(conv.winograd(), st.integers(0, 99))
def test_minimal_filtering(case, seed):
    """γ of the number of operations that a product goes through times what absolute values would give."""
    case = ordinary(case, seed)
    (x, w, bias, residual), attrs = case.inputs, {**case.attrs, "clamp": Clamp()}
    assert x is not None
    assert w is not None
    window = {name: attrs[name] for name in ("strides", "pads", "dilations")}
    exact = oracle("Conv", [a for a in (x, w, bias) if a is not None], **window)
    magnitude = filtered(x, w, attrs["pads"]) + (0 if bias is None else np.abs(bias)[:, None, None])
    if residual is not None:
        exact, magnitude = exact + residual, magnitude + np.abs(residual)
    # Two sums for an input, four for a filter, a product and its sums, four for an output, bias and residual.
    bound = Sum(2 + 4 + 1 + w.shape[1] + 4 + 2, magnitude)(magnitude)
    assert_within(evaluate(Case(case.op, case.inputs, attrs)), exact, bound)


@pytest.mark.parametrize("channels", [16, 64, 256])
@pytest.mark.parametrize("floor", [-np.inf, 0.0], ids=["normal", "rectified"])
def test_minimal_filtering_is_more_accurate_than_the_direct_sum(floor: float, channels: int):
    random = np.random.default_rng(channels)
    x = np.maximum(random.standard_normal((1, channels, 12, 12), np.float32), np.float32(floor))
    w = random.standard_normal((16, channels, 3, 3), np.float32)
    window = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
    exact = oracle("Conv", [x, w], **window)
    direct, minimal = (
        np.abs(evaluate(Case("Conv", (x, w), {**window, "winograd": winograd})) - exact).max()
        for winograd in (False, True)
    )
    assert minimal < direct


@given(linear.matmul(True), st.integers(0, 99))
def test_matmul(case, seed):
    """γ of the number of terms times |bias| + Σ|a·b| + |r|."""
    case = ordinary(case, seed)

    def exact(a: Array, b: Array, bias: Array | None, residual: Array | None) -> Array:
        y = np.matmul(a.astype(np.float64), b.astype(np.float64))
        return y + (0 if bias is None else bias) + (0 if residual is None else residual)

    magnitude = exact(*(None if a is None else np.abs(a) for a in case.inputs))
    bound = Sum(case.inputs[0].shape[-1] + 2, magnitude)(magnitude)
    assert_within(evaluate(Case(case.op, case.inputs, {"clamp": Clamp()})), exact(*case.inputs), bound)


@given(normalization.lrn(), st.integers(0, 99))
def test_lrn(case, seed):
    """With bias and alpha positive: a rounding for each term of the sum, times |beta|, a few for power and quotient."""
    case = ordinary(case, seed)
    attrs = {**case.attrs, "bias": abs(case.attrs["bias"]) + 1.0}
    x = case.inputs[0].astype(np.float64)
    total = np.zeros_like(x)
    for c in range(x.shape[1]):
        first, last = c - (attrs["size"] - 1) // 2, c + -(-(attrs["size"] - 1) // 2)
        total[:, c] = (x[:, max(first, 0) : last + 1] ** 2).sum(axis=1)
    expected = x / (attrs["bias"] + attrs["alpha"] / attrs["size"] * total) ** attrs["beta"]
    bound = ((attrs["size"] + 6) * abs(attrs["beta"]) + 4) * UNIT * np.abs(expected)
    assert_within(evaluate(Case(case.op, case.inputs, attrs)), expected, bound)
