"""Reductions and global pooling, against ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import ShapeError, UnsupportedError

RNG = np.random.default_rng(2)
X = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [None, [1], [-1, 0], [3, 2]])
def test_reduce_with_axes_as_attribute_and_as_input(op: str, keepdims: int, axes: list[int] | None) -> None:
    expected = None
    for opset in (11, 18):
        by_input = axes is not None and opset == 18
        attrs = {"keepdims": keepdims} | ({"axes": axes} if axes and not by_input else {})
        proto, feeds = single(op, [X, *([np.array(axes)] if by_input else [])], [1] * by_input, opset=opset, **attrs)
        actual = imported(proto, feeds)
        expected = expected or oracle(proto, feeds)
        assert_close(actual, expected, 1e-6, f"{op}-{opset}")


def test_reduce_without_axes_may_be_the_identity() -> None:
    for opset, op in ((13, "ReduceSum"), (18, "ReduceMean")):
        for inputs in ([X], [X, np.zeros(0, np.int64)]):
            proto, feeds = single(op, inputs, range(1, len(inputs)), opset=opset, noop_with_empty_axes=1)
            assert_close(imported(proto, feeds), {"y": X}, 0)
            proto, feeds = single(op, inputs, range(1, len(inputs)), opset=opset)
            assert imported(proto, feeds)["y"].shape == (1, 1, 1, 1)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("attrs", [{}, {"axis": -1}, {"axis": 2, "keepdims": 0}, {"axis": 1, "select_last_index": 1}])
def test_arg(op: str, attrs: dict) -> None:
    proto, feeds = single(op, [np.round(X)], **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (1, 2, 2, 3, 2)])
def test_global_pooling(op: str, shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape).astype(np.float32)
    proto, feeds = single(op, [x])
    reduced = (np.mean if op == "GlobalAveragePool" else np.max)(x, axis=tuple(range(2, x.ndim)), keepdims=True)
    assert_close(imported(proto, feeds), {"y": reduced}, 1e-6)


def test_axes_are_checked() -> None:
    for axes, message in (([4], "4 is outside a tensor of rank 4"), ([0, -4], r"axes \(0, -4\) name an axis twice")):
        proto, _ = single("ReduceMax", [X], axes=axes)
        with pytest.raises(ShapeError, match=rf"test: node node \(ReduceMax\): .*{message}"):
            frontend.load(proto)


def test_axes_must_be_known_when_compiling() -> None:
    proto, _ = single("ReduceSum", [X, np.array([1])])
    with pytest.raises(UnsupportedError, match=r"node node \(ReduceSum\): input 1 \(axes\) is 'i1', .*only known at"):
        frontend.load(proto)
