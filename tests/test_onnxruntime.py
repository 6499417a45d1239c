"""Beside ONNX Runtime: its quantised operators differ from ours by one quantum at most; it runs what we quantise.

Its products of uint8 by int8 are wrong on processors without VNNI: sums of pairs saturate at 16 bits. What quantised
models compute is therefore compared with exact arithmetic, and ONNX Runtime is told to use wider products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from tests.onnx_models import in_double, model, oracle, run
from tests.test_quantization_static import OPTIONS, evaluable, network, samples, sqnr
from tests.test_quantization_weights import MatMulNBits
from tests.test_quantized import MICROSOFT, RNG, S, node
from tinyinfer import frontend, passes
from tinyinfer.quantization import QuantType, quantize_dynamic, quantize_static, quantize_weights
from tinyinfer.types import Array

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: nothing to compare with")

X = RNG.integers(0, 256, (2, 9, 10, 11)).astype(np.uint8)
PARAMETERS = {
    "xs": S(0.05), "xz": np.uint8(100), "zs": S(0.0313), "zz": np.uint8(90), "ys": S(0.04), "yz": np.uint8(120),
    "ps": S(1 / 256), "pz": np.uint8(0), "sizes": np.asarray([2, 9, 25, 16]),
}  # fmt: skip


def both(nodes: list[Any], feeds: dict[str, Array], opset: int = 19) -> tuple[Array, Array]:
    """Our result and theirs."""
    used = {name for n in nodes for name in n.input}
    constants = {name: array for name, array in PARAMETERS.items() if name in used}
    proto = model(nodes, feeds, ("y",), constants, opset)
    proto.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    for index, n in enumerate(proto.graph.node):
        n.name = f"node {index}"
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    return run(passes.run(frontend.load(proto)), feeds)["y"], theirs(proto, feeds, "y")


def theirs(proto: ModelProto, feeds: dict[str, Array], output: str, widened: bool = False) -> Array:
    """What ONNX Runtime computes; `widened`: int8 weights of uint8 activations as uint8, whose products are exact."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if widened:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
    (result,) = session.run([output], feeds)
    return np.asarray(result)


def assert_within_one(ours: Array, other: Array) -> None:
    assert ours.dtype == other.dtype
    assert ours.shape == other.shape
    distance = np.abs(ours.astype(int) - other.astype(int))
    assert distance.max() <= 1
    assert (distance > 0).mean() < 0.05


def pool(**attrs: Any) -> Any:
    return node("QLinearAveragePool", "x", "xs", "xz", "ys", "yz", domain=MICROSOFT, **attrs)


@pytest.mark.parametrize(
    "made",
    [
        pool(kernel_shape=[3, 3]),
        pool(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        pool(kernel_shape=[3, 2], pads=[2, 1, 0, 1], strides=[1, 3]),
        pool(kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        pool(kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
        pool(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        pool(kernel_shape=[3, 3], pads=[1, 1, 1, 1], channels_last=1),
        node("QLinearGlobalAveragePool", "x", "xs", "xz", "ys", "yz", domain=MICROSOFT),
        node("QLinearGlobalAveragePool", "x", "xs", "xz", "ys", "yz", domain=MICROSOFT, channels_last=1),
        node("QLinearSigmoid", "x", "xs", "xz", "ps", "pz", domain=MICROSOFT),
        node("QLinearLeakyRelu", "x", "xs", "xz", "ys", "yz", domain=MICROSOFT, alpha=0.2),
        node("QLinearSoftmax", "x", "xs", "xz", "ps", "pz", domain=MICROSOFT, axis=-1, opset=13),
        node("QLinearSoftmax", "x", "xs", "xz", "ps", "pz", domain=MICROSOFT, axis=1, opset=13),
        node("QLinearAdd", "x", "xs", "xz", "z", "zs", "zz", "ys", "yz", domain=MICROSOFT),
        node("QLinearMul", "x", "xs", "xz", "z", "zs", "zz", "ys", "yz", domain=MICROSOFT),
        node("QLinearWhere", "mask", "x", "xs", "xz", "z", "zs", "zz", "ys", "yz", domain=MICROSOFT),
        node("QLinearConcat", "ys", "yz", "x", "xs", "xz", "z", "zs", "zz", domain=MICROSOFT, axis=1),
    ],
    ids=lambda n: " ".join([n.op_type, *(f"{a.name}={helper.get_attribute_value(a)}" for a in n.attribute)]),
)  # fmt: skip
def test_quantised_operators(made: Any) -> None:
    feeds = {"x": X, "z": np.ascontiguousarray(X[:, ::-1]), "mask": X > 100}
    assert_within_one(*both([made], {name: array for name, array in feeds.items() if name in made.input}))


@pytest.mark.parametrize(
    "middle",
    [
        [node("AveragePool", "xf", outputs=("r",), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])],
        [node("GlobalAveragePool", "xf", outputs=("r",))],
        [node("MaxPool", "xf", outputs=("r",), kernel_shape=[2, 2])],
        [node("Softmax", "xf", outputs=("r",), axis=-1)],
        [node("LeakyRelu", "xf", outputs=("r",), alpha=0.1)],
        [node("Sigmoid", "xf", outputs=("s",)), node("Mul", "xf", "s", outputs=("r",))],
        [node("Concat", "xf", "zf", outputs=("r",), axis=1)],
        [node("Sub", "xf", "zf", outputs=("r",))],
        [node("Resize", "xf", "", "", "sizes", outputs=("r",), mode="nearest")],
    ],
    ids=lambda nodes: "-".join(n.op_type for n in nodes),
)
def test_patterns_between_quantisations(middle: list[Any]) -> None:
    dequantized = [
        node("DequantizeLinear", "x", "xs", "xz", outputs=("xf",)),
        node("DequantizeLinear", "z", "zs", "zz", outputs=("zf",)),
    ]
    nodes = [*dequantized, *middle, node("QuantizeLinear", "r", "ys", "yz")]
    assert_within_one(*both(nodes, {"x": X, "z": np.ascontiguousarray(X[:, ::-1])}))


QUANTISED = {
    **{
        f"static {options}": lambda options=options: quantize_static(network(), None, samples(4), **options)
        for options in OPTIONS
        if "calibrate_method" not in options  # which decides on numbers only
    },
    "dynamic": lambda: quantize_dynamic(network(), None),
    "weights of eight bits": lambda: quantize_weights(network(), None, QuantType.QInt8),
    "weights of four bits": lambda: quantize_weights(network(), None, QuantType.QInt4),
    "blocks with zero points": lambda: quantize_weights(network(), None, QuantType.QInt4, 16, symmetric=False),
}


def exactly(proto: ModelProto, feeds: dict[str, Array], output: str) -> Array:
    """What a quantised model computes, in float64."""
    doubles = {name: array.astype(np.float64) for name, array in feeds.items()}
    return oracle(in_double(evaluable(proto)), doubles, [MatMulNBits])[output]


@pytest.mark.parametrize("made", QUANTISED.values(), ids=QUANTISED)
def test_models_that_we_quantise(made: Callable[[], ModelProto]) -> None:
    """Ours has every quantum right: the scores differ by 3·10⁻⁷ of the largest one, as sums of floats do."""
    proto = made()
    graph = passes.run(frontend.load(proto, {"x": (1, 3, 8, 8)}))
    for feeds in samples(2, seed=900):
        ours, exact = run(graph, feeds)["scores"], exactly(proto, feeds, "scores")
        assert np.abs(ours - exact).max() <= 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("kind", QUANTISED)
def test_models_that_we_quantise_run_there(kind: str) -> None:
    """Theirs may miss single quanta where a sum is near a tie: each leaves some 35 dB of the scores."""
    proto = QUANTISED[kind]()
    for feeds in samples(2, seed=900):
        other = theirs(proto, feeds, "scores", widened="QUInt8: 'uint8'" in kind or kind == "dynamic")
        assert sqnr(exactly(proto, feeds, "scores"), other) > 25


def test_embeddings_that_we_quantise() -> None:
    table = RNG.standard_normal((100, 64), np.float32)
    lookup = helper.make_node("Gather", ["table", "ids"], ["y"], name="embedding")
    ids = np.array([[3, 99, -1, -100]])
    proto = quantize_weights(model([lookup], {"ids": ids}, ("y",), {"table": table}), None)
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    ours = run(passes.run(frontend.load(proto)), {"ids": ids})["y"]
    np.testing.assert_array_equal(ours, theirs(proto, {"ids": ids}, "y"))
    assert np.abs(ours - table[ids]).max() <= 0.51 * np.abs(table).max() / 127
