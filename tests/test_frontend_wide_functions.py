"""Every operator that is folded on constants of types that values do not have, against ONNX's own evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.onnx_models import imported, model, oracle
from tinyinfer import frontend
from tinyinfer.errors import TinyInferError, UnsupportedError
from tinyinfer.frontend import wide_functions
from tinyinfer.types import Array

SHAPES = {"MatMul": ((2, 3), (3, 4)), "Gemm": ((3, 2), (3, 4), (4,))}
BINARY = ("Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "PRelu", "Pow", "Sub")
COUNTS = {**dict.fromkeys(BINARY, 2), **dict.fromkeys(("Clip", "Max", "Mean", "Min", "Sum"), 3)}
ATTRS: dict[str, list[dict[str, Any]]] = {
    "ArgMax": [{"axis": 0}, {"axis": -1, "keepdims": 0, "select_last_index": 1}],
    "ArgMin": [{"axis": 0, "select_last_index": 1}, {"axis": -1, "keepdims": 0}],
    "Gemm": [{"transA": 1, "alpha": 0.5, "beta": 0.25}],
    "LeakyRelu": [{}, {"alpha": 0.5}],
    "LogSoftmax": [{"axis": 0}, {}],
    "Softmax": [{"axis": 0}, {}],
}
QUANTISED = ("DequantizeLinear", "QuantizeLinear")
REDUCTIONS = sorted(op for op in wide_functions.FUNCTIONS if op.startswith("Reduce"))
POSITIVE = frozenset({"Log", "Pow", "ReduceLogSum", "Sqrt"})
INTEGER = ("Add", "Div", "Mul", "Sub", "Max", "Min", "Clip", "Equal", "Less", "Greater", "MatMul")


def operands(op: str, dtype: str, seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    shapes = SHAPES.get(op) or ((2, 3), (3,), ())[: COUNTS.get(op, 1)]
    if op == "Clip":
        return [rng.uniform(-3, 3, (2, 3)).astype(dtype), np.array(-1, dtype), np.array(1.3).astype(dtype)]
    low = 0.1 if op in POSITIVE else -3.0
    return [rng.uniform(low, 3, shape).astype(dtype) for shape in shapes]


def calls() -> Iterator[Any]:
    """Operator, attributes, further operands, opset."""
    for op in sorted(set(wide_functions.FUNCTIONS) - set(REDUCTIONS) - set(QUANTISED) - {"Range"}):
        for attrs in ATTRS.get(op, [{}]):
            yield pytest.param(op, attrs, [], 18, id=f"{op}-{attrs}")
    for op in REDUCTIONS:
        yield pytest.param(op, {"keepdims": 0}, [np.array([-1])], 18, id=f"{op}-input")
        yield pytest.param(op, {}, [np.array([0, 1])], 18, id=f"{op}-both")
        yield pytest.param(op, {}, [], 18, id=f"{op}-all")
        yield pytest.param(op, {"noop_with_empty_axes": 1}, [], 18, id=f"{op}-none")
        if op != "ReduceSum":
            yield pytest.param(op, {"axes": [0], "keepdims": 0}, [], 12, id=f"{op}-attribute")


def folded(
    op: str, attrs: dict[str, Any], arrays: list[Array], opset: int, to: int = TensorProto.FLOAT
) -> tuple[Array, Array]:
    """The result and that of the evaluator, cast to a type that outputs have."""
    names = [f"i{k}" for k in range(len(arrays))]
    nodes = [helper.make_node(op, names, ["r"], **attrs), helper.make_node("Cast", ["r"], ["y"], to=to)]
    proto = model(nodes, {}, ["y"], dict(zip(names, arrays, strict=True)), opset)
    return imported(proto, {})["y"], oracle(proto, {})["y"]


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize(("op", "attrs", "more", "opset"), list(calls()))
def test_floats(op: str, attrs: dict[str, Any], more: list[Array], opset: int, dtype: str) -> None:
    """float64 to the rounding to float32, float16 to two of its steps: the order of operations is open."""
    for seed in range(5):
        actual, expected = folded(op, attrs, [*operands(op, dtype, seed), *more], opset)
        assert actual.shape == expected.shape
        rtol = 2e-7 if dtype == "float64" else 4e-3
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=0 if dtype == "float64" else 4e-3)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("op", INTEGER)
def test_integers(op: str, dtype: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        arrays = [rng.integers(1, 2**31, a.shape).astype(dtype) for a in operands(op, "float64", seed)]
        if op == "Clip":
            arrays[1:] = [np.array(2**20, dtype), np.array(2**30, dtype)]
        actual, expected = folded(op, {}, arrays, 13, TensorProto.INT64)
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("op", "axis"), [(op, axis) for op in ("Softmax", "LogSoftmax") for axis in (0, 1, 2)])
def test_softmax_before_opset_13_is_over_all_axes_from_one_on(op: str, axis: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    actual, _ = folded(op, {"axis": axis}, [x], 11)
    e = np.exp(x.reshape(int(np.prod(x.shape[:axis])), -1))
    expected = (e / e.sum(1, keepdims=True)).reshape(x.shape)
    np.testing.assert_allclose(actual, np.log(expected) if op == "LogSoftmax" else expected, rtol=2e-6)


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16"])
def test_quantised_constants(dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, (2, 3), endpoint=True).astype(dtype)
    scale = rng.uniform(0.01, 0.2, shape).astype(np.float16)
    zero = rng.integers(0, 5, shape).astype(dtype)
    actual, expected = folded("DequantizeLinear", {"axis": 1}, [x, scale, zero], 21)
    np.testing.assert_array_equal(actual, expected)
    numbers = rng.uniform(-9, 9, (2, 3)).astype(np.float16)
    actual, expected = folded("QuantizeLinear", {"axis": 1}, [numbers, scale, zero], 21, TensorProto.INT32)
    np.testing.assert_array_equal(actual, expected)


def test_an_absent_bound_leaves_clip_open() -> None:
    x = np.array([-1e300, 1e300])
    proto = model(
        [helper.make_node("Clip", ["x", "", "m"], ["r"]), helper.make_node("Less", ["r", "l"], ["y"])],
        {}, ["y"], {"x": x, "m": np.array(1.0), "l": np.array(-1e299)}, 13,
    )  # fmt: skip
    assert imported(proto, {})["y"].tolist() == [True, False]


def test_a_type_that_is_not_computed_in_is_refused_by_its_attribute() -> None:
    node = helper.make_node("DequantizeLinear", ["x", "s"], ["r"], name="n", output_dtype=TensorProto.BFLOAT16)
    cast = helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT)
    table = {"x": np.array([1], np.int8), "s": np.array(0.1, np.float16)}
    with pytest.raises(UnsupportedError, match=r"node n \(DequantizeLinear\): attribute output_dtype is 'bfloat16'"):
        frontend.load(model([node, cast], {}, constants=table, opset=23))


@pytest.mark.parametrize("op", sorted(wide_functions.FUNCTIONS))
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3, 4)])
def test_shapes_that_do_not_fit_are_errors_of_the_model(op: str, shape: tuple[int, ...]) -> None:
    names = [f"i{k}" for k in range(3 if op == "Range" else COUNTS.get(op, 2 if op in (*SHAPES, *QUANTISED) else 1))]
    constants = {name: np.zeros(shape if k == 0 else (5,), np.float16) for k, name in enumerate(names)}
    with suppress(TinyInferError):  # of the result's type at the latest; nothing else may be raised
        frontend.load(model([helper.make_node(op, names, ["r"])], {}, ["r"], constants, opset=18))
