"""Tensors of types that values do not have, met by operands of a run: exact where they are moved, compared or cast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.onnx_models import imported, model, oracle
from tinyinfer import compile as compile_
from tinyinfer import frontend
from tinyinfer.errors import UnsupportedError
from tinyinfer.types import Array
from tinyinfer.verification import verify

INDEX = {"i": np.array([2, 0], np.int64), "c": np.array([[True], [False]])}
BYTES = {"b": np.array([[1, 255, 7], [0, 3, 200]], np.uint8)}
# Each takes a matrix to one of as many columns.
STEPS: dict[str, tuple[list[str], dict[str, Any], dict[str, Array]]] = {
    "Concat": (["x", "x"], {"axis": 0}, {}),
    "Where": (["c", "x", "one"], {}, {}),
    "Expand": (["x", "shape"], {}, {"shape": np.array([2, 1, 1])}),
    "Tile": (["x", "times"], {}, {"times": np.array([2, 1])}),
    "Slice": (["x", "start", "end"], {}, {"start": np.array([0]), "end": np.array([2])}),
    "Reshape": (["x", "dims"], {}, {"dims": np.array([-1, 3])}),
    "Flatten": (["x"], {"axis": 1}, {}),
    "Pad": (["x", "pads", "one"], {}, {"pads": np.array([1, 0, 0, 0])}),
    "Max": (["x", "one"], {}, {}),
    "Min": (["x", "one"], {}, {}),
    "Identity": (["x"], {}, {}),
}
FLOAT_STEPS = ("Abs", "Neg", "Relu", "Floor", "Ceil")
ENDS = ("Cast", "Less", "Equal")
DTYPES = ("float16", "int16", "uint16", "uint32")


def table(dtype: str) -> Array:
    """Numbers that no smaller type holds."""
    if dtype in ("float16", "float64"):
        return np.array([[0.1, -2.5, 65504], [-0.0, 1e-7, 3.3], [np.inf, 7, -0.3], [2, 1, 0]]).astype(dtype)
    info = np.iinfo(dtype)
    return np.array([[info.min, info.max, 1], [2, 3, info.max - 1], [0, 1, 2], [4, 5, 6]], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_chains_at_run_time(dtype: str, data: st.DataObject) -> None:
    """As ONNX's evaluator computes in the type itself."""
    nodes = [helper.make_node("Gather", ["t", "i"], ["r"])]
    constants: dict[str, Array] = {"t": table(dtype), "one": np.array(1, dtype)}
    last, rank = "r", 2
    choices = sorted([*STEPS, *(FLOAT_STEPS if dtype == "float16" else ())])
    for k, op in enumerate(data.draw(st.lists(st.sampled_from(choices), max_size=4))):
        names, attrs, more = STEPS.get(op, (["x"], {}, {}))
        if (op in ("Where", "Expand") and k) or (op in ("Tile", "Pad", "Flatten") and rank != 2):
            continue
        if op == "Flatten" or (op == "Max" and dtype in ("int16", "uint16")):
            continue  # Flatten changes the columns; ONNX's Max takes no short integers before opset 12
        nodes.append(helper.make_node(op, [last if n == "x" else n for n in names], [f"x{k}"], **attrs))
        constants.update(more)
        last, rank = f"x{k}", 3 if op == "Expand" else 2 if op == "Reshape" else rank
    end = data.draw(st.sampled_from(ENDS))
    if end == "Cast":
        nodes.append(helper.make_node("Cast", [last], ["y"], to=TensorProto.FLOAT))
    else:
        nodes.append(helper.make_node(end, [last, "one"], ["y"]))
    used = {n for node in nodes for n in node.input}
    proto = model(nodes, {n: a for n, a in INDEX.items() if n in used}, ["y"], constants, opset=18)
    feeds = {n: a for n, a in INDEX.items() if n in used}
    np.testing.assert_array_equal(imported(proto, feeds)["y"], oracle(proto, feeds)["y"])


def chosen(constants: dict[str, Array], *nodes: Any) -> Any:
    return model(
        [helper.make_node("Gather", ["t", "i"], ["r"], name="g"), *nodes], {"i": INDEX["i"]}, ["y"], constants, opset=21
    )


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
def test_what_compiles_is_verified(dtype: str) -> None:
    cast = helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT)
    proto = chosen({"t": table(dtype)}, cast)
    feeds = {"i": INDEX["i"]}
    report = verify(compile_(proto), feeds=feeds)
    assert report.ok
    np.testing.assert_array_equal(imported(proto, feeds)["y"], table(dtype)[INDEX["i"]].astype(np.float32))


def test_bfloat16_is_read_and_cast() -> None:
    exact = np.array([[1.5, -0.0, 3.0e38], [2**-126, np.inf, 0.0078125]], np.float32)
    half = (exact.view(np.uint32) >> 16).astype(np.uint16)
    stored = helper.make_tensor("t", TensorProto.BFLOAT16, half.shape, half.tobytes(), raw=True)
    proto = chosen({}, helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT))
    proto.graph.initializer.append(stored)
    feeds = {"i": np.array([1, 0])}
    expected = (half.astype(np.uint32) << 16).view(np.float32)[[1, 0]]
    np.testing.assert_array_equal(imported(proto, feeds)["y"].view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize(
    ("dtype", "node"),
    [
        ("float16", helper.make_node("Mul", ["r", "r"], ["q"], name="n")),
        ("float16", helper.make_node("ReduceSum", ["r"], ["q"], name="n")),
        ("float64", helper.make_node("Max", ["r", "r"], ["q"], name="n")),
        ("float64", helper.make_node("Less", ["r", "r"], ["q"], name="n")),
        ("float64", helper.make_node("Cast", ["r"], ["q"], name="n", to=TensorProto.INT64)),
        ("uint64", helper.make_node("Cast", ["r"], ["q"], name="n", to=TensorProto.FLOAT)),
    ],
)
def test_what_would_round_is_refused(dtype: str, node: Any) -> None:
    cast = helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT)
    with pytest.raises(UnsupportedError, match=rf"^test: node n \({node.op_type}\): .*{dtype}.*; cast it"):
        frontend.load(chosen({"t": table(dtype)}, node, cast))


def test_the_scale_of_bytes_may_be_float16_where_the_product_is_not() -> None:
    """The product of a difference of bytes and a float16 has at most 20 bits."""
    scale = {"s": np.array(0.1, np.float16), "z": np.array(7, np.uint8)}
    to_float = helper.make_node("DequantizeLinear", ["b", "s", "z"], ["y"], name="n", output_dtype=TensorProto.FLOAT)
    y = imported(model([to_float], BYTES, constants=scale, opset=23), BYTES)["y"]
    expected = (BYTES["b"].astype(np.float64) - 7) * float(scale["s"])
    np.testing.assert_array_equal(y, expected)
    plain = helper.make_node("DequantizeLinear", ["b", "s", "z"], ["h"], name="n")
    cast = helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT)
    with pytest.raises(
        UnsupportedError, match=r"node n \(DequantizeLinear\): input 1 \('s'\) is a constant of float16"
    ):
        frontend.load(model([plain, cast], BYTES, constants=scale, opset=21))
    folded = model([plain, cast], {}, constants={**scale, **BYTES}, opset=21)
    np.testing.assert_array_equal(imported(folded, {})["y"], expected.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_positions_in_bytes_are_refused_by_their_name(op: str) -> None:
    node = helper.make_node(op, ["x"], ["y"], name="n")
    with pytest.raises(UnsupportedError, match=rf"^test: node n \({op}\): .*int8"):
        frontend.load(model([node], {"x": (TensorProto.INT8, [2, 3])}))


def test_integer_products_refuse_parameters_of_rows_by_name() -> None:
    w = {"w": np.ones((3, 2), np.int8), "z": np.zeros(2, np.int8)}
    rows = helper.make_node("MatMulInteger", ["x", "w", "z"], ["y"], name="n")
    with pytest.raises(
        UnsupportedError, match=r"node n \(MatMulInteger\): input 2 \(a_zero_point\) has a value for each"
    ):
        frontend.load(model([rows], {"x": (TensorProto.INT8, [2, 3])}, constants=w))
