"""Element-wise operators in every opset form, against ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4)).astype(np.float32)
POSITIVE = np.abs(X) + np.float32(0.1)
I64 = RNG.integers(-5, 6, (2, 3, 4))
I32 = I64.astype(np.int32)
BOOLS = RNG.random((2, 3, 4)) < 0.5
ROW = RNG.standard_normal((3, 1)).astype(np.float32)


def scalar(value: float, dtype: type = np.float32) -> np.ndarray:
    return np.asarray(value, dtype)


@pytest.mark.parametrize(
    ("op", "opset", "x", "attrs"),
    [
        *((op, 13, X, {}) for op in ("Abs", "Ceil", "Erf", "Exp", "Floor", "Neg", "Relu", "Sigmoid", "Tanh")),
        *((op, 13, POSITIVE, {}) for op in ("Log", "Reciprocal", "Sqrt")),
        ("Round", 11, X * 3, {}),
        ("Softplus", 13, X, {}),
        ("HardSwish", 14, X * 3, {}),
        ("Mish", 18, X, {}),
        ("Gelu", 20, X, {}),
        ("Gelu", 20, X, {"approximate": "tanh"}),
        ("Elu", 13, X, {}),
        ("Elu", 13, X, {"alpha": 0.5}),
        ("LeakyRelu", 13, X, {}),
        ("LeakyRelu", 13, X, {"alpha": 0.3}),
        ("HardSigmoid", 13, X * 3, {}),
        ("HardSigmoid", 13, X * 3, {"alpha": 0.3, "beta": 0.4}),
        ("Relu", 14, I32, {}),
        ("Abs", 13, I64, {}),
        ("Neg", 13, I32, {}),
        ("Not", 13, BOOLS, {}),
    ],
)
def test_unary(op: str, opset: int, x: np.ndarray, attrs: dict) -> None:
    """Floats within 1e-6: our functions are accurate to a few ulp; integers and booleans are exact."""
    proto, feeds = single(op, [x], opset=opset, **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6, op)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    ("op", "a", "b"),
    [
        *((op, X, ROW) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Less", "Greater", "Equal")),
        *((op, X, ROW) for op in ("LessOrEqual", "GreaterOrEqual")),
        *((op, I64, I64[:, :1]) for op in ("Add", "Sub", "Mul", "Max", "Min", "Less", "Greater", "Equal")),
        *((op, I32, I32[0]) for op in ("Add", "Sub", "Mul", "Max", "Min", "LessOrEqual", "GreaterOrEqual")),
        *((op, BOOLS, BOOLS[0, :1]) for op in ("And", "Or", "Xor", "Equal")),
    ],
)
def test_binary(op: str, a: np.ndarray, b: np.ndarray, swap: bool) -> None:
    """Exact: one rounding at most. Operands differ in shape, so an exchanged pair would show."""
    proto, feeds = single(op, [b, a] if swap else [a, b])
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0, op)


def test_opset_7_broadcasts_like_the_newest() -> None:
    for op in ("Add", "Less", "Greater"):
        proto, feeds = single(op, [X, ROW], opset=7)
        newest, _ = single(op, [X, ROW], opset=13)
        assert_close(imported(proto, feeds), oracle(newest, feeds), 0, op)


def test_integer_division_truncates() -> None:
    proto, feeds = single("Div", [np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])])
    assert imported(proto, feeds)["y"].tolist() == [3, -3, -3, 3]


@pytest.mark.parametrize(
    ("base", "exponent"),
    [(POSITIVE, X), (X, scalar(2)), (X, scalar(3, np.int64)), (POSITIVE, scalar(0.5)), (X, I32)],
)
def test_pow_takes_exponents_of_another_type(base: np.ndarray, exponent: np.ndarray) -> None:
    proto, feeds = single("Pow", [base, exponent], opset=15)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5, "Pow")


@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_nary(op: str, count: int) -> None:
    proto, feeds = single(op, [X, ROW, X[:1], X * 2][:count])
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6, op)


def test_prelu_where() -> None:
    proto, feeds = single("PRelu", [X, ROW], [1])
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)
    for a, b in ((X, ROW), (I64, I64[0]), (BOOLS, ~BOOLS)):
        proto, feeds = single("Where", [BOOLS[:1], a, b])
        assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


@pytest.mark.parametrize("constants", [(1, 2), ()])
@pytest.mark.parametrize(
    ("low", "high"),
    [(-0.5, 0.5), (None, 0.5), (-0.5, None), (1.0, -1.0)],
)
def test_clip_by_input(low: float | None, high: float | None, constants: tuple[int, ...]) -> None:
    bounds = [None if b is None else scalar(b) for b in (low, high)]
    fixed = [i for i in constants if bounds[i - 1] is not None]
    proto, feeds = single("Clip", [X, *bounds], fixed)
    expected = X
    if low is not None:
        expected = np.maximum(expected, np.float32(low))
    if high is not None:
        expected = np.minimum(expected, np.float32(high))
    assert_close(imported(proto, feeds), {"y": expected}, 0)


def test_clip_by_attribute() -> None:
    proto, feeds = single("Clip", [X], opset=7, min=-0.5, max=0.75)
    assert_close(imported(proto, feeds), {"y": np.clip(X, np.float32(-0.5), np.float32(0.75))}, 0)
    proto, feeds = single("Clip", [X], opset=10, max=0.25)
    assert_close(imported(proto, feeds), {"y": np.minimum(X, np.float32(0.25))}, 0)


def test_an_absent_bound_is_the_largest_finite_number() -> None:
    """ONNX Clip: min and max default to numeric_limits::lowest() and max()."""
    largest = np.finfo(np.float32).max
    for opset in (7, 13):
        proto, feeds = single("Clip", [np.array([-np.inf, np.inf, 1], np.float32)], opset=opset)
        assert imported(proto, feeds)["y"].tolist() == [-largest, largest, 1]


def test_clip_of_integers() -> None:
    for dtype in (np.int32, np.int64):
        proto, feeds = single("Clip", [I64.astype(dtype), scalar(-2, dtype), scalar(3, dtype)], [1])
        assert_close(imported(proto, feeds), {"y": np.clip(I64, -2, 3).astype(dtype)}, 0)


def test_clip_checks_its_bounds() -> None:
    proto, _ = single("Clip", [X, np.zeros(2, np.float32)])
    with pytest.raises(ModelError, match=r"node node \(Clip\): min is float32\[2\]; expected one value"):
        frontend.load(proto)
    proto, _ = single("Clip", [X, scalar(1, np.int64)])
    with pytest.raises(ModelError, match=r"input 1 \(min\) is int64; expected float32 as before it"):
        frontend.load(proto)


@pytest.mark.parametrize("source", [X * 9, I64, I32, BOOLS, (np.abs(I64)).astype(np.uint8)])
@pytest.mark.parametrize(
    "to", [TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.UINT8]
)
def test_cast(source: np.ndarray, to: int) -> None:
    x = np.abs(source) if to == TensorProto.UINT8 and source.dtype != bool else source
    proto, feeds = single("Cast", [x], to=to)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


def test_cast_like() -> None:
    proto, feeds = single("CastLike", [I64, X], opset=15)
    assert_close(imported(proto, feeds), {"y": I64.astype(np.float32)}, 0)


@pytest.mark.parametrize(("to", "name"), [(TensorProto.DOUBLE, "double"), (TensorProto.FLOAT16, "float16"), (99, "99")])
def test_cast_to_an_unsupported_type(to: int, name: str) -> None:
    proto, _ = single("Cast", [X], to=to)
    with pytest.raises(UnsupportedError, match=rf"node node \(Cast\): attribute to is .*{name}.*; accepted: float32, "):
        frontend.load(proto)


def test_shapes_that_do_not_broadcast() -> None:
    proto, _ = single("Add", [X, X[:, :2]])
    with pytest.raises(ShapeError, match=r"test: node node \(Add\): shapes .* do not broadcast"):
        frontend.load(proto)
