"""Open dimensions and the shapes a user binds them with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.onnx_models import model
from tinyinfer import frontend
from tinyinfer.errors import ShapeError, UnsupportedError

F = TensorProto.FLOAT


def load(shapes: dict, **dims: Any) -> dict[str, tuple[int, ...]]:
    """Input shapes of a model whose inputs have these declared dimensions."""
    proto = model(
        [helper.make_node("Identity", ["x"], ["y"])], {name: (F, declared) for name, declared in dims.items()}
    )
    return {name: value.shape for name, value in frontend.load(proto, shapes).inputs.items()}


def test_the_first_dimension_defaults_to_one() -> None:
    assert load({}, x=["n", 3, 4]) == {"x": (1, 3, 4)}
    assert load({}, x=[None, 3]) == {"x": (1, 3)}
    assert load({}, x=[-1, 3]) == {"x": (1, 3)}
    assert load({"x": (5, 3, 4)}, x=["n", 3, 4]) == {"x": (5, 3, 4)}


def test_a_symbol_bound_once_holds_for_all_inputs() -> None:
    assert load({"state": [2, 7]}, x=["n", "t"], state=["n", "t"]) == {"x": (2, 7), "state": (2, 7)}
    assert load({}, x=["n", 3], state=[2, "n"]) == {"x": (1, 3), "state": (2, 1)}


def test_numbers_of_numpy_are_numbers() -> None:
    assert load({"x": np.array([2, 3])}, x=["n", "c"]) == {"x": (2, 3)}


def test_question_marks_are_not_one_symbol() -> None:
    assert load({"x": (1, 3), "z": (1, 5)}, x=["?", "?"], z=["?", "?"]) == {"x": (1, 3), "z": (1, 5)}


def test_an_input_without_a_shape_needs_one() -> None:
    assert load({"x": (2, 3)}, x=None) == {"x": (2, 3)}
    with pytest.raises(ShapeError, match=r"^test: input 'x' declares no shape; give --shape x=…$"):
        load({}, x=None)


def test_unbound_dimensions_are_reported_with_what_to_give() -> None:
    with pytest.raises(
        ShapeError,
        match=r"^test: input 'x' has open dimensions \[1, 3, height, \?\]; "
        r"give --shape x=1x3x\?x\? with a number for every \?$",
    ):
        load({}, x=["n", 3, "height", None])
    with pytest.raises(ShapeError, match=r"^test:\n  input 'x' has .*\n  input 'z' has open dimensions \[2, t\]"):
        load({}, x=["n", "t"], z=[2, "t"])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"image": (1, 3)}, "shapes given for 'image'; inputs of the model: 'x', 'z'"),
        ({"x": (1, 3, 3)}, r"input 'x' is 1x3x3, of rank 3; expected rank 2: \[n, 3\]"),
        ({"x": (1, 4)}, r"input 'x' is 1x4; the file fixes dimension 1 at 3: \[n, 3\]"),
        ({"x": (1, 3), "z": (2, 5)}, r"input 'z' is 2x5; dimension 0 \(n\) is bound to 1 already"),
        ({"x": (1, -3)}, r"input 'x' is \(1, -3\); expected non-negative integers"),
        ({"x": (1, 3.0)}, r"input 'x' is \(1, 3.0\); expected non-negative integers"),
        ({"x": "1x3"}, r"input 'x' is '1x3'; expected non-negative integers"),
    ],
)
def test_shapes_that_do_not_fit(shapes: dict, message: str) -> None:
    with pytest.raises(ShapeError, match=rf"^test: .*{message}"):
        load(shapes, x=["n", 3], z=["n", "t"])


def test_tensors_that_no_memory_holds() -> None:
    with pytest.raises(ShapeError, match=r"^test: input 'x' is float32\[65536×16384\]; accepted: less than"):
        load({"x": (1 << 16, 1 << 14)}, x=["n", "c"])
    inputs = {"x": (F, [1 << 16, 1]), "w": (F, [1, 1 << 14])}
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"], name="big")], inputs)
    with pytest.raises(ShapeError, match=r"^test: node big \(MatMul\): the result is .*; accepted: less than 4 GiB"):
        frontend.load(proto)


@pytest.mark.parametrize(
    ("type_", "message"),
    [
        (helper.make_tensor_type_proto(TensorProto.DOUBLE, [1]), "has element type double; accepted: float32, int64"),
        (helper.make_tensor_type_proto(TensorProto.STRING, [1]), "has element type string; accepted: float32, int64"),
        (helper.make_tensor_type_proto(77, [1]), "has element type number 77; accepted"),
        (helper.make_sequence_type_proto(helper.make_tensor_type_proto(F, [1])), "is declared as sequence; accepted: "),
    ],
)
def test_inputs_of_other_types(type_: Any, message: str) -> None:
    proto = model([helper.make_node("Identity", ["x"], ["y"])], {"x": (F, [1])})
    proto.graph.input[0].type.CopyFrom(type_)
    with pytest.raises(UnsupportedError, match=rf"^test: input 'x' {message}"):
        frontend.load(proto)
