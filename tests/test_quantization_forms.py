"""Forms that models come in: what stands for weights, biases and normalisation, and what gives no scale."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tinyinfer
from tests.onnx_models import model as onnx_model
from tests.onnx_models import oracle
from tests.test_quantization_static import initializer, node_of, normal, op_types, sqnr, weights_of
from tinyinfer.errors import ModelError, QuantizationError
from tinyinfer.quantization import Quantizer, QuantType, quantize_dynamic, quantize_static, quantize_weights
from tinyinfer.quantization.constants import fold_constants
from tinyinfer.quantization.editing import Editor

FLOAT = TensorProto.FLOAT
node = helper.make_node


def data(*shape, count=6):
    return [{"x": normal(*shape, seed=50 + i)} for i in range(count)]


def near(proto, quantised, feeds, least=25.0, expected=None):
    """A valid model that compiles, and whose results are near the float model's."""
    onnx.checker.check_model(quantised, full_check=True)
    actual = tinyinfer.InferenceSession(tinyinfer.compile(quantised).to_bytes()).run(feeds)
    for name, want in (expected or oracle(proto, feeds)).items():
        assert sqnr(want, actual[name]) > least, name


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("shape", [(3, 6), (3, 1), (1, 6), (6,), (1, 1), (1,), ()], ids=str)
def test_biases_of_gemm(shape, per_channel) -> None:
    nodes = [
        node("Gemm", ["x", "w", "c"], ["t"], name="first", beta=0.5),
        node("Relu", ["t"], ["r"]),
        node("Gemm", ["r", "v"], ["y"], name="second"),
    ]
    constants = {"w": normal(10, 6), "c": 3 * normal(*shape, seed=2), "v": normal(6, 5, seed=3)}
    proto = onnx_model(nodes, {"x": (FLOAT, [3, 10])}, constants=constants)
    quantised = quantize_static(proto, None, data(3, 10), per_channel=per_channel)
    assert weights_of(quantised, "first")[0].dtype == np.int8
    near(proto, quantised, data(3, 10)[0])


def test_a_bias_that_varies() -> None:
    nodes = [node("Relu", ["x"], ["c"]), node("Gemm", ["x", "w", "c"], ["y"], name="gemm")]
    proto = onnx_model(nodes, {"x": (FLOAT, [3, 6])}, constants={"w": normal(6, 6)})
    quantised = quantize_static(proto, None, data(3, 6))
    assert weights_of(quantised, "gemm")[0].dtype == np.int8
    near(proto, quantised, data(3, 6)[0])


def transposed_convolution(x, w, bias, groups):
    """Every element of X adds its filter; stride 2 and kernel 2, so that they do not overlap."""
    n, c, height, width = x.shape
    each = w.shape[1]
    y = np.zeros((n, groups * each, 2 * height, 2 * width), np.float64) + bias.reshape(1, -1, 1, 1)
    for i in range(c):
        group = i * groups // c
        y[:, group * each : (group + 1) * each] += np.einsum("nhw,mkl->nmhkwl", x[:, i], w[i]).reshape(
            n, each, 2 * height, 2 * width
        )
    return y


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_of_transposed_convolutions(groups, per_channel) -> None:
    w, b = normal(4, 3, 2, 2), normal(3 * groups, seed=1)
    nodes = [node("ConvTranspose", ["x", "w", "b"], ["y"], group=groups, strides=[2, 2])]
    proto = onnx_model(nodes, {"x": (FLOAT, [1, 4, 4, 4])}, constants={"w": w, "b": b})
    quantised = quantize_static(proto, None, data(1, 4, 4, 4), per_channel=per_channel)
    feeds = data(1, 4, 4, 4)[0]
    near(proto, quantised, feeds, expected={"y": transposed_convolution(feeds["x"], w, b, groups)})


@pytest.mark.parametrize("multiplier", [1, 2, 3])
def test_equalisation_before_several_filters_for_each_channel(multiplier) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["t"]),
        node("Relu", ["t"], ["r"]),
        node("Conv", ["r", "v"], ["y"], group=3),
    ]
    factors = np.float32([1, 30, 900])
    constants = {
        "w": normal(3, 2, 1, 1) * factors.reshape(3, 1, 1, 1),
        "v": normal(3 * multiplier, 1, 3, 3) / np.repeat(factors, multiplier).reshape(-1, 1, 1, 1),
    }
    proto = onnx_model(nodes, {"x": (FLOAT, [1, 2, 6, 6])}, constants=constants, opset=19)
    plain, equalised = (
        quantize_static(proto, None, data(1, 2, 6, 6), per_channel=False, cross_layer_equalization=wanted)
        for wanted in (False, True)
    )
    feeds = data(1, 2, 6, 6)[0]
    near(proto, equalised, feeds)
    want, without, evened = (oracle(p, feeds)["y"] for p in (proto, plain, equalised))
    assert sqnr(want, evened) > sqnr(want, without) + 10


W = normal(8, 4, 3, 3, seed=5)
CHAINS = {
    "half": ([node("Cast", ["h"], ["w"], to=FLOAT)], {"h": W.astype(np.float16)}),
    "double": ([node("Cast", ["h"], ["w"], to=FLOAT)], {"h": W.astype(np.float64)}),
    "identities": ([node("Identity", ["h"], ["i"]), node("Identity", ["i"], ["w"])], {"h": W}),
    "turned": ([node("Transpose", ["h"], ["w"], perm=[3, 2, 1, 0])], {"h": W.transpose(3, 2, 1, 0)}),
    "reshaped": ([node("Reshape", ["h", "s"], ["w"])], {"h": W.ravel(), "s": np.array([8, 4, 3, -1])}),
    "squeezed": ([node("Squeeze", ["h", "a"], ["w"])], {"h": W[None], "a": np.array([0])}),
    "sliced": ([node("Slice", ["h", "a", "e", "a"], ["w"])],
               {"h": np.concatenate([W, W]), "a": np.array([0]), "e": np.array([8])}),
    "joined": ([node("Concat", ["a", "b"], ["w"], axis=0)], {"a": W[:3], "b": W[3:]}),
    "split": ([node("Split", ["h"], ["w", "rest"], num_outputs=2)], {"h": np.concatenate([W, 2 * W])}),
    "dequantised": ([node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0)],
                    {"q": np.rint(W * 20).astype("i1"), "s": np.full(8, 0.05, np.float32), "z": np.zeros(8, "i1")}),
    "rounded": ([node("QuantizeLinear", ["h", "s"], ["q"]), node("DequantizeLinear", ["q", "s"], ["w"])],
                {"h": W, "s": np.float32(0.03)}),
    "scaled": ([node("Sub", ["h", "z"], ["d"]), node("Mul", ["d", "s"], ["w"])],
               {"h": W * 4, "z": np.float32(1), "s": np.float32(0.25)}),
    "product": ([node("MatMul", ["a", "b"], ["m"]), node("Reshape", ["m", "s"], ["w"])],
                {"a": normal(8, 2), "b": normal(2, 36), "s": np.array([8, 4, 3, 3])}),
    "node": ([node("Constant", [], ["w"], value=numpy_helper.from_array(W))], {}),
}  # fmt: skip


class TestWeights:
    @pytest.mark.parametrize("chain", CHAINS)
    def test_behind_what_only_moves_or_converts_constants(self, chain) -> None:
        before, constants = CHAINS[chain]
        proto = onnx_model([*before, node("Conv", ["x", "w"], ["y"], name="conv")], {"x": (FLOAT, [1, 4, 6, 6])},
                           constants=constants, opset=19)  # fmt: skip
        for quantised in (
            quantize_static(proto, None, data(1, 4, 6, 6)),
            quantize_dynamic(proto, None),
            quantize_weights(proto, None),
        ):
            assert initializer(quantised, "w_quantized").itemsize == 1
            assert not any(t.data_type == FLOAT and len(t.dims) > 1 for t in quantised.graph.initializer)
            near(proto, quantised, data(1, 4, 6, 6)[0])

    def test_that_are_outputs(self) -> None:
        before, constants = CHAINS["half"]
        proto = onnx_model([*before, node("Conv", ["x", "w"], ["y"])], {"x": (FLOAT, [1, 4, 6, 6])},
                           ["w", "y"], constants)  # fmt: skip
        quantised = quantize_static(proto, None, data(1, 4, 6, 6))
        assert any(t.data_type == TensorProto.INT8 for t in quantised.graph.initializer)
        near(proto, quantised, data(1, 4, 6, 6)[0])

    def test_that_several_nodes_read(self) -> None:
        """Once for each axis of output channels."""
        nodes = [
            node("Gemm", ["x", "w"], ["a"], name="a"),
            node("Gemm", ["a", "w"], ["b"], name="b", transB=1),
            node("Gemm", ["b", "w"], ["y"], name="c"),
        ]
        proto = onnx_model(nodes, {"x": (FLOAT, [3, 6])}, constants={"w": normal(6, 6)}, opset=21)
        counts = {}
        for quantise in (quantize_dynamic, quantize_weights):
            quantised = quantise(proto, None)
            near(proto, quantised, data(3, 6)[0])
            counts[quantise] = sum(
                t.data_type == TensorProto.INT8 and len(t.dims) == 2 for t in quantised.graph.initializer
            )
        assert counts == {quantize_dynamic: 2, quantize_weights: 2}

    def test_equal_scales_along_different_axes(self) -> None:
        """A symmetric matrix has the same scales for its rows and its columns."""
        w = normal(6, 6)
        w = w + w.T
        nodes = [node("Gemm", ["x", "w"], ["a"], name="a"), node("Gemm", ["x", "w"], ["b"], name="b", transB=1)]
        proto = onnx_model(nodes, {"x": (FLOAT, [3, 6])}, ["a", "b"], {"w": w})
        quantised = quantize_static(proto, None, data(3, 6))
        assert [weights_of(quantised, name)[3] for name in "ab"] == [1, 0]

    @pytest.mark.parametrize("shape", [(6,), (2, 6, 5), (6, 5)], ids=str)
    def test_of_any_rank(self, shape) -> None:
        nodes = [node("MatMul", ["x", "w"], ["y"], name="product")]
        proto = onnx_model(nodes, {"x": (FLOAT, [2, 4, 6])}, constants={"w": normal(*shape)})
        quantised = quantize_static(proto, None, data(2, 4, 6))
        axis = weights_of(quantised, "product")[3]
        assert axis == (None if len(shape) == 1 else len(shape) - 1)
        near(proto, quantised, data(2, 4, 6)[0])

    @pytest.mark.parametrize("bad", [np.nan, np.inf, None])
    def test_without_scales_stay_float(self, bad) -> None:
        w = normal(6, 6)
        if bad is not None:
            w[1, 2] = bad
        nodes = [node("Gemm", ["x", "w"], ["a"], name="broken"), node("Gemm", ["x", "v"], ["y"], name="whole")]
        if bad is None:
            w = np.zeros((6, 0), np.float32)
        proto = onnx_model(nodes, {"x": (FLOAT, [3, 6])}, ["y", "a"], {"w": w, "v": normal(6, 6)})
        for quantised in (
            quantize_static(proto, None, data(3, 6)), quantize_dynamic(proto, None), quantize_weights(proto, None)
        ):  # fmt: skip
            onnx.checker.check_model(quantised)
            np.testing.assert_array_equal(initializer(quantised, node_of(quantised, "broken").input[1]), w)
            assert "v" not in [t.name for t in quantised.graph.initializer]

    def test_that_cannot_be_read(self) -> None:
        proto = onnx_model([node("Gemm", ["x", "w"], ["y"])], {"x": (FLOAT, [3, 6])}, constants={"w": normal(6, 6)})
        proto.graph.initializer[0].raw_data = b"123"
        with pytest.raises(ModelError, match="initializer 'w' cannot be read"):
            quantize_dynamic(proto, None)

    def test_small_scales_have_products(self) -> None:
        """Scales of 1e-25 each: their product is no float32."""
        nodes = [node("Gemm", ["x", "w", "b"], ["t"], name="tiny"), node("Gemm", ["x", "v"], ["y"], name="plain")]
        constants = {"w": normal(6, 5) * np.float32(1e-23), "b": normal(5), "v": normal(6, 5) * np.float32(1e23)}
        proto = onnx_model(nodes, {"x": (FLOAT, [3, 6])}, ["y", "t"], constants)
        samples = [{"x": sample["x"] * np.float32(1e-23)} for sample in data(3, 6)]
        near(proto, quantize_static(proto, None, samples), samples[0])


class TestFolding:
    def folded(self, nodes, constants, outputs=("y",)):
        proto = onnx_model(nodes, {"x": (FLOAT, [1, 4])}, outputs, constants)
        fold_constants(Editor(proto))
        return proto

    def test_what_grows_without_being_weights_stays(self) -> None:
        nodes = [node("Expand", ["c", "s"], ["e"]), node("Where", ["m", "x", "e"], ["y"])]
        constants = {"c": np.float32([1]), "s": np.array([4000, 4]), "m": np.array([True])}
        assert op_types(self.folded(nodes, constants)) == ["Expand", "Where"]

    def test_doubling_ends(self) -> None:
        """Thirty times twice as large: 4 GB."""
        nodes = [node("Concat", [f"t{i}", f"t{i}"], [f"t{i + 1}"], axis=0) for i in range(30)]
        proto = self.folded([*nodes, node("Mul", ["x", "t30"], ["y"])], {"t0": np.zeros((1, 4), np.float32)})
        assert sum(t.ByteSize() for t in proto.graph.initializer) < 2**28

    def test_random_numbers_stay(self) -> None:
        nodes = [node("RandomNormalLike", ["c"], ["r"]), node("Mul", ["x", "r"], ["y"])]
        assert op_types(self.folded(nodes, {"c": np.zeros((1, 4), np.float32)})) == ["RandomNormalLike", "Mul"]


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("opset", [7, 11, 13])
def test_files_of_ir_version_3(opset, listed) -> None:
    """They list their initializers among the inputs; some writers do not, and raise the operator set alone."""
    nodes = [node("Conv", ["x", "w", "b"], ["c"]), node("Relu", ["c"], ["y"])]
    constants = {"w": normal(3, 2, 1, 1), "b": normal(3)}
    inputs = {"x": (FLOAT, [1, 2, 4, 4]), **(constants if listed else {})}
    proto = onnx_model(nodes, inputs, constants=constants, opset=opset)
    proto.ir_version = 3
    for quantised in (
        quantize_static(proto, None, data(1, 2, 4, 4)),
        quantize_dynamic(proto, None),
        quantize_weights(proto, None),
        quantize_weights(proto, None, block_size=16),
    ):
        assert [i.name for i in quantised.graph.input] == ["x"]
        near(proto, quantised, data(1, 2, 4, 4)[0])


def test_means_of_bytes_survive_the_file() -> None:
    """Their factors are uint32."""
    nodes = [node("Conv", ["x", "w"], ["c"]), node("GlobalAveragePool", ["c"], ["y"]), node("Conv", ["y", "v"], ["z"])]
    constants = {"w": normal(3, 2, 1, 1), "v": normal(4, 3, 1, 1)}
    proto = onnx_model(nodes, {"x": (FLOAT, [1, 2, 4, 4])}, ["z"], constants)
    quantised = quantize_static(proto, None, data(1, 2, 4, 4))
    assert {w.data.dtype for w in tinyinfer.compile(quantised).plan.weights} >= {np.dtype(np.uint32)}
    near(proto, quantised, data(1, 2, 4, 4)[0])


class TestBatchNormalization:
    def proto(self, outputs):
        nodes = [
            node("Conv", ["x", "w"], ["t"]),
            node("BatchNormalization", ["t", "s", "h", "m", "v"], ["y", "m1", "v1", "m2", "v2"], name="norm"),
        ]
        constants = {"w": normal(3, 2, 1, 1), "s": np.ones(3, np.float32), "h": np.zeros(3, np.float32),
                     "m": normal(3, seed=1), "v": np.full(3, 4, np.float32)}  # fmt: skip
        return onnx_model(nodes, {"x": (FLOAT, [1, 2, 4, 4])}, outputs, constants, opset=9), constants

    def test_outputs_of_training_that_nothing_reads(self) -> None:
        proto, c = self.proto(["y"])
        feeds = data(1, 2, 4, 4)[0]
        sums = np.einsum("oc,nchw->nohw", c["w"][:, :, 0, 0].astype(np.float64), feeds["x"])
        expected = (sums - c["m"].reshape(1, 3, 1, 1)) / np.sqrt(4 + 1e-5)
        quantised = quantize_static(proto, None, data(1, 2, 4, 4))
        assert "BatchNormalization" not in op_types(quantised)
        near(proto, quantised, feeds, expected={"y": expected})

    def test_outputs_of_training_that_are_read(self) -> None:
        with pytest.raises(QuantizationError, match=r"node 'norm' \(BatchNormalization\) gives 'm2', statistics of"):
            quantize_static(self.proto(["y", "m2"])[0], None, data(1, 2, 4, 4))


class TestWithoutScale:
    """A tensor that gives no scale leaves what touches it in float, and the rest is quantised."""

    def proto(self, shift):
        nodes = [
            node("Gemm", ["x", "w", "low"], ["d"], name="dead"),
            node("Relu", ["d"], ["z"], name="relu"),
            node("Gemm", ["z", "v", "b"], ["e"], name="after"),
            node("Gemm", ["x", "v"], ["f"], name="beside"),
            node("Add", ["e", "f"], ["y"], name="sum"),
        ]
        constants = {"w": normal(6, 6), "low": np.full(6, shift, np.float32), "v": normal(6, 6), "b": normal(6)}
        return onnx_model(nodes, {"x": (FLOAT, [3, 6])}, constants=constants, opset=19)

    @pytest.mark.parametrize("options", [{}, {"keep_accuracy": 0.9}, {"bias_correction": False}], ids=str)
    def test_zero_in_all_data(self, options) -> None:
        proto = self.proto(-1000.0)
        quantised = quantize_static(proto, None, data(3, 6), **options)
        for name in ("dead", "after"):
            assert node_of(quantised, name).input[1] in ("w", "v")
        assert weights_of(quantised, "beside")[0].dtype == np.int8
        near(proto, quantised, data(3, 6)[0])

    def test_nothing_is_left(self) -> None:
        nodes = [node("Gemm", ["x", "w", "low"], ["d"]), node("Relu", ["d"], ["z"]), node("Gemm", ["z", "w"], ["y"])]
        constants = {"w": normal(6, 6), "low": np.full(6, -1000, np.float32)}
        proto = onnx_model(nodes, {"x": (FLOAT, [3, 6])}, constants=constants)
        with pytest.raises(QuantizationError, match=r"nothing to quantise: 'z' gave no range, being zero"):
            quantize_static(proto, None, data(3, 6))

    def test_it_is_told(self) -> None:
        assert Quantizer(self.proto(-1000.0), data(3, 6)).without_scale == ["z"]
        assert Quantizer(self.proto(0.0), data(3, 6)).without_scale == []

    def test_not_finite(self) -> None:
        nodes = [
            node("Gemm", ["x", "w"], ["a"], name="a"),
            node("Add", ["a", "mask"], ["m"], name="mask"),
            node("Softmax", ["m"], ["s"], name="softmax"),
            node("Gemm", ["s", "w"], ["y"], name="b"),
        ]
        mask = np.where(np.arange(6) > 3, -np.inf, 0).astype(np.float32)
        proto = onnx_model(nodes, {"x": (FLOAT, [3, 6])}, constants={"w": normal(6, 6), "mask": mask})
        quantised = quantize_static(proto, None, data(3, 6))
        assert weights_of(quantised, "b")[0].dtype == np.int8
        near(proto, quantised, data(3, 6)[0])

    def test_constant_in_all_data(self) -> None:
        proto = self.proto(0.0)
        same = [{"x": np.full((3, 6), 0.75, np.float32)}] * 4
        near(proto, quantize_static(proto, None, same), same[0])


def test_long_sums_stay_float_where_int32_may_not_hold_them() -> None:
    """70,000 products of bytes reach 2.3e9."""
    nodes = [node("MatMul", ["x", "w"], ["t"], name="long"), node("MatMul", ["t", "v"], ["y"], name="short")]
    constants = {"w": np.ones((70_000, 2), np.float32), "v": normal(2, 2)}
    proto = onnx_model(nodes, {"x": (FLOAT, [1, 70_000])}, constants=constants)
    quantised = quantize_dynamic(proto, None)
    assert node_of(quantised, "long").op_type == "MatMul"
    near(proto, quantised, {"x": np.ones((1, 70_000), np.float32)})


def test_reduced_range_of_unsigned_weights() -> None:
    """Seven bits around 64, so that none is clipped."""
    proto = onnx_model(
        [node("Gemm", ["x", "w"], ["y"], name="g")], {"x": (FLOAT, [3, 6])}, constants={"w": normal(6, 6)}
    )
    quantised = quantize_static(proto, None, data(3, 6), weight_type=QuantType.QUInt8, reduce_range=True)
    values, _, zero, _ = weights_of(quantised, "g")
    assert set(zero.tolist()) == {64}
    assert values.max() <= 127
    near(proto, quantised, data(3, 6)[0])
