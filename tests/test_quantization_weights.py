"""Dynamic and weight-only quantisation, and bias correction."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from tests.onnx_models import model as onnx_model
from tests.onnx_models import oracle
from tests.test_quantization_static import evaluable, initializer, network, node_of, normal, op_types, samples, sqnr
from tinyinfer.errors import QuantizationError
from tinyinfer.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static, quantize_weights

FLOAT = TensorProto.FLOAT


class MatMulNBits(OpRun):
    """The operator as onnxruntime documents it: B is [N, blocks, block_size / 2], low half first, zero points 8."""

    op_domain = "com.microsoft"

    def _run(self, a, b, scales, zero_points=None, K=0, N=0, bits=4, block_size=0, **_):
        assert bits == 4
        blocks = (K + block_size - 1) // block_size
        assert b.shape == (N, blocks, block_size // 2)
        assert scales.size == N * blocks
        weights = np.zeros((N, K), np.float32)
        for n in range(N):
            for k in range(K):
                block, place = divmod(k, block_size)
                byte = int(b[n, block, place // 2])
                value = byte >> 4 if place % 2 else byte & 15
                zero = 8
                if zero_points is not None:
                    byte = int(zero_points.reshape(N, -1)[n, block // 2])
                    zero = byte >> 4 if block % 2 else byte & 15
                weights[n, k] = (value - zero) * scales.reshape(N, blocks)[n, block]
        return (a @ weights.T,)


def perceptron(k=70, n=9, opset=13):
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["y"], name="second", transB=1),
    ]
    weights = {"w0": normal(k, 40, seed=1), "w1": normal(n, 40, seed=2), "b1": normal(n, seed=3)}
    return onnx_model(nodes, {"x": (FLOAT, ["batch", k])}, constants=weights, opset=opset)


def run(proto, x):
    feeds = {"x": x}
    return ReferenceEvaluator(proto, new_ops=[MatMulNBits]).run(None, feeds)[0]


class TestDynamic:
    @pytest.mark.parametrize("per_channel", [False, True])
    @pytest.mark.parametrize("weight_type", [QuantType.QInt8, QuantType.QUInt8])
    def test_products(self, per_channel, weight_type) -> None:
        proto = perceptron()
        quantised = quantize_dynamic(proto, None, per_channel=per_channel, weight_type=weight_type)
        onnx.checker.check_model(quantised, full_check=True)
        assert op_types(quantised).count("MatMulInteger") == 2
        assert {t.data_type for t in quantised.graph.initializer} == {
            FLOAT, TensorProto.DataType.Value(weight_type.value.upper())
        }  # fmt: skip
        x = normal(5, 70, seed=9)
        assert sqnr(oracle(proto, {"x": x})["y"], oracle(quantised, {"x": x})["y"]) > 30

    @pytest.mark.parametrize("per_channel", [False, True])
    def test_convolutions(self, per_channel) -> None:
        nodes = [
            helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1], strides=[2, 2]),
            helper.make_node("Relu", ["c"], ["y"], name="relu"),
        ]
        weights = {"w": normal(6, 3, 3, 3), "b": normal(6)}
        proto = onnx_model(nodes, {"x": (FLOAT, [1, 3, 8, 8])}, constants=weights)
        quantised = quantize_dynamic(proto, None, per_channel=per_channel)
        onnx.checker.check_model(quantised, full_check=True)
        assert "ConvInteger" in op_types(quantised)
        assert initializer(quantised, node_of(quantised, "conv").input[1]).dtype == np.uint8
        x = normal(1, 3, 8, 8, seed=9)
        assert sqnr(oracle(proto, {"x": x})["y"], oracle(quantised, {"x": x})["y"]) > 30

    def test_an_activation_is_quantised_once(self) -> None:
        nodes = [helper.make_node("MatMul", ["x", f"w{i}"], [f"y{i}"], name=f"n{i}") for i in range(3)]
        weights = {f"w{i}": normal(8, 4, seed=i) for i in range(3)}
        proto = onnx_model(nodes, {"x": (FLOAT, [2, 8])}, ["y0", "y1", "y2"], weights)
        assert op_types(quantize_dynamic(proto, None)).count("DynamicQuantizeLinear") == 1

    def test_what_is_left_out(self) -> None:
        quantised = quantize_dynamic(perceptron(), None, nodes_to_exclude=["first"])
        assert op_types(quantised).count("MatMulInteger") == 1
        assert "MatMul" in op_types(quantised)
        quantised = quantize_dynamic(network(), None, op_types_to_quantize=["Gemm"])
        assert "ConvInteger" not in op_types(quantised)
        with pytest.raises(QuantizationError, match=r"no node 'frist'.*did you mean first"):
            quantize_dynamic(perceptron(), None, nodes_to_exclude=["frist"])
        with pytest.raises(QuantizationError, match="nothing to quantise"):
            quantize_dynamic(perceptron(), None, op_types_to_quantize=["Conv"])


class TestWeightOnly:
    @pytest.mark.parametrize("block", [None, 16, 64])
    @pytest.mark.parametrize("symmetric", [True, False])
    def test_four_bits(self, block, symmetric) -> None:
        proto = perceptron()
        quantised = quantize_weights(proto, None, QuantType.QInt4, block, symmetric)
        onnx.checker.check_model(quantised)
        assert op_types(quantised).count("MatMulNBits") == 2
        x = normal(4, 70, seed=5)
        # The largest of 64 weights of deviation 1 is about 2.4: a step of 0.34, 20 decibels for one layer, 17 for two.
        assert sqnr(oracle(proto, {"x": x})["y"], run(quantised, x)) > 14
        assert len(quantised.SerializeToString()) < 0.32 * len(proto.SerializeToString())

    def test_four_bits_of_weights_that_are_multiples_are_exact(self) -> None:
        weights = np.random.default_rng(0).integers(-7, 8, (32, 3)).astype(np.float32)
        weights[0] = 7
        proto = onnx_model(
            [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": (FLOAT, [32, 32])}, constants={"w": weights}
        )
        quantised = quantize_weights(proto, None, QuantType.QInt4, 32)
        np.testing.assert_allclose(run(quantised, np.eye(32, dtype=np.float32)), weights, rtol=1e-6)

    @pytest.mark.parametrize(("block", "opset"), [(None, 13), (16, 21)])
    @pytest.mark.parametrize("symmetric", [True, False])
    def test_eight_bits(self, block, opset, symmetric) -> None:
        proto = perceptron()
        quantised = quantize_weights(proto, None, QuantType.QInt8, block, symmetric)
        onnx.checker.check_model(quantised, full_check=True)
        assert quantised.opset_import[0].version >= opset
        x = normal(4, 70, seed=5)
        assert sqnr(oracle(proto, {"x": x})["y"], oracle(evaluable(quantised), {"x": x})["y"]) > 38

    def test_eight_bits_of_convolutions(self) -> None:
        proto = network()
        quantised = quantize_weights(proto, None)
        onnx.checker.check_model(quantised, full_check=True)
        for feeds in samples(3):
            assert sqnr(oracle(proto, feeds)["scores"], oracle(quantised, feeds)["scores"]) > 35

    @pytest.mark.parametrize("weight_type", [QuantType.QInt8, QuantType.QInt4])
    def test_embeddings_have_a_scale_for_each_row(self, weight_type) -> None:
        table = normal(100, 64, seed=1) * np.logspace(-6, 6, 100, dtype=np.float32)[:, None]
        table[7] = 0
        nodes = [
            helper.make_node("Gather", ["table", "ids"], ["rows"], name="rows"),
            helper.make_node("Gather", ["table", "ids"], ["again"], name="again"),
            helper.make_node("Gather", ["small", "ids"], ["few"], name="few"),
            helper.make_node("Gather", ["table", "place"], ["columns"], name="columns", axis=1),
        ]
        constants = {"table": table, "small": normal(100, 4), "place": np.array(3)}
        outputs = ["rows", "again", "few", "columns"]
        proto = onnx_model(nodes, {"ids": (TensorProto.INT64, [2, 3])}, outputs, constants)
        quantised = quantize_weights(proto, None, weight_type)
        onnx.checker.check_model(quantised)
        names = [t.name for t in quantised.graph.initializer]
        assert sorted(names) == ["place", "small", "table", "table_quantized", "table_scales"]
        ids = np.array([[40, 99, 7], [0, -1, 57]])
        exact, found = (oracle(p, {"ids": ids}) for p in (proto, evaluable(quantised)))
        steps = np.abs(exact["rows"]).max(-1, keepdims=True) / 127
        assert np.all(np.abs(found["rows"] - exact["rows"]) <= steps * 0.501)
        assert not np.array_equal(found["rows"], exact["rows"])
        np.testing.assert_array_equal(found["again"], found["rows"])
        for name in ("few", "columns"):
            np.testing.assert_array_equal(found[name], exact[name])

    def test_refusals(self) -> None:
        with pytest.raises(QuantizationError, match="block_size is 20; accepted: powers of two from 16"):
            quantize_weights(perceptron(), None, QuantType.QInt4, 20)
        with pytest.raises(QuantizationError, match=r"accepted: QuantType.QInt8, QuantType.QInt4"):
            quantize_weights(perceptron(), None, QuantType.QUInt8)
        with pytest.raises(QuantizationError, match="is quantised already"):
            quantize_weights(quantize_weights(perceptron(), None, QuantType.QInt4), None)
        with pytest.raises(QuantizationError, match="nothing to quantise"):
            quantize_weights(perceptron(), None, nodes_to_exclude=["first", "second"])


class TestBiasCorrection:
    def head(self):
        """One product whose weights share a scale that rounds the small ones all the same way."""
        weights = normal(30, 4, seed=1, scale=0.004)
        weights[0, 0] = 1.0
        node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="head")
        constants = {"w": np.abs(weights), "b": normal(4, seed=2)}
        return onnx_model([node], {"x": (FLOAT, [1, 30])}, constants=constants, opset=19)

    def shift(self, correct):
        """How far the mean of each channel moves, over data of a positive mean."""
        proto = self.head()
        data = [{"x": np.abs(normal(1, 30, seed=i))} for i in range(50)]
        quantised = quantize_static(proto, None, data, per_channel=False, bias_correction=correct)
        means = [np.mean([oracle(p, d)["y"] for d in data], axis=0) for p in (proto, quantised)]
        scale = initializer(quantised, next(t.name for t in quantised.graph.initializer if t.name == "b_scale"))
        return np.abs(means[0] - means[1]).max(), float(scale)

    def test_means_are_restored(self) -> None:
        """To half a step of the int32 bias, and the rounding of float sums."""
        shifted, _ = self.shift(correct=False)
        restored, step = self.shift(correct=True)
        assert restored <= 0.5 * step + 1e-5
        assert shifted > 100 * restored

    def test_a_reader_is_read_once(self) -> None:
        class Reader(CalibrationDataReader):
            left = samples(4)

            def get_next(self):
                return self.left.pop(0) if self.left else None

        by_list = quantize_static(network(), None, samples(4), bias_correction=True)
        assert quantize_static(network(), None, Reader(), bias_correction=True) == by_list

    def test_a_convolution_without_bias_gets_one(self) -> None:
        node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
        proto = onnx_model([node], {"x": (FLOAT, [1, 3, 8, 8])}, constants={"w": normal(4, 3, 3, 3)})
        for correct, operands in ((False, 2), (True, 3)):
            quantised = quantize_static(proto, None, samples(4), bias_correction=correct)
            assert len(node_of(quantised, "conv").input) == operands


def test_constants_survive_as_they_were() -> None:
    """What is not quantised keeps its bytes."""
    quantised = quantize_weights(perceptron(), None, QuantType.QInt4)
    bias = next(t for t in quantised.graph.initializer if t.name == "b1")
    np.testing.assert_array_equal(numpy_helper.to_array(bias), normal(9, seed=3))
