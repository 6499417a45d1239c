"""Where ONNX's rules are not Python's or NumPy's: the smallest inputs, and random ones against the text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.onnx_models import assert_close, imported, single
from tinyinfer import frontend
from tinyinfer.errors import ShapeError
from tinyinfer.types import Array

IMIN, IMAX = -(2**63), 2**63 - 1
LARGEST = np.finfo(np.float32).max
EXTREMES = np.array([0, -0.0, 1, -1, 1e-45, -1e-45, 1e-30, -1e-30, 30, -30, 1e30, -1e30, np.inf, -np.inf, np.nan], "f4")


def effective(extent: int, start: int, end: int, step: int) -> list[int]:
    """Slice-13, sentence by sentence: the indices that are taken of an axis."""
    start, end = (n + extent if n < 0 else n for n in (start, end))
    most = extent if step > 0 else extent - 1
    start, end = max(min(start, most), 0), max(min(end, most), 0 if step > 0 else -1)
    taken = []
    while start < end if step > 0 else start > end:
        taken.append(start)
        start += step
    return taken


@given(st.integers(0, 6), *[st.integers(-9, 9) | st.sampled_from([IMIN, IMAX, -(2**31), 2**31 - 1])] * 3)
def test_slice_clamps_as_onnx_does(extent: int, start: int, end: int, step: int) -> None:
    x = np.arange(2 * extent, dtype=np.float32).reshape(2, extent)
    bounds = [np.array([n]) for n in (start, end, 1, step or 1)]
    wanted = [i for i in effective(extent, start, end, step or 1) if i < extent]
    assert_close(imported(*single("Slice", [x, *bounds], [1, 2, 3, 4])), {"y": x[:, wanted]}, 0)


def test_a_backward_slice_that_starts_before_the_axis_takes_the_first_element() -> None:
    bounds = [np.array([n]) for n in (-10, IMIN, 0, -1)]
    proto, feeds = single("Slice", [np.arange(5, dtype=np.float32), *bounds], [1, 2, 3, 4])
    assert imported(proto, feeds)["y"].tolist() == [0]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8, np.bool_])
def test_pad_keeps_every_bit_of_an_integer(dtype: type) -> None:
    value = np.array(True) if dtype is np.bool_ else np.array(np.iinfo(dtype).max, dtype)
    proto, feeds = single("Pad", [np.zeros(1, dtype), np.array([1, 1]), value], [1, 2], opset=19)
    assert imported(proto, feeds)["y"].tolist() == [value, 0, value]


@given(
    st.integers(1, 4), st.integers(-6, 9), st.integers(-6, 9), st.sampled_from(["constant", "edge", "reflect", "wrap"])
)
def test_pads_cut_then_extend(extent: int, begin: int, end: int, mode: str) -> None:
    """The size is extent + begin + end. Elements that are not X's are the constant, or repeat those that were kept."""
    x = np.arange(extent, dtype=np.float32)
    proto, feeds = single("Pad", [x, np.array([begin, end]), np.float32(9)], [1, 2], opset=19, mode=mode)
    size = extent + begin + end
    kept = x[max(-begin, 0) : max(extent + min(end, 0), 0)]
    if size < 0 or (mode != "constant" and not kept.size and size):
        with pytest.raises(ShapeError, match=r"the shape \[-\d+\]|nothing to repeat"):
            frontend.load(proto)
        return
    if mode == "constant":
        places = [i - begin for i in range(size)]
        expected = np.array([x[i] if 0 <= i < extent else 9 for i in places], np.float32)
    else:
        expected = np.pad(kept, (max(begin, 0), max(end, 0)), mode) if size else kept[:0]  # type: ignore[call-overload]
    assert_close(imported(proto, feeds), {"y": expected}, 0)


@pytest.mark.parametrize("constants", [(1, 2), (1,), (2,), ()])
@pytest.mark.parametrize("low", [None, np.nan, -np.inf, 3.0, 0.0])
@pytest.mark.parametrize("high", [None, np.nan, np.inf, 1.0])
def test_clip_is_a_maximum_and_a_minimum(low: float | None, high: float | None, constants: tuple[int, ...]) -> None:
    """However the bounds are given. Absent ones are the ends of the finite numbers; min > max gives max."""
    bounds = [None if b is None else np.array(b, np.float32) for b in (low, high)]
    proto, feeds = single("Clip", [EXTREMES, *bounds], [i for i in constants if bounds[i - 1] is not None])
    at_least = np.maximum(EXTREMES, np.float32(-LARGEST if low is None else low))
    assert_close(imported(proto, feeds), {"y": np.minimum(at_least, np.float32(LARGEST if high is None else high))}, 0)


@pytest.mark.parametrize("constants", [(1, 2), (1,), (2,), ()])
@pytest.mark.parametrize("low", [-1.0, -0.0, 0.0])
@pytest.mark.parametrize("high", [-0.0, 0.0, 1.0])
def test_zeros_within_the_bounds_keep_their_sign(low: float, high: float, constants: tuple[int, ...]) -> None:
    """Clip-13 replaces what is less than min or greater than max. Zeros are neither, beside a bound of the other."""
    x = np.array([-0.0, 0.0], np.float32)
    proto, feeds = single("Clip", [x, *(np.array(b, np.float32) for b in (low, high))], constants)
    assert np.signbit(imported(proto, feeds)["y"]).tolist() == [True, False]


@pytest.mark.parametrize("bound", ["min", "max"])
def test_a_bound_that_is_nan_as_an_attribute(bound: str) -> None:
    proto, feeds = single("Clip", [EXTREMES], opset=6 + 1, **{bound: math.nan})
    assert np.isnan(imported(proto, feeds)["y"]).all()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("constants", [(1,), ()])
def test_clip_of_integers_with_an_open_side(dtype: type, constants: tuple[int, ...]) -> None:
    info = np.iinfo(dtype)
    x = np.array([info.min, -1, 0, 1, info.max], dtype)
    proto, feeds = single("Clip", [x, np.array(0, dtype)], constants)
    assert imported(proto, feeds)["y"].tolist() == [0, 0, 0, 1, info.max]


def celu(x: Array, alpha: float) -> Array:
    ratio = x / alpha
    grown = np.expm1(ratio) if alpha > 0 else np.exp(ratio) - 1
    return np.maximum(x, 0) + np.minimum(0, alpha * grown)


# The formulas of the specification, in float64.
FORMULAS = {
    "Celu": celu,
    "Elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
    "HardSigmoid": lambda x, alpha, beta=0.5: np.maximum(0, np.minimum(1, alpha * x + beta)),
    "LeakyRelu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "Selu": lambda x, alpha, gamma=1.5: np.where(x <= 0, gamma * (alpha * np.expm1(np.minimum(x, 0))), gamma * x),
    "Shrink": lambda x, lambd, bias=0.5: np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0)),
    "ThresholdedRelu": lambda x, alpha: np.where(x > alpha, x, 0),
}


@pytest.mark.parametrize("parameter", [1.0, 0.5, 0.0, -2.0, 1e-30, 1e30, -1e-30])
@pytest.mark.parametrize("op", sorted(FORMULAS))
def test_functions_at_the_ends_of_their_range(op: str, parameter: float) -> None:
    name = "lambd" if op == "Shrink" else "alpha"
    attrs = {name: parameter} | {"Shrink": {"bias": 0.5}, "Selu": {"gamma": 1.5}}.get(op, {})
    with np.errstate(all="ignore"):
        wide = FORMULAS[op](EXTREMES.astype(np.float64), float(np.float32(parameter)))
        expected = wide.astype(np.float32)
    actual = imported(*single(op, [EXTREMES], opset=12, **attrs))["y"]
    # A function of x / alpha loses what falls below float32's range.
    lost = np.float32(abs(parameter) * 2e-45) if op in ("Celu", "Selu", "Elu") else np.float32(3e-45)
    np.testing.assert_allclose(actual, expected, 1e-6, max(lost, np.float32(3e-45)), equal_nan=True)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.int8])
@pytest.mark.parametrize(("lambd", "bias"), [(1, 1), (1.5, 1.5), (-0.5, 0), (0.5, 0.25)])
def test_shrink_of_integers(dtype: type, lambd: float, bias: float) -> None:
    x = np.arange(0 if dtype is np.uint8 else -4, 5).astype(dtype)
    wide = x.astype(np.float64)
    expected = np.trunc(np.where(wide < -lambd, wide + bias, np.where(wide > lambd, wide - bias, 0))).astype(dtype)
    assert_close(imported(*single("Shrink", [x], lambd=float(lambd), bias=float(bias))), {"y": expected}, 0)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(("kernel", "stride", "begin"), [(5, 2, 0), (6, 3, 1), (6, 4, 1)])
def test_a_window_larger_than_the_map_counts_with_ceil_mode(op: str, kernel: int, stride: int, begin: int) -> None:
    x = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 4)
    attrs = {"kernel_shape": [kernel], "strides": [stride], "pads": [begin, 0], "ceil_mode": 1}
    expected = np.array([[[4 if op == "MaxPool" else 2.5]]], np.float32)
    assert_close(imported(*single(op, [x], opset=19, **attrs)), {"y": expected}, 0)


OPERANDS: list[tuple[str, list[tuple[int, ...]], dict]] = [
    *((op, [(3, 15), (15,)], {}) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Equal", "Less")),
    *((op, [(3, 15), (3, 1), (1, 15)], {}) for op in ("Sum", "Mean", "Max", "Min")),
    ("MatMul", [(3, 15), (15, 9)], {}),
    ("Gemm", [(15, 3), (9, 15), (9,)], {"transA": 1, "transB": 1, "alpha": 0.3, "beta": -1.5}),
    ("Conv", [(1, 2, 15), (3, 2, 3), (3,)], {}),
    ("ConvTranspose", [(1, 2, 15), (2, 3, 3), (3,)], {"strides": [2]}),
    ("BatchNormalization", [(1, 15, 2), *[(15,)] * 4], {}),
    ("InstanceNormalization", [(1, 15, 2), (15,), (15,)], {}),
    ("LayerNormalization", [(3, 15), (15,), (15,)], {}),
]


@pytest.mark.parametrize(("op", "shapes", "attrs"), OPERANDS)
def test_an_operand_means_the_same_as_a_constant_and_as_an_input(op: str, shapes: list, attrs: dict) -> None:
    random = np.random.default_rng(1)
    inputs = [np.resize(random.permutation(EXTREMES), shape) for shape in shapes]
    whole = imported(*single(op, inputs, opset=17, **attrs))
    for fixed in range(len(inputs)):
        assert_close(imported(*single(op, inputs, [fixed], opset=17, **attrs)), whole, 0)
