"""Static quantisation: what is quantised, what is written, how far it is from the float model, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import model as onnx_model
from tests.onnx_models import oracle
from tests.small_models import classifier, save
from tinyinfer.errors import FeedError, ModelError, QuantizationError
from tinyinfer.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

FLOAT = TensorProto.FLOAT


def normal(*shape, seed=0, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def network(opset: int = 19):
    """Every kind of operator that is quantised, and some that are not."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], name="stem", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c0", "g", "h", "m", "v"], ["n0"], name="norm"),
        node("Clip", ["n0", "zero", "six"], ["r0"], name="relu6"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], name="depthwise", pads=[1, 1, 1, 1], group=8),
        node("Relu", ["c1"], ["r1"], name="relu"),
        node("Add", ["r0", "r1"], ["s"], name="skip"),
        node("MaxPool", ["s"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", ["p", "p"], ["cc"], name="both", axis=1),
        node("ConvTranspose", ["cc", "w2", "b2"], ["t"], name="up", strides=[2, 2]),
        node("Sigmoid", ["t"], ["sg"], name="gate"),
        node("Mul", ["t", "sg"], ["ml"], name="swish"),
        node("AveragePool", ["ml"], ["av"], name="average", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["av", "flat"], ["f"], name="flatten"),
        node("MatMul", ["f", "w3"], ["mm"], name="hidden"),
        node("Add", ["mm", "b3"], ["hb"], name="hidden_bias"),
        node("Relu", ["hb"], ["hr"], name="hidden_relu"),
        node("Gemm", ["hr", "w4", "b4"], ["scores"], name="head", transB=1, alpha=0.5),
        node("Softmax", ["scores"], ["y"], name="softmax", axis=1),
    ]
    constants = {
        "w0": normal(8, 3, 3, 3, seed=1), "b0": normal(8, seed=2), "g": 1 + normal(8, seed=3, scale=0.1),
        "h": normal(8, seed=4), "m": normal(8, seed=5), "v": 1 + normal(8, seed=6) ** 2,
        "zero": np.float32(0), "six": np.float32(6), "w1": normal(8, 1, 3, 3, seed=7), "b1": normal(8, seed=8),
        "w2": normal(16, 4, 2, 2, seed=9, scale=0.3), "b2": normal(4, seed=10), "flat": np.array([0, -1]),
        "w3": normal(64, 12, seed=11, scale=0.2), "b3": normal(12, seed=12), "w4": normal(5, 12, seed=13),
        "b4": normal(5, seed=14),
    }  # fmt: skip
    return onnx_model(nodes, {"x": (FLOAT, ["n", 3, 8, 8])}, ["y", "scores"], constants, opset)


def samples(count=24, seed=20):
    return [{"x": normal(1, 3, 8, 8, seed=seed + i)} for i in range(count)]


def sqnr(exact, actual):
    """Signal to quantisation noise in decibels."""
    exact, actual = exact.astype(np.float64), actual.astype(np.float64)
    return 10 * np.log10(np.square(exact).sum() / max(np.square(exact - actual).sum(), 1e-30))


def node_of(proto, name):
    return next(n for n in proto.graph.node if n.name == name)


def op_types(proto):
    return [n.op_type for n in proto.graph.node]


def initializer(proto, name):
    return numpy_helper.to_array(next(t for t in proto.graph.initializer if t.name == name))


def producer(proto, name):
    return next(n for n in proto.graph.node if name in n.output)


def weights_of(proto, node, index=1):
    """Integers, scales and zero points of a node's constant operand, and the attributes of its DequantizeLinear."""
    up = producer(proto, node_of(proto, node).input[index])
    assert up.op_type == "DequantizeLinear"
    axis = next((a.i for a in up.attribute if a.name == "axis"), None)
    return (*(initializer(proto, name) for name in up.input), axis)


def evaluable(proto):
    """The evaluator knows DequantizeLinear from opset 19 on; of what is used here, nothing else changed since 13."""
    copied = onnx.ModelProto()
    copied.CopyFrom(proto)
    copied.opset_import[0].version = max(19, copied.opset_import[0].version)
    return copied


def mean_sqnr(proto, quantised, feeds, output="scores"):
    quantised = evaluable(quantised)
    return np.mean([sqnr(oracle(proto, f)[output], oracle(quantised, f)[output]) for f in feeds])


OPTIONS = [
    {},
    {"per_channel": False},
    {"activation_type": QuantType.QUInt8},
    {"weight_type": QuantType.QUInt8},
    {"reduce_range": True},
    {"extra_options": {"ActivationSymmetric": True}},
    {"extra_options": {"WeightSymmetric": False}},
    {"extra_options": {"CalibMovingAverage": True}},
    {"calibrate_method": CalibrationMethod.Percentile, "extra_options": {"CalibPercentile": 99.9}},
    {"calibrate_method": CalibrationMethod.MSE},
    {"calibrate_method": CalibrationMethod.Entropy},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o)) or "default")
def test_every_option_is_valid_onnx_and_near_the_float_model(options) -> None:
    proto = network()
    quantised = quantize_static(proto, None, samples(), **options)
    onnx.checker.check_model(quantised, full_check=True)
    least = 12 if "CalibMovingAverage" in str(options) or "Entropy" in str(options) else 18
    assert mean_sqnr(proto, quantised, samples(8, seed=900)) > least


def test_the_graph() -> None:
    """Clips belong to what they clip, moves keep their scales, sums end in float where float reads them."""
    proto = quantize_static(network(), None, samples())
    assert not {"BatchNormalization", "MatMul"} & set(op_types(proto))
    for name in ("relu6", "relu"):  # a clip reads the convolution itself
        assert producer(proto, node_of(proto, name).input[0]).op_type == "Conv"
    readers = {i: n for n in proto.graph.node for i in n.input}
    assert readers[node_of(proto, "relu6").output[0]].op_type == "QuantizeLinear"
    assert readers[node_of(proto, "head").output[0]].op_type == "Softmax"
    for name in ("pool", "both", "flatten"):
        node = node_of(proto, name)
        down, up = readers[node.output[0]], producer(proto, node.input[0])
        assert (down.op_type, up.op_type) == ("QuantizeLinear", "DequantizeLinear")
        assert list(down.input[1:]) == list(up.input[1:])
    assert [o.name for o in proto.graph.output] == ["y", "scores"]
    assert [i.name for i in proto.graph.input] == ["x"]


@pytest.mark.parametrize(
    ("node", "axis", "channels"), [("stem", 0, 8), ("depthwise", 0, 8), ("up", 1, 4), ("hidden", 1, 12), ("head", 0, 5)]
)
def test_weights_have_a_scale_for_each_output_channel(node, axis, channels) -> None:
    values, scale, zero, found = weights_of(quantize_static(network(), None, samples()), node)
    assert (values.dtype, found, scale.shape, zero.any()) == (np.int8, axis, (channels,), False)
    others = tuple(i for i in range(values.ndim) if i != axis)
    np.testing.assert_array_equal(np.abs(values.astype(int)).max(axis=others), 127)
    values, scale, zero, found = weights_of(quantize_static(network(), None, samples(), per_channel=False), node)
    assert (values.dtype, found, scale.shape) == (np.int8, None, ())


@pytest.mark.parametrize("node", ["stem", "up", "hidden"])
def test_biases_have_the_scale_of_the_products(node) -> None:
    proto = quantize_static(network(), None, samples())
    values, scale, _, _ = weights_of(proto, node, 2)
    x_scale = initializer(proto, producer(proto, node_of(proto, node).input[0]).input[1])
    w_scale = weights_of(proto, node)[1]
    assert values.dtype == np.int32
    np.testing.assert_array_equal(scale, np.tile(x_scale * w_scale, len(values) // len(w_scale)))


def test_normalisation_is_folded_exactly() -> None:
    """The bias of the folded convolution against float64."""
    proto = network()
    values, scale, _, _ = weights_of(quantize_static(proto, None, samples(), bias_correction=False), "stem", 2)
    b, g, h, m, v = (initializer(proto, name).astype(np.float64) for name in ("b0", "g", "h", "m", "v"))
    expected = (b - m) * g / np.sqrt(v + 1e-5) + h
    np.testing.assert_allclose(values * scale.astype(np.float64), expected, atol=float(scale.max()))


def test_weights_that_are_moved_first_are_weights() -> None:
    nodes = [
        helper.make_node("Reshape", ["w", "shape"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["m"], name="product"),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    weights = {"w": normal(5, 2, 4), "shape": np.array([5, 8]), "b": normal(1, 5)}
    proto = onnx_model(nodes, {"x": (FLOAT, [1, 8])}, constants=weights, opset=19)
    quantised = quantize_static(proto, None, [{"x": normal(1, 8, seed=i)} for i in range(8)])
    assert op_types(quantised).count("Gemm") == 1
    values, scale, _, axis = weights_of(quantised, "product")
    np.testing.assert_allclose(values * scale, weights["w"].reshape(5, 8).T, atol=float(scale.max()))
    assert axis == 1


def test_an_older_opset_is_converted() -> None:
    old = onnx_model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("Relu", ["c"], ["y"], name="relu"),
        ],
        {"x": (FLOAT, [1, 3, 8, 8])},
        constants={"w": normal(4, 3, 3, 3)},
        opset=9,
    )
    quantised = quantize_static(old, None, samples())
    onnx.checker.check_model(quantised, full_check=True)
    assert quantised.opset_import[0].version >= 13
    assert mean_sqnr(old, quantised, samples(4, seed=99), "y") > 25


class TestChoice:
    def test_excluded_nodes_stay_float(self) -> None:
        proto = quantize_static(network(), None, samples(), nodes_to_exclude=["depthwise"])
        assert initializer(proto, node_of(proto, "depthwise").input[1]).dtype == np.float32
        assert weights_of(proto, "stem")[0].dtype == np.int8

    def test_only_the_nodes_and_types_asked_for(self) -> None:
        proto = quantize_static(network(), None, samples(), nodes_to_quantize=["head"])
        assert op_types(proto).count("QuantizeLinear") == 1
        proto = quantize_static(network(), None, samples(), op_types_to_quantize=["Conv"])
        assert initializer(proto, node_of(proto, "head").input[1]).dtype == np.float32
        assert weights_of(proto, "depthwise")[0].dtype == np.int8

    def test_float_operators_alone_are_not_wrapped(self) -> None:
        """Additions and functions that no product feeds, or that feed none, stay as they are."""
        nodes = [
            helper.make_node("Sigmoid", ["x"], ["a"], name="before"),
            helper.make_node("Softmax", ["a"], ["b"], name="soft"),
            helper.make_node("Conv", ["b", "w"], ["c"], name="conv"),
            helper.make_node("Sigmoid", ["c"], ["y"], name="after"),
        ]
        proto = onnx_model(nodes, {"x": (FLOAT, [1, 3, 8, 8])}, constants={"w": normal(4, 3, 3, 3)})
        quantised = quantize_static(proto, None, samples())
        assert op_types(quantised).count("QuantizeLinear") == 2  # around the convolution
        assert node_of(quantised, "before").input[0] == "x"


class TestRefusals:
    def refused(self, error, match, data=None, proto=None, **options):
        with pytest.raises(error, match=match):
            quantize_static(proto or network(), None, samples() if data is None else data, **options)

    def test_wrong_names(self) -> None:
        self.refused(FeedError, r"sample 0: unknown input 'image'; the model's inputs are 'x'", [{"image": normal(1)}])
        self.refused(FeedError, r"sample 0: input 'x' is missing", [{}])

    def test_wrong_shapes(self) -> None:
        self.refused(FeedError, r"sample 1: input 'x' has shape \[2, 3, 8, 8\]; expected \[1, 3, 8, 8\]",
                     [{"x": normal(1, 3, 8, 8)}, {"x": normal(2, 3, 8, 8)}])  # fmt: skip
        self.refused(ModelError, r"input 'x' is 1x4x8x8", [{"x": normal(1, 4, 8, 8)}])

    def test_wrong_types(self) -> None:
        self.refused(FeedError, r"'x' is float64; expected float32", [{"x": np.zeros((1, 3, 8, 8))}])
        self.refused(FeedError, r"sample 0 is a list; expected a dict", [[1]])

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_numbers_that_are_not_finite(self, bad) -> None:
        broken = normal(1, 3, 8, 8)
        broken[0, 1, 2, 3] = bad
        self.refused(FeedError, r"sample 1: input 'x' is (nan|inf) at \[.*1.*2.*3.*\]", [*samples(1), {"x": broken}])

    def test_no_samples(self) -> None:
        self.refused(QuantizationError, "calibration set is empty; expected samples for 'x'", [])

    def test_a_tensor_that_is_always_zero(self) -> None:
        self.refused(QuantizationError, r"tensor 'x' was zero in all", [{"x": np.zeros((1, 3, 8, 8), np.float32)}])

    def test_a_quantised_model(self) -> None:
        once = quantize_static(network(), None, samples())
        self.refused(QuantizationError, r"is quantised already: node .* is a (Quantize|Dequantize)Linear", proto=once)

    def test_names_that_do_not_exist(self) -> None:
        self.refused(QuantizationError, r"no node 'dephtwise'.*did you mean depthwise", nodes_to_exclude=["dephtwise"])
        self.refused(QuantizationError, "no operator type 'Konv'", op_types_to_quantize=["Konv"])
        self.refused(QuantizationError, "extra_options has 'Foo'; accepted: Act", extra_options={"Foo": 1})

    def test_values_that_are_not_accepted(self) -> None:
        self.refused(QuantizationError, "accepted: QuantFormat.QDQ", quant_format=QuantFormat.QOperator)
        self.refused(QuantizationError, "activation_type is QuantType.QInt4", activation_type=QuantType.QInt4)
        self.refused(QuantizationError, "CalibPercentile is 10", extra_options={"CalibPercentile": 10})

    def test_nothing_to_quantise(self) -> None:
        proto = onnx_model([helper.make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, [1, 3, 8, 8])})
        self.refused(QuantizationError, "nothing to quantise", proto=proto)

    def test_output_that_cannot_be_written(self, tmp_path: Path) -> None:
        for target, match in ((tmp_path, "is a folder"), (tmp_path / "no" / "x.onnx", "there is no folder")):
            with pytest.raises(QuantizationError, match=match):
                quantize_static(network(), target, iter(()))


def test_a_reader_of_one_s_own(tmp_path: Path) -> None:
    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = samples(3)

        def get_next(self):
            return self.left.pop() if self.left else None

    target = tmp_path / "x.onnx"
    model_path = save(classifier(), tmp_path / "float.onnx")
    reader = Reader()
    reader.left = [{"image": normal(1, 1, 8, 8, seed=i)} for i in range(3)]
    returned = quantize_static(str(model_path), str(target), reader)
    assert onnx.load(target) == returned
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".onnx"] == []
    assert {p.key for p in returned.metadata_props} >= {"tinyinfer.labels"}


def test_the_input_model_is_left_alone() -> None:
    proto = network()
    before = proto.SerializeToString(deterministic=True)
    quantize_static(proto, None, samples(2))
    assert proto.SerializeToString(deterministic=True) == before
