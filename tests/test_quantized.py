"""Quantised models: what is imported, what becomes integers, what is rejected, and how exact results are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tests.conftest import ENGINES
from tests.differential import assert_same_bits, run_hostile
from tests.onnx_models import assert_close, imported, model, oracle, run, single
from tests.strategies import tensor
from tinyinfer import compiler, frontend, passes
from tinyinfer.cli.integers import arithmetic
from tinyinfer.errors import ModelError
from tinyinfer.types import Array

MICROSOFT = "com.microsoft"
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (2, 3, 5, 5)).astype(np.uint8)
W = RNG.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)
CHANNELS = np.asarray([0.01, 0.02, 0.005, 0.04], np.float32)
S = np.float32
WINDOWED = ["Reshape", "Transpose"]


def node(op: str, *inputs: str, outputs: tuple[str, ...] = ("y",), domain: str = "", **attrs: Any) -> Any:
    return helper.make_node(op, inputs, outputs, name="node", domain=domain, **attrs)


def outputs(nodes: list[Any], feeds: Mapping[str, Array], constants: Mapping[str, Array], opset: int = 19) -> Array:
    """The result `y` of the imported and rewritten graph, and of its plan."""
    proto = model(nodes, feeds, ("y",), constants, opset)
    proto.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    graph = passes.run(frontend.load(proto))
    y = run(graph, feeds)["y"]
    planned = run_hostile(compiler.lower(graph), feeds, ENGINES[0], 0xFF, 1)["y"]
    assert_same_bits(planned, y, f"the plan of {graph}")
    return y


def operators(nodes: list[Any], feeds: Mapping[str, Array], constants: Mapping[str, Array]) -> list[str]:
    return [n.op for n in passes.run(frontend.load(model(nodes, feeds, ("y",), constants, 19))).nodes]


def real(q: Array, scale: Any, zero: int) -> Array:
    return (q.astype(np.float64) - zero) * np.asarray(scale, np.float64)


def quantized(r: Array, scale: float, zero: int, dtype: Any = np.uint8) -> Array:
    """Rounded in float64: the exact result, except where float32 rounds to a tie."""
    info = np.iinfo(dtype)
    return np.clip(np.rint(r / scale) + zero, info.min, info.max).astype(dtype)


def within_one(actual: Array, expected: Array) -> None:
    assert actual.dtype == expected.dtype
    distance = np.abs(actual.astype(int) - expected.astype(int))
    assert distance.max() <= 1
    assert (distance > 0).mean() < 0.02


# --- Operators of ONNX and of com.microsoft -----------------------------------------------------------------


@pytest.mark.parametrize(("op", "function"), [("QLinearAdd", np.add), ("QLinearMul", np.multiply)])
def test_sums_and_products(op: str, function: Callable[[Array, Array], Array]) -> None:
    a, b = X, RNG.integers(0, 256, (3, 1, 5)).astype(np.uint8)
    constants = {
        "as": S(0.02), "az": np.uint8(100), "bs": S(0.03), "bz": np.uint8(9), "ys": S(0.05), "yz": np.uint8(120)
    }  # fmt: skip
    y = outputs([node(op, "a", "as", "az", "b", "bs", "bz", "ys", "yz", domain=MICROSOFT)], {"a": a, "b": b}, constants)
    within_one(y, quantized(function(real(a, 0.02, 100), real(b, 0.03, 9)), 0.05, 120))


@pytest.mark.parametrize(
    ("op", "attrs", "function"),
    [
        ("QLinearSigmoid", {}, lambda r: 1 / (1 + np.exp(-r))),
        ("QLinearLeakyRelu", {"alpha": 0.2}, lambda r: np.where(r < 0, 0.2 * r, r)),
        ("QLinearSoftmax", {"axis": -1, "opset": 13}, lambda r: np.exp(r) / np.exp(r).sum(-1, keepdims=True)),
        ("QLinearGlobalAveragePool", {}, lambda r: r.mean((2, 3), keepdims=True)),
    ],
)
def test_functions(op: str, attrs: dict[str, Any], function: Callable[[Array], Array]) -> None:
    constants = {"xs": S(0.02), "xz": np.uint8(100), "ys": S(1 / 128), "yz": np.uint8(64)}
    y = outputs([node(op, "x", "xs", "xz", "ys", "yz", domain=MICROSOFT, **attrs)], {"x": X}, constants)
    within_one(y, quantized(function(real(X, 0.02, 100)), 1 / 128, 64))


@pytest.mark.parametrize("channels_last", [0, 1])
def test_pooling_over_any_number_of_axes(channels_last: int) -> None:
    constants = {"xs": S(0.02), "xz": np.uint8(100), "ys": S(1 / 128), "yz": np.uint8(64)}
    x = RNG.integers(0, 256, (2, 3, 4, 5, 6)).astype(np.uint8)
    axes = (1, 2, 3) if channels_last else (2, 3, 4)
    attrs = {"domain": MICROSOFT, "channels_last": channels_last}
    y = outputs([node("QLinearGlobalAveragePool", "x", "xs", "xz", "ys", "yz", **attrs)], {"x": x}, constants)
    within_one(y, quantized(real(x, 0.02, 100).mean(axes, keepdims=True), 1 / 128, 64))


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        (node("AveragePool", "xf", outputs=("r",), kernel_shape=[3, 3], pads=[1, 1, 1, 1]), ["QLinearAveragePool"]),
        (node("GlobalAveragePool", "xf", outputs=("r",)), ["QLinearAveragePool"]),
        (node("GlobalMaxPool", "xf", outputs=("r",)), ["MaxPool", "Lookup"]),
        (node("ReduceMean", "xf", "a1", outputs=("r",), keepdims=0), [*WINDOWED, "QLinearAveragePool", "Reshape"]),
        (node("ReduceMax", "xf", "a12", outputs=("r",)), [*WINDOWED, "MaxPool", "Reshape", "Lookup"]),
        (node("ReduceMean", "xf", "a3", outputs=("r",)), ["DequantizeLinear", "ReduceMean", "QuantizeLinear"]),
    ],
    ids=lambda value: getattr(value, "op_type", ""),
)
def test_windows_between_quantisations(middle: Any, expected: list[str]) -> None:
    axes = {"a1": np.asarray([1]), "a12": np.asarray([1, 2]), "a3": np.asarray([3])}
    constants = {"xs": S(0.0523), "xz": np.uint8(100), "ys": S(0.02), "yz": np.uint8(64), **axes}
    x = RNG.integers(0, 256, (2, 4, 5, 9)).astype(np.uint8)
    dequantized = node("DequantizeLinear", "x", "xs", "xz", outputs=("xf",))
    nodes = [dequantized, middle, node("QuantizeLinear", "r", "ys", "yz")]
    assert operators(nodes, {"x": x}, constants) == expected
    (theirs,) = ReferenceEvaluator(model(nodes, {"x": x}, ("y",), constants, 19)).run(None, {"x": x})
    within_one(outputs(nodes, {"x": x}, constants), np.asarray(theirs))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_softmax_before_opset_13_is_over_all_axes_from_one_on(axis: int) -> None:
    constants = {"xs": S(0.02), "xz": np.uint8(100), "ys": S(1 / 256), "yz": np.uint8(0)}
    made = node("QLinearSoftmax", "x", "xs", "xz", "ys", "yz", domain=MICROSOFT, axis=axis, opset=12)
    exact = np.exp(real(X, 0.02, 100)).reshape(*X.shape[:axis], -1)
    exact = (exact / exact.sum(-1, keepdims=True)).reshape(X.shape)
    within_one(outputs([made], {"x": X}, constants), quantized(exact, 1 / 256, 0))


def test_softmax_between_quantisations_is_one_of_bytes() -> None:
    constants = {**QDQ, "ps": S(1 / 256), "pz": np.uint8(0)}
    nodes = [DEQUANTIZED[0], node("Softmax", "xf", outputs=("s",), axis=1), node("QuantizeLinear", "s", "ps", "pz")]
    assert operators(nodes, {"x": X}, constants) == ["QLinearSoftmax"]
    (theirs,) = ReferenceEvaluator(model(nodes, {"x": X}, ("y",), constants, 19)).run(None, {"x": X})
    within_one(outputs(nodes, {"x": X}, constants), np.asarray(theirs))


def test_concatenation_requantises() -> None:
    constants = {
        "ys": S(0.05), "yz": np.uint8(10), "as": S(0.05), "az": np.uint8(10), "bs": S(0.02), "bz": np.uint8(99)
    }  # fmt: skip
    nodes = [node("QLinearConcat", "ys", "yz", "a", "as", "az", "b", "bs", "bz", domain=MICROSOFT, axis=1)]
    y = outputs(nodes, {"a": X, "b": X[:, :2]}, constants)
    assert np.array_equal(y[:, :3], X)
    within_one(y[:, 3:], quantized(real(X[:, :2], 0.02, 99), 0.05, 10))


@pytest.mark.parametrize("fixed", [(), (1,)])
@pytest.mark.parametrize(
    ("a", "b"), [((6,), (6, 3)), ((4, 6), (6,)), ((6,), (6,)), ((2, 4, 6), (6,)), ((6,), (2, 6, 3))]
)
def test_products_of_bytes_with_operands_of_rank_1(a: tuple[int, ...], b: tuple[int, ...], fixed: tuple) -> None:
    """MatMulInteger and QLinearMatMul behave like numpy.matmul."""
    x, w = tensor(1, a, np.uint8), tensor(2, b, np.int8)
    sums = np.matmul(x.astype(np.int32) - 7, w.astype(np.int32) - 3)
    zeros = [np.array(7, np.uint8), np.array(3, np.int8)]
    proto, feeds = single("MatMulInteger", [x, w, *zeros], [*fixed, 2, 3])
    assert_close(imported(proto, feeds), {"y": sums}, 0)
    one, small = np.array(1, np.float32), np.array(2.0**-9, np.float32)
    operands = [x, small, zeros[0], w, one, zeros[1], one, np.array(5, np.uint8)]
    proto, feeds = single("QLinearMatMul", operands, [1, 2, 4, 5, 6, 7, *(3 * i for i in fixed)])
    assert_close(imported(proto, feeds), {"y": np.clip(np.rint(sums * 2.0**-9) + 5, 0, 255).astype(np.uint8)}, 0)


@pytest.mark.parametrize("trans", [0, 1])
def test_gemm(trans: int) -> None:
    a, b = X.reshape(2, -1), RNG.integers(-128, 128, (75, 4)).astype(np.int8)
    bias = np.asarray([5, -700, 90000, 0], np.int32)
    constants = {
        "as": S(0.02), "az": np.uint8(100), "B": b.T if trans else b, "bs": CHANNELS, "bz": np.zeros(4, np.int8),
        "c": bias, "ys": S(0.5), "yz": np.uint8(128),
    }  # fmt: skip
    exact = real(a, 0.02, 100) @ real(b, CHANNELS, 0) + bias * 0.02 * CHANNELS.astype(np.float64)
    attrs = {"domain": MICROSOFT, "transB": trans}
    y = outputs([node("QGemm", "a", "as", "az", "B", "bs", "bz", "c", "ys", "yz", **attrs)], {"a": a}, constants)
    within_one(y, quantized(exact, 0.5, 128))
    y = outputs([node("QGemm", "a", "as", "az", "B", "bs", "bz", "c", **attrs)], {"a": a}, constants)
    np.testing.assert_allclose(y, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [False, True])
def test_weights_in_blocks(bits: int, zeros: bool) -> None:
    k, n, block = 40, 3, 16
    blocks, top = 3, 1 << bits
    q = RNG.integers(0, top, (n, blocks, block)).astype(np.uint8)
    zero = RNG.integers(0, top, (n, 4)).astype(np.uint8)
    scales = RNG.uniform(0.01, 0.1, n * blocks).astype(np.float32)

    def packed(v: Array) -> Array:
        return v if bits == 8 else v[..., ::2] | (v[..., 1::2] << 4)

    x = tensor(1, (2, k))
    constants = {"B": packed(q), "s": scales, "z": packed(zero if bits == 4 else zero[:, :3]).reshape(-1)}
    names = ["x", "B", "s", *(["z"] if zeros else [])]
    attrs = {"K": k, "N": n, "bits": bits, "block_size": block}
    y = outputs([node("MatMulNBits", *names, domain=MICROSOFT, **attrs)], {"x": x}, constants)
    middle = zero[:, :blocks, None].astype(np.float64) if zeros else top // 2
    w = ((q.astype(np.float64) - middle) * scales.reshape(n, blocks, 1)).reshape(n, -1)[:, :k]
    np.testing.assert_allclose(y, x.astype(np.float64) @ w.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_quantisation_of_tensors_and_slices(axis: int | None, dtype: Any) -> None:
    x = tensor(3, (2, 3, 7), scale=30.0)
    count = 1 if axis is None else 3
    zero = np.asarray([3, 100, 7][:count], dtype)
    constants = {"s": CHANNELS[:count] * 10, "z": zero}
    if axis is None:
        constants = {name: array.reshape(()) for name, array in constants.items()}
    attrs = {} if axis is None else {"axis": axis}
    nodes = [node("QuantizeLinear", "x", "s", "z", outputs=("q",), **attrs)]
    nodes += [node("DequantizeLinear", "q", "s", "z", outputs=("d",), **attrs), node("Mul", "d", "two")]
    proto = model(nodes, {"x": x}, ("y", "q"), {**constants, "two": S(2)}, 19)
    ours, theirs = run(frontend.load(proto), {"x": x}), ReferenceEvaluator(proto).run(None, {"x": x})
    for name, expected in zip(("y", "q"), theirs):
        assert np.array_equal(ours[name], expected)


# --- Patterns ------------------------------------------------------------------------------------------------

QDQ = {
    "xs": S(0.02), "xz": np.uint8(100), "w": W, "ws": CHANNELS, "wz": np.zeros(4, np.int8),
    "b": np.asarray([100, -2000, 30, 0], np.int32), "bs": S(0.02) * CHANNELS, "bz": np.zeros(4, np.int32),
    "ys": S(0.4), "yz": np.uint8(90),
}  # fmt: skip
DEQUANTIZED = [
    node("DequantizeLinear", "x", "xs", "xz", outputs=("xf",)),
    node("DequantizeLinear", "w", "ws", "wz", outputs=("wf",), axis=0),
    node("DequantizeLinear", "b", "bs", "bz", outputs=("bf",), axis=0),
]


def test_a_convolution_between_quantisations_is_one_of_integers() -> None:
    nodes = [
        *DEQUANTIZED,
        node("Conv", "xf", "wf", "bf", outputs=("c",), pads=[1, 1, 1, 1]),
        node("Relu", "c", outputs=("r",)),
        node("QuantizeLinear", "r", "ys", "yz"),
    ]
    assert operators(nodes, {"x": X}, QDQ) == ["QLinearConv"]
    (expected,) = ReferenceEvaluator(model(nodes, {"x": X}, ("y",), QDQ, 19)).run(None, {"x": X})
    within_one(outputs(nodes, {"x": X}, QDQ), np.asarray(expected))


@pytest.mark.parametrize(
    ("kernel", "attrs", "expected"),
    [
        ((2, 2), {"strides": [2, 2]}, ["QLinearConv", "DepthToSpace"]),
        ((4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}, ["QLinearConv", "DepthToSpace", "Slice"]),
        (
            (3, 3),
            {"strides": [2, 2], "pads": [1, 0, 0, 1], "output_padding": [1, 0]},
            ["QLinearConv", "DepthToSpace", "Slice"],
        ),
        ((2, 3), {"strides": [3, 3]}, ["QLinearConv", "DepthToSpace", "Slice"]),
        ((3, 2), {"pads": [1, 0, 1, 1]}, ["QLinearConv", "Slice"]),
        ((3, 3), {"strides": [2, 1]}, ["DequantizeLinear", "ConvTranspose", "QuantizeLinear"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("symmetric", [True, False])
def test_transposed_convolutions_between_quantisations(
    kernel: tuple[int, int], attrs: dict[str, Any], expected: list[str], symmetric: bool
) -> None:
    constants = {
        **QDQ, "w": RNG.integers(-128, 128, (3, 4, *kernel)).astype(np.int8),
        "wz": np.asarray([0, 0, 0, 0] if symmetric else [3, -128, 127, 0], np.int8),
    }  # fmt: skip
    nodes = [
        DEQUANTIZED[0],
        node("DequantizeLinear", "w", "ws", "wz", outputs=("wf",), axis=1),
        DEQUANTIZED[2],
        node("ConvTranspose", "xf", "wf", "bf", outputs=("c",), **attrs),
        node("QuantizeLinear", "c", "ys", "yz"),
    ]
    assert operators(nodes, {"x": X}, constants) == expected
    (theirs,) = ReferenceEvaluator(model(nodes, {"x": X}, ("y",), constants, 19)).run(None, {"x": X})
    within_one(outputs(nodes, {"x": X}, constants), np.asarray(theirs))


def test_movement_between_quantisations_moves_bytes() -> None:
    nodes = [
        DEQUANTIZED[0],
        node("MaxPool", "xf", outputs=("p",), kernel_shape=[2, 2], strides=[2, 2]),
        node("QuantizeLinear", "p", "xs", "xz", outputs=("pq",)),
        node("DequantizeLinear", "pq", "xs", "xz", outputs=("pf",)),
        node("Transpose", "pf", outputs=("t",), perm=[0, 2, 3, 1]),
        node("QuantizeLinear", "t", "xs", "xz"),
    ]
    assert operators(nodes, {"x": X}, QDQ) == ["MaxPool", "Transpose"]
    (expected,) = ReferenceEvaluator(model(nodes, {"x": X}, ("y",), QDQ, 19)).run(None, {"x": X})
    assert np.array_equal(outputs(nodes, {"x": X}, QDQ), expected)


def test_padding_and_resizing_between_quantisations_move_bytes() -> None:
    nodes = [
        DEQUANTIZED[0],
        node("Pad", "xf", "pads", outputs=("p",)),
        node("QuantizeLinear", "p", "xs", "xz", outputs=("pq",)),
        node("DequantizeLinear", "pq", "xs", "xz", outputs=("pf",)),
        node("Resize", "pf", "", "ratios", outputs=("t",), mode="nearest"),
        node("QuantizeLinear", "t", "xs", "xz"),
    ]
    constants = {**QDQ, "pads": np.asarray([0, 0, 1, 0, 0, 0, 0, 2]), "ratios": np.asarray([1, 1, 2, 3], S)}
    assert operators(nodes, {"x": X}, constants) == ["Pad", "Resize"]
    (expected,) = ReferenceEvaluator(model(nodes, {"x": X}, ("y",), constants, 19)).run(None, {"x": X})
    assert np.array_equal(outputs(nodes, {"x": X}, constants), expected)


@pytest.mark.parametrize(
    ("attrs", "kept", "expected"),
    [
        ({"mode": "nearest"}, False, ["Lookup", "Resize"]),
        ({"mode": "linear"}, True, ["Resize"]),
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, True, ["Resize"]),
        ({"mode": "linear"}, False, ["DequantizeLinear", "Resize", "QuantizeLinear"]),
        ({"mode": "cubic"}, True, ["DequantizeLinear", "Resize", "QuantizeLinear"]),
    ],
    ids=str,
)
def test_resizing_between_quantisations(attrs: dict[str, Any], kept: bool, expected: list[str]) -> None:
    parameters = ("xs", "xz") if kept else ("ys", "yz")
    nodes = [
        DEQUANTIZED[0],
        node("Resize", "xf", "", "", "sizes", outputs=("r",), **attrs),
        node("QuantizeLinear", "r", *parameters),
    ]
    constants = {**QDQ, "sizes": np.asarray([2, 3, 13, 8])}
    assert operators(nodes, {"x": X}, constants) == expected
    (theirs,) = ReferenceEvaluator(model(nodes, {"x": X}, ("y",), constants, 19)).run(None, {"x": X})
    ours = outputs(nodes, {"x": X}, constants)
    assert np.abs(ours.astype(int) - np.asarray(theirs).astype(int)).max() <= 1


SLICES = {"three": np.asarray([3]), "one": np.asarray([1]), "parts": np.asarray([1, 2]), "i": np.asarray([2, 0, 2])}
MASK = RNG.random((5, 5)) < 0.5


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        ([node("Add", "xf", "number", outputs=("r",))], ["Lookup"]),
        ([node("Pow", "number", "xf", outputs=("r",))], ["Lookup"]),
        ([node("PRelu", "xf", "number", outputs=("r",))], ["Lookup"]),
        ([node("Sigmoid", "xf", outputs=("s",)), node("Mul", "s", "xf", outputs=("r",))], ["Lookup"]),
        ([node("Sub", "xf", "zf", outputs=("r",))], ["QLinearAdd"]),
        ([node("Gather", "xf", "i", outputs=("r",), axis=1)], ["Lookup", "Gather"]),
        ([node("Where", "mask", "xf", "zf", outputs=("r",))], ["Lookup", "Lookup", "Where"]),
        ([node("Where", "mask", "number", "xf", outputs=("r",))], ["Lookup", "Where"]),
        ([node("Split", "xf", "parts", outputs=("p", "r"), axis=1)], ["Lookup", "Slice"]),
    ],
    ids=lambda value: "-".join(n.op_type for n in value) if hasattr(value[0], "op_type") else "",
)
def test_patterns_between_quantisations(middle: list[Any], expected: list[str]) -> None:
    dequantized = [
        node("DequantizeLinear", "x", "xs", "xz", outputs=("xf",)),
        node("DequantizeLinear", "z", "zs", "zz", outputs=("zf",)),
    ]
    nodes = [*dequantized, *middle, node("QuantizeLinear", "r", "ys", "yz")]
    constants = {
        "xs": S(0.02), "xz": np.uint8(100), "zs": S(0.03), "zz": np.uint8(90), "ys": S(0.05), "yz": np.uint8(128),
        "number": S(0.75), "mask": MASK, **SLICES,
    }  # fmt: skip
    feeds = {"x": X, "z": X[:, :, ::-1]}
    assert operators(nodes, feeds, constants) == expected
    (theirs,) = ReferenceEvaluator(model(nodes, feeds, ("y",), constants, 19)).run(None, feeds)
    within_one(outputs(nodes, feeds, constants), np.asarray(theirs))


def test_the_largest_byte_is_the_largest_number() -> None:
    nodes = [DEQUANTIZED[0], node("ArgMax", "xf", axis=1)]
    assert operators(nodes, {"x": X}, QDQ) == ["Cast", "ArgMax"]
    (expected,) = ReferenceEvaluator(model(nodes, {"x": X}, ("y",), QDQ, 19)).run(None, {"x": X})
    assert np.array_equal(outputs(nodes, {"x": X}, QDQ), expected)


def test_a_product_without_quantisation_stays_float() -> None:
    nodes = [*DEQUANTIZED, node("Conv", "xf", "wf", "bf")]
    assert operators(nodes, {"x": X}, QDQ) == ["DequantizeLinear", "Conv"]


def test_inspect_says_what_stays_float_and_why() -> None:
    nodes = [
        *DEQUANTIZED,
        node("Conv", "xf", "wf", "bf", outputs=("c",)),
        node("QuantizeLinear", "c", "ys", "yz", outputs=("cq",)),
        node("DequantizeLinear", "cq", "ys", "yz", outputs=("cf",)),
        helper.make_node("Relu", ["cf"], ["r"], name="relu"),
        helper.make_node("Softmax", ["r"], ["y"], name="softmax"),
    ]
    graph = passes.run(frontend.load(model(nodes, {"x": X}, ("y",), QDQ, 19)))
    rows = {row.node.op: (row.kind, row.why) for row in arithmetic(graph)}
    assert rows == {
        "QLinearConv": ("integers", ""),
        "DequantizeLinear": ("conversion", ""),
        "Clip": ("float", "its result is read as float by softmax (Softmax)"),
        "Softmax": ("float", "no operand is quantised"),
    }


# --- Errors ---------------------------------------------------------------------------------------------------

CONV = node("QLinearConv", "x", "xs", "xz", "w", "ws", "wz", "ys", "yz", pads=[0, 0, 0, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xs": S(0)}, "scale 'xs' (input 1, x_scale) holds 0.0; accepted: finite numbers above 0"),
        ({"ys": S(-1)}, "scale 'ys' (input 6, y_scale) holds -1.0"),
        ({"ws": S([0.1, np.nan, 1, 1])}, "scale 'ws' (input 4, w_scale) holds nan"),
        ({"xs": S([0.1, 0.2])}, "scale 'xs' (input 1, x_scale) has shape [2]; expected one value"),
        ({"ws": S([0.1, 0.2])}, "multiplier is float32[2]; expected one value or 4"),
        ({"yz": np.asarray([0, 1], np.uint8)}, "zero point 'yz' (input 7, y_zero_point) has shape [2]"),
        ({"xz": np.int8(0)}, "xz"),
        ({"xs": S(1e30), "ys": S(1e-30)}, "out of proportion"),
    ],
)
def test_bad_parameters_are_errors_that_name_the_tensor(change: dict[str, Array], message: str) -> None:
    with pytest.raises(ModelError) as error:
        outputs([CONV], {"x": X}, {**QDQ, **change})
    text = str(error.value)
    assert text.startswith("test: node node (QLinearConv): ")
    assert message in text or ("input 2 (x_zero_point) is int8" in text and message == "xz")


def test_weights_and_biases_that_vary_are_errors() -> None:
    for variable in ("w", "b"):
        nodes = [node("QLinearConv", "x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b")]
        constants = {name: array for name, array in QDQ.items() if name != variable}
        with pytest.raises(ModelError, match=rf"node node \(QLinearConv\): input \d .* is '{variable}', which is only"):
            outputs(nodes, {"x": X, variable: np.asarray(QDQ[variable])}, constants)


@pytest.mark.parametrize("op", ["QuantizeLinear", "DequantizeLinear"])
@pytest.mark.parametrize("scale", [0.0, -0.5, np.nan, np.inf])
def test_bad_scales_of_quantisation(op: str, scale: float) -> None:
    x = X.astype(np.float32) if op == "QuantizeLinear" else X
    with pytest.raises(ModelError, match=r"node node \(.*scale 's' \(input 1, .*accepted: finite numbers above 0"):
        outputs([node(op, "x", "s", "z")], {"x": x}, {"s": S(scale), "z": np.uint8(3)})


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("zeros", [True, False])
def test_constants_dequantised_in_blocks(axis: int, zeros: bool) -> None:
    """Against ONNX's evaluator, the last block being shorter."""
    weights = RNG.integers(-128, 128, (40, 24)).astype(np.int8)
    blocks = (3, 24) if axis == 0 else (40, 2)
    constants = {"w": weights, "s": RNG.uniform(0.01, 0.1, blocks).astype(np.float32)}
    if zeros:
        constants["z"] = RNG.integers(-9, 9, blocks).astype(np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", list(constants), ["d"], axis=axis, block_size=16),
        helper.make_node("Add", ["d", "x"], ["y"]),
    ]
    feeds = {"x": np.zeros((40, 24), np.float32)}
    proto = model(nodes, feeds, constants=constants, opset=21)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


def test_block_sizes_that_do_not_fit() -> None:
    constants = {"B": np.zeros(48, np.uint8), "s": np.ones(9, np.float32)}
    attrs = {"K": 40, "N": 3, "bits": 4, "block_size": 16}
    with pytest.raises(ModelError, match="B has 48 bytes and scales 9 values; expected 72 and 9 for K=40, N=3"):
        outputs([node("MatMulNBits", "x", "B", "s", domain=MICROSOFT, **attrs)], {"x": tensor(1, (2, 40))}, constants)
