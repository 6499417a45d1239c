"""Constants of types that values at run time do not have are folded exactly: as NumPy computes in those types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.onnx_models import imported, model
from tinyinfer import frontend
from tinyinfer.errors import LimitError, ModelError, UnsupportedError
from tinyinfer.types import Array

BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum, "Min": np.minimum}
UNARY = {"Neg": np.negative, "Abs": np.abs, "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint, "Sqrt": np.sqrt}
COMPARISONS = {"Less": np.less, "Greater": np.greater, "Equal": np.equal, "LessOrEqual": np.less_equal}
MOVES = {
    "Reshape": (np.array([3, 2]), lambda x: x.reshape(3, 2)),
    "Transpose": (None, lambda x: x.T),
    "Gather": (np.array([1, 0, 1]), lambda x: x[[1, 0, 1]]),
    "Unsqueeze": (np.array([0]), lambda x: x[None]),
    "Tile": (np.array([2, 1]), lambda x: np.tile(x, (2, 1))),
}
FLOATS = st.one_of(
    st.integers(-2000, 2000).map(lambda n: n / 7), st.sampled_from([-0.0, 65504.0, np.inf, np.nan, 6e-8])
)


def numbers(nodes: list[Any], constants: dict[str, Array]) -> Array:
    return imported(model(nodes, {}, ["y"], constants, opset=18), {})["y"]


def test_a_double_is_not_rounded_to_float32() -> None:
    cast = helper.make_node("Cast", ["c"], ["y"], to=TensorProto.INT64)
    assert numbers([cast], {"c": np.array(16777217.0)}) == 16777217
    less = helper.make_node("Less", ["a", "b"], ["y"])
    assert numbers([less], {"a": np.array(16777216.0), "b": np.array(16777217.0)})


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@given(data=st.data())
def test_chains_of_functions(dtype: str, data: st.DataObject) -> None:
    """Each result bit for bit NumPy's in that type; the last is compared, or cast to a type that outputs have."""
    draw = data.draw
    start, other = (np.array(draw(st.lists(FLOATS, min_size=6, max_size=6)), dtype).reshape(2, 3) for _ in range(2))
    nodes, expected, last = [], start, "a"
    constants: dict[str, Array] = {"a": start, "b": other}
    for i, op in enumerate(draw(st.lists(st.sampled_from([*BINARY, *UNARY, *MOVES]), max_size=5))):
        operands = [last]
        with np.errstate(all="ignore"):
            if op in BINARY:
                constants[f"o{i}"] = np.resize(other, expected.shape)
                operands.append(f"o{i}")
                expected = BINARY[op](expected, constants[f"o{i}"])
            elif op in UNARY:
                expected = UNARY[op](expected)
            elif expected.ndim == 2 and (op != "Reshape" or expected.size == 6):
                extra, move = MOVES[op]
                if extra is not None:
                    constants[f"o{i}"] = extra
                    operands.append(f"o{i}")
                expected = move(expected)
            else:
                continue
        last = f"t{i}"
        nodes.append(helper.make_node(op, operands, [last]))
    with np.errstate(all="ignore"):
        if draw(st.booleans()):
            op = draw(st.sampled_from(list(COMPARISONS)))
            nodes.append(helper.make_node(op, [last, "b2"], ["y"]))
            constants["b2"] = np.resize(other, expected.shape)
            expected = COMPARISONS[op](expected, constants["b2"])
        else:
            nodes.append(helper.make_node("Cast", [last], ["y"], to=TensorProto.FLOAT))
            expected = expected.astype(np.float32)
    actual = numbers(nodes, constants)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@given(values=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=4))
@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint32", "uint64"])
def test_integers_wrap(dtype: str, values: list[int]) -> None:
    x = np.array(values).astype(dtype)
    nodes = [helper.make_node("Mul", ["x", "x"], ["s"]), helper.make_node("Cast", ["s"], ["y"], to=TensorProto.INT64)]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(numbers(nodes, {"x": x}), (x * x).astype(np.int64))


def test_range_and_constant_of_shape_in_double() -> None:
    nodes = [
        helper.make_node("Range", ["a", "b", "c"], ["r"]),
        helper.make_node(
            "ConstantOfShape", ["n"], ["k"], value=helper.make_tensor("", TensorProto.DOUBLE, [1], [1e8 + 1])
        ),
        helper.make_node("Add", ["r", "k"], ["s"]),
        helper.make_node("Cast", ["s"], ["y"], to=TensorProto.INT64),
    ]
    ends = {"a": np.array(0.0), "b": np.array(3.0), "c": np.array(1.0), "n": np.array([3])}
    assert numbers(nodes, ends).tolist() == [100000001, 100000002, 100000003]


def test_results_beyond_the_budget_are_refused() -> None:
    add = helper.make_node("Add", ["a", "b"], ["y"], name="add")
    table = {"a": np.zeros((1 << 16, 1)), "b": np.zeros((1, 1 << 16))}
    with pytest.raises(LimitError, match=r"^test: node add \(Add\): 34,359,738,368 bytes of constants"):
        frontend.load(model([add], {}, constants=table))


def test_an_exponent_beside_float32_is_rounded_to_it() -> None:
    power = helper.make_node("Pow", ["x", "e"], ["y"])
    x, exponent = np.array([3.0], np.float32), np.array(0.1)
    alike = imported(model([power], {"x": x}, constants={"e": exponent.astype(np.float32)}), {"x": x})
    for proto, feeds in (
        (model([power], {"x": x}, constants={"e": exponent}), {"x": x}),
        (model([power], {}, constants={"x": x, "e": exponent}), {}),
    ):
        np.testing.assert_array_equal(imported(proto, feeds)["y"], alike["y"])


def test_a_double_at_run_time_is_refused() -> None:
    table = {"c": np.array([0.1, 0.2])}
    gather = helper.make_node("Gather", ["c", "i"], ["y"], name="g")
    with pytest.raises(UnsupportedError, match=r"outputs reads 'y', which would be float64 at run time; .*cast it"):
        frontend.load(model([gather], {"i": (TensorProto.INT64, [1])}, constants=table))
    cast = helper.make_node("Cast", ["x"], ["y"], name="c", to=TensorProto.DOUBLE)
    with pytest.raises(UnsupportedError, match=r"node c \(Cast\): attribute to is 'double'"):
        frontend.load(model([cast], {"x": (TensorProto.FLOAT, [1])}))


def test_an_output_of_another_type_than_declared_is_refused() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])], {"x": (TensorProto.FLOAT, [1])})
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    with pytest.raises(ModelError, match="output 'y' is declared double, but its value is float32"):
        frontend.load(proto)
