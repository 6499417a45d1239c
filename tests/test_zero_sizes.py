"""Sizes of zero in any operator: a sum of nothing is 0, and nothing of anything stays nothing. Compiled and run."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import shape_inference

from tests.onnx_models import imported, oracle, single
from tinyinfer import InferenceSession, compile
from tinyinfer.types import Array


def ones(*shape: int, dtype: Any = np.float32) -> Array:
    return np.ones(shape, dtype)


def bytes_(*shape: int) -> Array:
    return ones(*shape, dtype=np.uint8)


HALF, THREE = np.float32(0.5), np.uint8(3)


def agree(
    op: str, inputs: list[Array | None], constants: tuple[int, ...] = (), *, opset: int = 18, **attrs: Any
) -> None:
    """The compiled model gives what ONNX's evaluator does, in shape, type and value."""
    proto, feeds = single(op, inputs, constants, 3 if op == "DynamicQuantizeLinear" else 1, opset, **attrs)
    inferred: onnx.ModelProto = shape_inference.infer_shapes(proto)
    for output, known in zip(proto.graph.output, inferred.graph.output):
        output.type.CopyFrom(known.type)
    for name, value in oracle(proto, feeds).items():
        wanted = np.asarray(value)
        for actual in results(proto, feeds):
            assert actual[name].shape == wanted.shape
            assert actual[name].dtype == wanted.dtype
            np.testing.assert_array_equal(actual[name], wanted)


def results(proto: onnx.ModelProto, feeds: dict[str, Array]) -> list[dict[str, Array]]:
    """What the imported model gives by the reference, and the compiled one when run."""
    return [imported(proto, feeds), InferenceSession(compile(proto)).run(feeds)]


MAPS = [(0, 2, 4, 4), (1, 0, 4, 4), (1, 2, 0, 4)]
SHAPES = [(0,), (0, 3), (3, 0), (2, 0, 3)]


@pytest.mark.parametrize("constants", [(1, 2), (1,), ()])
@pytest.mark.parametrize("pads", [0, 1])
@pytest.mark.parametrize(
    ("x", "w"),
    [
        ((1, 0, 3, 3), (2, 0, 2, 2)), ((1, 0, 3, 3), (2, 0, 1, 1)), ((1, 0, 3), (2, 0, 2)),
        ((1, 0, 4, 4), (8, 0, 3, 3)), ((0, 2, 3, 3), (2, 2, 2, 2)), ((1, 2, 3, 3), (0, 2, 2, 2)),
        ((1, 1, 3, 3), (0, 1, 2, 2)),
    ],
)  # fmt: skip
def test_conv(x: tuple[int, ...], w: tuple[int, ...], pads: int, constants: tuple[int, ...]) -> None:
    """Without channels the bias is everywhere: no evaluator is asked, since those that can do it disagree."""
    inputs = [ones(*x), ones(*w), np.arange(1, 1 + w[0], dtype=np.float32)]
    proto, feeds = single("Conv", inputs, constants, pads=[pads] * 2 * (len(x) - 2))
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for result in results(proto, feeds):
        y = result["y"]
        assert y.shape == (x[0], w[0], *(n + 2 * pads - k + 1 for n, k in zip(x[2:], w[2:])))
        np.testing.assert_array_equal(y, np.broadcast_to(inputs[2].reshape(-1, *[1] * (len(x) - 2)), y.shape))


@pytest.mark.parametrize("constants", [(1, 2), ()])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(
    ("x", "w"), [((1, 0, 3, 3), (0, 2, 2, 2)), ((1, 0, 3), (0, 2, 2)), ((0, 2, 3, 3), (2, 2, 2, 2))]
)
def test_conv_transpose(x: tuple[int, ...], w: tuple[int, ...], strides: int, constants: tuple[int, ...]) -> None:
    inputs = [ones(*x), ones(*w), np.arange(1, 1 + w[1], dtype=np.float32)]
    proto, feeds = single("ConvTranspose", inputs, constants, strides=[strides] * (len(x) - 2))
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for result in results(proto, feeds):
        y = result["y"]
        assert y.shape == (x[0], w[1], *(strides * (n - 1) + k for n, k in zip(x[2:], w[2:])))
        np.testing.assert_array_equal(y, np.broadcast_to(inputs[2].reshape(-1, *[1] * (len(x) - 2)), y.shape))


def test_integer_convolutions_without_channels() -> None:
    x, w = bytes_(1, 0, 3, 3), bytes_(2, 0, 2, 2)
    for op, inputs, zero in (
        ("ConvInteger", [x, w], 0),
        ("QLinearConv", [x, HALF, THREE, w, HALF, THREE, HALF, np.uint8(7)], 7),
    ):
        proto, feeds = single(op, inputs, range(1, len(inputs)))
        proto.graph.output[0].type.tensor_type.elem_type = (
            onnx.TensorProto.INT32 if zero == 0 else onnx.TensorProto.UINT8
        )
        for result in results(proto, feeds):
            np.testing.assert_array_equal(result["y"], np.full((1, 2, 2, 2), zero))


@pytest.mark.parametrize(
    ("a", "b"), [((2, 0), (0, 3)), ((0, 3), (3, 2)), ((2, 3), (3, 0)), ((1, 0), (0, 9)), ((2, 3, 0), (2, 0, 4))]
)
@pytest.mark.parametrize("constants", [(), (1,)])
def test_products(a: tuple[int, ...], b: tuple[int, ...], constants: tuple[int, ...]) -> None:
    agree("MatMul", [ones(*a), ones(*b)], constants)
    agree("MatMulInteger", [bytes_(*a), bytes_(*b)], constants)
    quantized = [bytes_(*a), HALF, THREE, bytes_(*b), HALF, THREE, HALF, np.uint8(7)]
    agree("QLinearMatMul", quantized, tuple(i for i in range(1, 8) if i != 3 or constants))
    if len(a) == 2:
        for bias in ((b[1],), (1,), (a[0], b[1])):
            agree("Gemm", [ones(*a), ones(*b), ones(*bias)], (*constants, 2), alpha=0.5, beta=2.0)


@pytest.mark.parametrize("shape", MAPS)
def test_maps(shape: tuple[int, ...]) -> None:
    x, channel = ones(*shape), ones(shape[1])
    agree("BatchNormalization", [x, *[channel] * 4], (1, 2, 3, 4))
    agree("BatchNormalization", [x, *[channel] * 4])
    if shape[1]:
        agree("LRN", [x], size=3)
    agree("DepthToSpace", [ones(shape[0], shape[1] * 4, *shape[2:])], blocksize=2)
    agree("SpaceToDepth", [x], blocksize=2)
    agree("LayerNormalization", [x, ones(shape[-1])], (1,))
    if shape[2]:
        agree("InstanceNormalization", [x, channel, channel], (1, 2))
        agree("MaxPool", [x], kernel_shape=[2, 2])
        agree("AveragePool", [x], kernel_shape=[2, 2], pads=[1, 1, 1, 1])
        agree("Resize", [x, None, None, np.array([*shape[:2], 3, 3])], (3,), mode="linear")


@pytest.mark.parametrize(("shape", "axis"), [(s, axis) for s in SHAPES for axis in range(len(s))])
def test_axes(shape: tuple[int, ...], axis: int) -> None:
    x = ones(*shape)
    agree("Softmax", [x], axis=axis)
    agree("LogSoftmax", [x], opset=11, axis=axis)
    for op, keepdims in itertools.product(
        ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare"), (0, 1)
    ):
        agree(op, [x, np.array([axis])], (1,), keepdims=keepdims)
    if shape[axis]:
        agree("ArgMax", [x], axis=axis)
    agree("Concat", [x, ones(*shape[:axis], 2, *shape[axis + 1 :])], axis=axis)
    for constants in ((), (1,)):
        agree("Gather", [x, np.zeros((2, 0), np.int64)], constants, axis=axis)


@pytest.mark.parametrize("shape", SHAPES)
def test_elements_and_movement(shape: tuple[int, ...]) -> None:
    x, rank = ones(*shape), len(shape)
    for op in (
        "Relu",
        "Exp",
        "Neg",
        "Sigmoid",
        "Gelu",
        "Elu",
        "Celu",
        "Softplus",
        "Mish",
        "IsNaN",
        "Softsign",
        "Transpose",
    ):
        agree(op, [x], opset=20)
    for op in ("Add", "Pow", "PRelu", "Equal", "Max"):
        agree(op, [x, ones(1)])
        agree(op, [x, ones(1)], (1,))
    agree("Where", [x.astype(np.bool_), ones(1), x])
    agree("Cast", [x], to=onnx.TensorProto.INT64)
    agree("Reshape", [x, np.array([5, 0])], (1,), allowzero=1)
    agree("Expand", [x, np.array([2] + [1] * rank)], (1,))
    agree("Tile", [x, np.array([2] * rank)], (1,))
    agree("Tile", [ones(3), np.array([0])], (1,))
    agree("Pad", [x, np.array([1] * 2 * rank)], (1,))
    agree("QuantizeLinear", [x, HALF, THREE], (1, 2))
    agree("DequantizeLinear", [bytes_(*shape), HALF, THREE], (1, 2), opset=19)
