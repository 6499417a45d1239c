"""The figures by which a quantised model is judged."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.onnx_models import model as onnx_model
from tests.onnx_models import oracle
from tests.small_models import classifier
from tests.test_quantization_static import network, normal, sqnr
from tinyinfer.errors import QuantizationError
from tinyinfer.quantization import Accuracy, compare, quantize_static, quantize_weights

FLOAT = TensorProto.FLOAT


def gemm(weights, outputs=("y",)):
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"]), helper.make_node("ArgMax", ["y"], ["best"], axis=1)]
    return onnx_model(nodes, {"x": (FLOAT, ["n", 8])}, outputs, {"w": weights})


def test_figures_are_those_of_the_definition() -> None:
    """Against ONNX's evaluator, for a model whose weights are others."""
    w = normal(8, 4)
    exact, other = gemm(w), gemm(w + normal(8, 4, seed=1, scale=0.3))
    data = [{"x": normal(5, 8, seed=i)} for i in range(10, 16)]
    want, found = (np.concatenate([oracle(p, feeds)["y"] for feeds in data]) for p in (exact, other))
    agreeing = int((want.argmax(axis=1) == found.argmax(axis=1)).sum())
    assert 0 < agreeing < 30
    accuracy = compare(exact, other, data)
    assert accuracy.sqnr == pytest.approx(sqnr(want, found), abs=1e-3)
    assert (accuracy.agreeing, accuracy.rows, accuracy.samples) == (agreeing, 30, 6)
    assert str(accuracy) == f"SQNR {accuracy.sqnr:.1f} dB, best class as in float for {agreeing} of 30"


def test_a_model_is_as_itself() -> None:
    assert compare(gemm(normal(8, 4)), gemm(normal(8, 4)), [{"x": normal(1, 8)}]) == Accuracy(200.0, 1, 1, 1)


def test_what_is_no_score() -> None:
    """Outputs with more than one place for each sample have no best class; integers have no noise."""
    node = helper.make_node("Relu", ["x"], ["y"])
    proto = onnx_model([node], {"x": (FLOAT, [1, 3, 4, 4])})
    assert compare(proto, proto, [{"x": normal(1, 3, 4, 4)}]).rows == 0
    proto = gemm(normal(8, 4), ("best",))
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    assert str(compare(proto, proto, [{"x": normal(1, 8)}])) == "no float output to compare"
    with pytest.raises(QuantizationError, match="has no float output"):
        quantize_static(proto, None, [{"x": normal(1, 8)}], keep_accuracy=0.9)


@pytest.mark.parametrize(
    ("sqnr", "agreeing", "low"), [(15.0, 9, False), (14.9, 10, True), (40.0, 8, True), (float("nan"), 10, True)]
)
def test_what_is_low(sqnr, agreeing, low) -> None:
    assert Accuracy(sqnr, agreeing, 10, 10).is_low is low


def test_quantised_models_are_short_in_a_notebook() -> None:
    data = [{"x": normal(1, 3, 8, 8)}]
    for quantised in (quantize_static(network(), None, data), quantize_weights(classifier(), None)):
        assert len(repr(quantised)) < 500
        assert "\n" not in repr(quantised)
