"""Constants in every form, and operators that vanish."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import assert_close, imported, model, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import LimitError, ModelError, UnsupportedError

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"value": numpy_helper.from_array(X)}, X),
        ({"value_float": 1.5}, np.float32(1.5)),
        ({"value_floats": [1.5, 2.5]}, np.array([1.5, 2.5], np.float32)),
        ({"value_int": 3}, np.int64(3)),
        ({"value_ints": [3, 4]}, np.array([3, 4])),
        ({"value": helper.make_tensor("t", TensorProto.BOOL, [2], [True, False])}, np.array([True, False])),
        ({"value": helper.make_tensor("t", TensorProto.UINT8, [2], [200, 3])}, np.array([200, 3], np.uint8)),
        ({"value": helper.make_tensor("t", TensorProto.INT8, [2], [-100, 3])}, np.array([-100, 3], np.int8)),
        ({"value": helper.make_tensor("t", TensorProto.FLOAT, [], [2.0])}, np.float32(2)),
    ],
)
def test_constant(attrs: dict, expected: np.ndarray) -> None:
    proto, feeds = single("Constant", [], **attrs)
    assert_close(imported(proto, feeds), {"y": np.asarray(expected)}, 0)


@pytest.mark.parametrize(
    ("data_type", "values"), [(TensorProto.DOUBLE, [0.1, 1e300]), (TensorProto.FLOAT16, [0.5, 65504.0])]
)
@pytest.mark.parametrize("raw", [False, True])
def test_constants_of_other_float_types_keep_them(data_type: int, values: list[float], raw: bool) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(data_type)
    data = np.array(values, dtype).tobytes() if raw else values
    constant = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("t", data_type, [2], data, raw=raw))
    with pytest.raises(UnsupportedError, match=rf"outputs reads 'c', a constant of {dtype}; values at run time are"):
        frontend.load(model([constant], {}, ["c"]))
    cast = helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT)
    with np.errstate(over="ignore"):
        expected = np.array(values, dtype).astype(np.float32)
    assert_close(imported(model([constant, cast], {}), {}), {"y": expected}, 0)


def test_constant_rejects() -> None:
    proto, _ = single("Constant", [], value_float=1.0, value_int=1)
    with pytest.raises(ModelError, match=r"node node \(Constant\): 2 value attributes .*; expected exactly one"):
        frontend.load(proto)
    proto, _ = single("Constant", [], value_string="a")
    with pytest.raises(UnsupportedError, match="value_string is not supported; accepted: value, value_int"):
        frontend.load(proto)
    proto, _ = single("Constant", [], value=helper.make_tensor("t", TensorProto.STRING, [1], [b"a"]))
    with pytest.raises(UnsupportedError, match=r"node node \(Constant\): tensor 't' has element type string; accep"):
        frontend.load(proto)


@pytest.mark.parametrize("shape", [[2, 3], [], [0], [1]])
@pytest.mark.parametrize("value", [None, np.array([7]), np.array([True]), np.array([0.5], np.float32)])
def test_constant_of_shape(shape: list[int], value: np.ndarray | None) -> None:
    attrs = {} if value is None else {"value": numpy_helper.from_array(value)}
    proto, feeds = single("ConstantOfShape", [np.array(shape, np.int64)], [0], **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


@pytest.mark.parametrize(
    ("start", "limit", "delta"),
    [(0, 5, 1), (10, 4, -3), (0, 0, 1), (5, 0, 1), (np.float32(0.5), np.float32(2), np.float32(0.25))],
)
def test_range(start: float, limit: float, delta: float) -> None:
    proto, feeds = single("Range", [np.asarray(v) for v in (start, limit, delta)], [0, 1, 2])
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


def test_range_must_be_known_and_of_bearable_size() -> None:
    proto, _ = single("Range", [np.array(0), np.array(5), np.array(1)], [0, 2])
    with pytest.raises(UnsupportedError, match=r"node node \(Range\): input 1 \(limit\) is 'i1', which is only known"):
        frontend.load(proto)
    proto, _ = single("Range", [np.array(0), np.array(1 << 60), np.array(1)], [0, 1, 2])
    with pytest.raises(LimitError, match="bytes of constants computed from others; accepted: "):
        frontend.load(proto)
    proto, _ = single("Range", [np.array(0), np.array(1), np.array(0)], [0, 1, 2])
    with pytest.raises(ModelError, match="delta is 0"):
        frontend.load(proto)


def test_identity_and_dropout_vanish() -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Dropout", ["a", "ratio"], ["b", "mask"]),
        helper.make_node("Exp", ["b"], ["y"]),
    ]
    graph = frontend.load(model(nodes, {"x": X}, constants={"ratio": np.float32(0.5)}))
    assert [node.op for node in graph.nodes] == ["Exp"]


@pytest.mark.parametrize(("opset", "dtype"), [(7, np.float32), (10, np.bool_), (13, np.bool_)])
def test_the_mask_of_dropout_keeps_everything(opset: int, dtype: type) -> None:
    proto, feeds = single("Dropout", [X], outputs=2, opset=opset)
    assert_close(imported(proto, feeds), {"y": X, "y1": np.ones(X.shape, dtype)}, 0)


def test_dropout_in_training_mode() -> None:
    proto, _ = single("Dropout", [X, np.float32(0.5), np.array(True)], [1, 2])
    with pytest.raises(UnsupportedError, match=r"node node \(Dropout\): training_mode is true; accepted: false"):
        frontend.load(proto)


def if_node() -> onnx.NodeProto:
    """c ? x + 1 : x · 2, the numbers being initializers of the branches."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["x", "w"], ["out"])],
            name,
            [],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.float32(value), "w")],
        )
        for name, op, value in (("then", "Add", 1), ("else", "Mul", 2))
    }
    return helper.make_node("If", ["c"], ["y"], name="choice", **branches)


@pytest.mark.parametrize("value", [True, False])
def test_if_with_a_known_condition_is_inlined(value: bool) -> None:
    proto = model([if_node()], {"x": X}, constants={"c": np.array(value)})
    assert_close(imported(proto, {"x": X}), {"y": X + 1 if value else X * 2}, 0)


def test_branches_may_use_the_same_names() -> None:
    nodes = [if_node(), if_node()]
    nodes[1].output[0] = "z"
    proto = model(nodes, {"x": X}, ["y", "z"], {"c": np.array(True)})
    assert_close(imported(proto, {"x": X}), {"y": X + 1, "z": X + 1}, 0)


def test_the_names_of_a_branch_stay_inside() -> None:
    nodes = [if_node(), helper.make_node("Add", ["y", "out"], ["z"], name="leak")]
    with pytest.raises(ModelError, match=r"node leak \(Add\) reads 'out', which is no input, no initializer"):
        frontend.load(model(nodes, {"x": X}, ["z"], {"c": np.array(True)}))


def test_if_with_an_unknown_condition() -> None:
    with pytest.raises(UnsupportedError, match=r"test: node choice \(If\): If is supported only with a condition"):
        frontend.load(model([if_node()], {"x": X, "c": np.array(True)}))
