"""Reference vs oracle for operators that move elements: NumPy's own functions and ONNX's reference evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tests.cases import movement as cases
from tinyinfer.ref import movement as ref


def onnx_result(op, inputs, **attrs):
    """What ONNX's evaluator makes of a model with this one node."""
    names = [f"x{i}" for i in range(len(inputs))]
    node = helper.make_node(op, names, ["y"], **attrs)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in zip(names, inputs)
    ]
    y = helper.make_tensor_value_info("y", infos[0].type.tensor_type.elem_type, None)
    model = helper.make_model(helper.make_graph([node], "g", infos, [y]), opset_imports=[helper.make_opsetid("", 18)])
    (result,) = ReferenceEvaluator(onnx.shape_inference.infer_shapes(model)).run(None, dict(zip(names, inputs)))
    return result


@given(cases.pad(np.int64))
def test_pad_is_numpy_pad(case):
    (x,), attrs = case.inputs, case.attrs
    widths = list(zip(attrs["pads"][: x.ndim], attrs["pads"][x.ndim :]))
    options = {"constant_values": attrs["value"]} if attrs["mode"] == "constant" else {}
    expected = np.pad(x, widths, attrs["mode"], **options) if x.ndim else x
    np.testing.assert_array_equal(ref.pad(x, **attrs), expected)


def test_reflect_shows_the_only_element_of_an_axis():
    np.testing.assert_array_equal(ref.pad(np.array([7]), pads=(2, 1), mode="reflect"), [7, 7, 7, 7])


@given(cases.slice_(np.int64))
def test_slice_is_python_slicing(case):
    (x,), attrs = case.inputs, case.attrs
    window = []
    for start, size, step in zip(attrs["starts"], attrs["sizes"], attrs["steps"]):
        end = start + size * step
        window.append(slice(start, end if end >= 0 else None, step))
    np.testing.assert_array_equal(ref.slice_(x, **attrs), x[tuple(window)])


@given(cases.split(np.int64))
def test_split_is_numpy_split(case):
    (x,), attrs = case.inputs, case.attrs
    expected = np.split(x, np.cumsum(attrs["split"])[:-1], attrs["axis"])
    for part, wanted in zip(ref.split(x, **attrs), expected, strict=True):
        np.testing.assert_array_equal(part, wanted)


@given(cases.tile(np.int64))
def test_tile_is_numpy_tile(case):
    (x,), attrs = case.inputs, case.attrs
    np.testing.assert_array_equal(ref.tile(x, **attrs), np.tile(x, attrs["repeats"]))


@given(cases.blocks(np.float32))
def test_blocks_are_those_of_onnx(case):
    (x,), attrs = case.inputs, dict(case.attrs)
    function = ref.depth_to_space if case.op == "DepthToSpace" else ref.space_to_depth
    np.testing.assert_array_equal(function(x, **attrs), onnx_result(case.op, [x], **attrs))


@given(cases.gather([np.int64], np.int32))
def test_gather_of_valid_indices_is_that_of_onnx(case):
    (x, indices), axis = case.inputs, case.attrs["axis"]
    n = x.shape[axis]
    valid = (indices % (2 * n) - n).astype(indices.dtype)
    np.testing.assert_array_equal(ref.gather(x, valid, axis=axis), onnx_result("Gather", [x, valid], axis=axis))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_gather_clamps_indices_that_are_out_of_range(dtype):
    info = np.iinfo(dtype)
    indices = np.array([info.min, -4, -3, -1, 0, 2, 3, info.max], dtype)
    np.testing.assert_array_equal(ref.gather(np.array([5, 6, 7]), indices, axis=0), [5, 5, 5, 7, 5, 7, 7, 7])
