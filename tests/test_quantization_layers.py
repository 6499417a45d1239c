"""Equalisation across layers, sensitivity of layers, mixed precision, and the float simulation they rest on."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.onnx_models import model as onnx_model
from tests.onnx_models import oracle
from tests.test_quantization_static import evaluable, network, normal, samples, sqnr
from tinyinfer.errors import QuantizationError
from tinyinfer.quantization import Quantizer, QuantType, Scheme, analyze, quantize_static, write_report
from tinyinfer.quantization.editing import Editor
from tinyinfer.quantization.equalization import equalize
from tinyinfer.quantization.mixed import accuracy_kept, choose_float_layers
from tinyinfer.quantization.preparation import prepare
from tinyinfer.quantization.running import TensorRunner
from tinyinfer.quantization.selection import select
from tinyinfer.quantization.simulation import simulate

FLOAT = TensorProto.FLOAT


@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
def test_the_simulation_computes_what_the_quantised_model_does(kind) -> None:
    """Against ONNX's own evaluator: but for sums near a half, which round either way, every tensor is the same."""
    quantised = quantize_static(network(), None, samples(), activation_type=kind)
    feeds = samples(1, seed=77)[0]
    simulated = TensorRunner(simulate(quantised), ["scores"]).run(feeds)["scores"]
    assert sqnr(oracle(evaluable(quantised), feeds)["scores"], simulated) > 45


def chain(clip, seed=0):
    """Two pointwise convolutions around a depthwise one, whose channels differ a thousandfold."""
    factors = np.float32(10.0) ** np.linspace(-1.5, 1.5, 8, dtype=np.float32)
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], name="expand"),
        node(*clip("c0", "r0"), name="clip0"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], name="depthwise", group=8, pads=[1, 1, 1, 1]),
        node(*clip("c1", "r1"), name="clip1"),
        node("Conv", ["r1", "w2", "b2"], ["y"], name="project"),
    ]
    weights = {
        "w0": normal(8, 3, 1, 1, seed=seed + 1) * factors.reshape(-1, 1, 1, 1),
        "b0": normal(8, seed=seed + 2) * factors,
        "w1": normal(8, 1, 3, 3, seed=seed + 3), "b1": normal(8, seed=seed + 4) * factors,
        "w2": normal(5, 8, 1, 1, seed=seed + 5) / factors.reshape(1, -1, 1, 1), "b2": normal(5, seed=seed + 6),
        "zero": np.float32(0), "six": np.float32(6),
    }  # fmt: skip
    return onnx_model(nodes, {"x": (FLOAT, [1, 3, 8, 8])}, constants=weights, opset=19)


def relu(x, y):
    return "Relu", [x], [y]


def relu6(x, y):
    return "Clip", [x, "zero", "six"], [y]


class TestEqualization:
    def equalized(self, proto, data):
        prepared = prepare(proto)
        pairs = equalize(prepared, select(Editor(prepared)), data)
        return prepared, pairs

    def test_what_is_computed_stays(self) -> None:
        proto = chain(relu)
        prepared, pairs = self.equalized(proto, samples(4))
        assert [(p.first, p.second) for p in pairs] == [("expand", "depthwise"), ("depthwise", "project")]
        for feeds in samples(3, seed=50):
            expected = oracle(proto, feeds)["y"]
            np.testing.assert_allclose(oracle(prepared, feeds)["y"], expected, rtol=1e-4, atol=1e-4)

    def test_ranges_become_equal(self) -> None:
        """After it the largest weights that write and that read a channel are the same (the definition of s)."""
        prepared, _ = self.equalized(chain(relu), samples(4))
        editor = Editor(prepared)
        w0, w1, w2 = (np.abs(editor.array(n.input[1])) for n in editor.nodes if n.op_type == "Conv")
        np.testing.assert_allclose(w0.max((1, 2, 3)), w1.max((1, 2, 3)), rtol=1e-2)
        np.testing.assert_allclose(w1.max((1, 2, 3)), w2.max((0, 2, 3)), rtol=1e-2)

    def test_channels_that_reach_a_clip_are_left_alone(self) -> None:
        """On the calibration data nothing changes, though the clip is not homogeneous."""
        proto, data = chain(relu6), samples(6)
        prepared, pairs = self.equalized(proto, data)
        assert all(pair.bound == 6 for pair in pairs)
        for feeds in data:
            np.testing.assert_allclose(oracle(prepared, feeds)["y"], oracle(proto, feeds)["y"], rtol=1e-3, atol=1e-3)
        editor = Editor(prepared)
        expand = next(n for n in editor.nodes if n.name == "expand")
        assert (editor.array(expand.input[1]) == Editor(proto).array("w0")).all((1, 2, 3)).any()

    def test_it_rescues_scales_for_whole_tensors(self) -> None:
        proto, held_out = chain(relu), samples(6, seed=300)

        def quality(equalization):
            quantised = quantize_static(
                proto, None, samples(), per_channel=False, cross_layer_equalization=equalization
            )
            onnx.checker.check_model(quantised, full_check=True)
            return np.mean([sqnr(oracle(proto, f)["y"], oracle(quantised, f)["y"]) for f in held_out])

        assert quality(True) > quality(False) + 6

    def test_other_readers_prevent_it(self) -> None:
        proto = chain(relu)
        proto.graph.output.append(helper.make_tensor_value_info("r0", FLOAT, None))
        _, pairs = self.equalized(proto, samples(2))
        assert [(p.first, p.second) for p in pairs] == [("depthwise", "project")]


def unequal():
    """Three products; the weights of the second share a scale that one large weight ruins."""
    nodes = [
        helper.make_node("Gemm", ["x", "w0"], ["a"], name="good"),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "w1"], ["b"], name="bad"),
        helper.make_node("Relu", ["b"], ["s"], name="relu2"),
        helper.make_node("Gemm", ["s", "w2"], ["y"], name="fine"),
    ]
    w1 = normal(24, 24, seed=2)
    w1[0, 0] = 300.0
    weights = {"w0": normal(16, 24, seed=1), "w1": w1, "w2": normal(24, 10, seed=3)}
    weights["w0"][:, 0] = 0.0  # what the large weight multiplies
    return onnx_model(nodes, {"x": (FLOAT, ["n", 16])}, constants=weights, opset=19)


@pytest.fixture
def quantizer() -> Quantizer:
    data = [{"x": normal(1, 16, seed=i)} for i in range(64)]
    return Quantizer(unequal(), data, Scheme(per_channel=False), bias_correction=False)


class TestSensitivity:
    def test_the_worst_layer_is_found(self, quantizer) -> None:
        found = analyze(quantizer)
        assert [layer.node for layer in found.layers] == ["good", "bad", "fine"]
        assert found.worst[0].node == "bad"
        assert found.worst[0].share > 0.9
        assert sum(layer.share for layer in found.layers) == pytest.approx(1)

    def test_figures_are_those_of_the_definition(self, quantizer) -> None:
        """SQNR and largest error of the outputs, from ONNX's evaluator on the quantised model."""
        found = analyze(quantizer, samples=4)
        feeds = [{"x": normal(1, 16, seed=i)} for i in range(4)]
        exact = np.concatenate([oracle(unequal(), f)["y"] for f in feeds])
        actual = np.concatenate([oracle(quantizer.model(), f)["y"] for f in feeds])
        assert found.samples == 4
        assert found.sqnr == pytest.approx(sqnr(exact, actual), abs=0.5)
        assert found.max_error == pytest.approx(np.abs(exact - actual).max(), rel=0.1)
        assert found.layers[2].sqnr == pytest.approx(found.sqnr)

    def test_report(self, quantizer, tmp_path) -> None:
        found = analyze(quantizer, samples=2)
        paths = write_report(tmp_path / "new" / "folder", found, ["bad"])
        assert [p.name for p in paths] == ["sensitivity.json", "sensitivity.csv", "sensitivity.svg"]
        data = json.loads(paths[0].read_text())
        assert [layer["float"] for layer in data["layers"]] == [False, True, False]
        assert data["layers"][1]["sqnr"] == found.layers[1].sqnr
        assert paths[1].read_text().splitlines()[0] == "node,op,sqnr,max_error,loss,share,float"
        drawing = ElementTree.parse(paths[2]).getroot()
        texts = [element.text for element in drawing.iter() if element.tag.endswith("text")]
        assert {"good", "bad", "fine"} <= set(texts)


class TestMixedPrecision:
    def test_the_fewest_layers_stay_in_float(self, quantizer) -> None:
        assert choose_float_layers(quantizer, 0.95) == ["bad"]
        model = quantizer.model(["bad"])
        onnx.checker.check_model(model, full_check=True)
        gemms = {n.name: n for n in model.graph.node if n.op_type == "Gemm"}
        assert gemms["bad"].input[1] == "w1"
        assert gemms["good"].input[1] != "w0"
        feeds = [{"x": normal(1, 16, seed=i)} for i in range(64)]
        agree = np.mean([oracle(model, f)["y"].argmax() == oracle(unequal(), f)["y"].argmax() for f in feeds])
        assert agree >= 0.95

    def test_none_when_none_has_to(self, quantizer) -> None:
        assert choose_float_layers(quantizer, 0.01) == ()

    def test_by_the_one_function(self) -> None:
        data = [{"x": normal(1, 16, seed=i)} for i in range(64)]
        model = quantize_static(unequal(), None, data, per_channel=False, keep_accuracy=0.95)
        assert sum(n.op_type == "QuantizeLinear" for n in model.graph.node) < 3
        with pytest.raises(QuantizationError, match="accuracy to keep is 0"):
            quantize_static(unequal(), None, data, keep_accuracy=0)

    def test_every_part_of_a_network_is_a_valid_model(self) -> None:
        """Whatever stays in float: operators that belonged to it must not be quantised on unknown ranges."""
        quantizer = Quantizer(network(), samples(4))
        for name in quantizer.selection.nodes:
            onnx.checker.check_model(quantizer.model([name]), full_check=True)

    def test_what_accuracy_means(self) -> None:
        scores = [{"y": np.float32([[1, 2, 3]])}, {"y": np.float32([[3, 2, 1]])}]
        other = [{"y": np.float32([[0, 0, 9]])}, {"y": np.float32([[3, 4, 1]])}]
        assert accuracy_kept(scores, other, "y") == 0.5
        picture, noisy = [{"y": np.float32([[[3.0, 4.0]]])}], [{"y": np.float32([[[3.0, 3.5]]])}]
        assert accuracy_kept(picture, noisy, "y") == pytest.approx(0.9)
