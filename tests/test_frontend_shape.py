"""Operators that only change the shape, and shape arithmetic, which folds."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from tests.onnx_models import assert_close, imported, model, single
from tinyinfer import frontend
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([-1], (24,)), ([0, -1], (2, 12)), ([4, 6], (4, 6)), ([0, 0, 2, -1], (2, 3, 2, 2)), ([1, -1, 1], (1, 24, 1))],
)
def test_reshape(shape: list[int], expected: tuple[int, ...]) -> None:
    for opset in (7, 14):
        proto, feeds = single("Reshape", [X, np.array(shape)], [1], opset=opset)
        assert_close(imported(proto, feeds), {"y": X.reshape(expected)}, 0)


def test_allowzero_means_an_empty_dimension() -> None:
    proto, _ = single("Reshape", [np.zeros((0, 3), np.float32), np.array([3, 0])], [1], opset=14, allowzero=1)
    assert frontend.load(proto).outputs["y"].shape == (3, 0)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([5, -1], "24 elements do not divide by 5"),
        ([-1, -1], "at most one -1"),
        ([-2, 12], "non-negative"),
        ([5], "24 elements"),
        ([0, 0, 0, 0], "0 at position 3 keeps a dimension that X does not have"),
    ],
)
def test_reshape_rejects(shape: list[int], message: str) -> None:
    proto, _ = single("Reshape", [X, np.array(shape)], [1])
    with pytest.raises(ShapeError, match=rf"test: node node \(Reshape\): .*{message}"):
        frontend.load(proto)


def test_a_shape_must_be_known_when_compiling() -> None:
    proto, _ = single("Reshape", [X, np.array([24])])
    with pytest.raises(UnsupportedError, match=r"node node \(Reshape\): input 1 \(shape\) is 'i1', which is only"):
        frontend.load(proto)
    proto, _ = single("Reshape", [X, np.array([24], np.float32)], [1])
    with pytest.raises(ModelError, match=r"input 1 \(shape\) is float32; accepted in this opset: int64"):
        frontend.load(proto)
    proto, _ = single("Reshape", [X, np.array([[24]])], [1])
    with pytest.raises(ModelError, match=r"input 1 \(shape\) has shape \[1, 1\]; expected a list"):
        frontend.load(proto)


@pytest.mark.parametrize(("axis", "expected"), [(None, (2, 12)), (0, (1, 24)), (2, (6, 4)), (3, (24, 1)), (-1, (6, 4))])
def test_flatten(axis: int | None, expected: tuple[int, ...]) -> None:
    proto, feeds = single("Flatten", [X], **({} if axis is None else {"axis": axis}))
    assert_close(imported(proto, feeds), {"y": X.reshape(expected)}, 0)


@pytest.mark.parametrize(("axes", "expected"), [(None, (2, 3)), ([0], (2, 1, 3, 1)), ([-1, 2], (1, 2, 3))])
def test_squeeze_with_axes_as_attribute_and_as_input(axes: list[int] | None, expected: tuple[int, ...]) -> None:
    x = X[:, :, 0].reshape(1, 2, 1, 3, 1)
    for opset in (11, 13):
        by_input = axes is not None and opset == 13
        attrs = {"axes": axes} if axes is not None and not by_input else {}
        inputs = [x, *([np.array(axes)] if by_input else [])]
        proto, feeds = single("Squeeze", inputs, [1] * by_input, opset=opset, **attrs)
        assert_close(imported(proto, feeds), {"y": x.reshape(expected)}, 0)


@pytest.mark.parametrize(("axes", "expected"), [([0], (1, 2, 3, 4)), ([4, 1], (2, 1, 3, 4, 1)), ([-1], (2, 3, 4, 1))])
def test_unsqueeze_with_axes_as_attribute_and_as_input(axes: list[int], expected: tuple[int, ...]) -> None:
    for opset in (11, 13):
        by_input = opset == 13
        attrs = {} if by_input else {"axes": axes}
        proto, feeds = single("Unsqueeze", [X, *([np.array(axes)] * by_input)], [1] * by_input, opset=opset, **attrs)
        assert_close(imported(proto, feeds), {"y": X.reshape(expected)}, 0)


def test_squeeze_rejects_long_axes() -> None:
    proto, _ = single("Squeeze", [X, np.array([1])], [1])
    with pytest.raises(ShapeError, match=r"test: node node \(Squeeze\): axes .* are not all of length 1"):
        frontend.load(proto)


def test_shape_arithmetic_folds_away() -> None:
    """x.view(x.size(0), -1), as exporters write it."""
    nodes = [
        helper.make_node("Shape", ["x"], ["dims"]),
        helper.make_node("Gather", ["dims", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axis"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"], name="view"),
    ]
    constants = {"zero": np.array(0), "axis": np.array([0]), "rest": np.array([-1])}
    graph = frontend.load(model(nodes, {"x": X}, constants=constants))
    assert [(node.op, node.name, dict(node.attrs)) for node in graph.nodes] == [("Reshape", "view", {"shape": (2, 12)})]


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({}, [2, 3, 4]), ({"start": 1}, [3, 4]), ({"start": -1, "end": 9}, [4]), ({"end": -1}, [2, 3]),
        ({"start": 2, "end": 1}, []),
    ],
)  # fmt: skip
def test_shape(attrs: dict, expected: list[int]) -> None:
    proto, feeds = single("Shape", [X], opset=15, **attrs)
    assert_close(imported(proto, feeds), {"y": np.array(expected, np.int64)}, 0)


def test_size() -> None:
    proto, feeds = single("Size", [X])
    assert_close(imported(proto, feeds), {"y": np.array(24, np.int64)}, 0)
