"""Models whose weights alone are quantised: what is stored, what runs, and that the bits are those of float weights."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.differential import assert_same_bits
from tests.onnx_models import model as onnx_model
from tests.test_quantization_static import normal
from tinyinfer import compiler, frontend, passes, registry
from tinyinfer.graph import Graph
from tinyinfer.quantization import QuantType, quantize_weights
from tinyinfer.ref import interpreter
from tinyinfer.session import InferenceSession
from tinyinfer.types import Array

FLOAT = TensorProto.FLOAT


def perceptron(k: int = 70):
    """Two products: one with a clamp behind it, one of a transposed matrix with a bias and a residual."""
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["g"], name="second", transB=1),
        helper.make_node("Add", ["g", "x"], ["y"], name="sum"),
    ]
    weights = {"w0": normal(k, 40, seed=1), "w1": normal(k, 40, seed=2), "b1": normal(k, seed=3)}
    return onnx_model(nodes, {"x": (FLOAT, [3, k])}, constants=weights)


def compiled(model) -> compiler.CompiledModel:
    return compiler.compile(model.SerializeToString())


def kernels_of(model: compiler.CompiledModel) -> list[str]:
    return [step.kernel for step in model.plan.steps]


def in_float(graph: Graph, x: Array) -> Array:
    """Of the graph as imported: every weight is dequantised before anything is multiplied by it."""
    return interpreter.run(graph, {"x": x}, registry.reference_of)["y"]


@pytest.mark.parametrize("block", [None, 16])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("kind", "kernel"), [(QuantType.QInt4, "f32_gemm_x4"), (QuantType.QInt8, "f32_gemm_x8")])
def test_weights_stay_small_and_products_keep_their_bits(kind, kernel, symmetric, block):
    quantised = quantize_weights(perceptron(), None, kind, block, symmetric)
    model, x = compiled(quantised), normal(3, 70, seed=5)
    assert kernels_of(model) == [kernel, kernel], "bias, clamp and residual are part of the products"
    graph = passes.run(frontend.load(quantised.SerializeToString(), {}))
    outputs = InferenceSession(model).run({"x": x})["y"]
    assert_same_bits(outputs, interpreter.run(graph, {"x": x}, registry.reference_of)["y"], "the plan")
    share = model.plan.weight_bytes / compiled(perceptron()).plan.weight_bytes
    scales = 5 / (4 * (block or 32)) if kind is QuantType.QInt4 or block else 0.07
    assert share < {QuantType.QInt4: 1 / 8, QuantType.QInt8: 1 / 4}[kind] + scales + 0.05


def test_bits_are_those_of_float_weights():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
    proto = onnx_model(nodes, {"x": (FLOAT, [3, 70])}, constants={"w": normal(70, 40, seed=1)})
    quantised = quantize_weights(proto, None, QuantType.QInt4, 16, False)
    x = normal(3, 70, seed=5)
    expected = in_float(frontend.load(quantised.SerializeToString(), {}), x)
    assert_same_bits(InferenceSession(compiled(quantised)).run({"x": x})["y"], expected, "MatMulNBits")


def test_products_of_an_odd_number_of_terms_have_float_weights():
    quantised = quantize_weights(perceptron(71), None, QuantType.QInt8)
    assert kernels_of(compiled(quantised)) == ["f32_gemm", "f32_gemm_x8"]


def test_weights_that_others_read_too_are_dequantised():
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "w"], ["y"]),
    ]
    constants = {"q": np.arange(64, dtype=np.int8).reshape(8, 8), "s": np.float32(0.1)}
    model = compiled(onnx_model(nodes, {"x": (FLOAT, [8, 8])}, constants=constants))
    assert not any("_x" in kernel for kernel in kernels_of(model) if "gemm" in kernel)


def test_embeddings_stay_small_and_keep_the_bits_of_the_reference():
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], name="embedding"),
        helper.make_node("MatMul", ["rows", "w"], ["y"], name="product"),
    ]
    constants = {"table": normal(500, 64, seed=1), "w": normal(64, 16, seed=2)}
    proto = onnx_model(nodes, {"ids": (TensorProto.INT64, [2, 3])}, constants=constants)
    quantised = quantize_weights(proto, None, QuantType.QInt8)
    model, ids = compiled(quantised), np.array([[0, 499, -1], [-500, 7, 7]])
    assert model.plan.weight_bytes < 0.3 * compiled(proto).plan.weight_bytes
    graph = frontend.load(quantised.SerializeToString(), {})
    outputs = InferenceSession(model).run({"ids": ids})["y"]
    assert_same_bits(outputs, interpreter.run(graph, {"ids": ids}, registry.reference_of)["y"], "the plan")
