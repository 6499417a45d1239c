"""Operators that become compositions of others, against ONNX's evaluator or the specification's formula."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import ShapeError, UnsupportedError

RNG = np.random.default_rng(6)
X = RNG.standard_normal((2, 6, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("op", "opset", "attrs"),
    [
        ("Celu", 12, {}), ("Celu", 12, {"alpha": 2.0}), ("Selu", 13, {}), ("Selu", 13, {"alpha": 2.0, "gamma": 3.0}),
        ("Shrink", 13, {}), ("Shrink", 13, {"bias": 0.25, "lambd": 0.75}), ("Softsign", 13, {}), ("Swish", 24, {}),
        ("Swish", 24, {"alpha": 1.5}), ("ThresholdedRelu", 13, {}), ("ThresholdedRelu", 13, {"alpha": 0.5}),
    ],
)  # fmt: skip
def test_activations(op: str, opset: int, attrs: dict) -> None:
    proto, feeds = single(op, [X], opset=opset, **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6)


def test_is_nan() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1], np.float32)
    proto, feeds = single("IsNaN", [x])
    assert_close(imported(proto, feeds), {"y": np.isnan(x)}, 0)


@pytest.mark.parametrize("op", ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare"])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [None, [1], [-1, 0]])
def test_reductions(op: str, keepdims: int, axes: list[int] | None) -> None:
    x = np.abs(X) if op == "ReduceLogSum" else X
    for opset in (11, 18):
        by_input = axes is not None and opset == 18
        attrs = {"axes": axes} if axes and not by_input else {}
        inputs = [x, *([np.array(axes)] if by_input else [])]
        proto, feeds = single(op, inputs, [1] * by_input, opset=opset, keepdims=keepdims, **attrs)
        assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6)


def test_reductions_over_no_axes_keep_their_other_steps() -> None:
    size = np.abs(X)
    expected = {"ReduceL1": size, "ReduceL2": size, "ReduceSumSquare": X * X, "ReduceLogSum": np.log(size)}
    for op, y in expected.items():
        proto, feeds = single(op, [size if op == "ReduceLogSum" else X], opset=18, noop_with_empty_axes=1)
        assert_close(imported(proto, feeds), {"y": y}, 1e-6)


@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_normalization(opset: int, groups: int) -> None:
    """Scale and bias are per group in opset 18, per channel since opset 21."""
    length = groups if opset == 18 else 6
    scale, bias = RNG.standard_normal((2, length)).astype(np.float32)
    proto, feeds = single("GroupNormalization", [X, scale, bias], [1, 2], opset=opset, num_groups=groups)
    parts = X.reshape(2, groups, -1).astype(np.float64)
    normal = (parts - parts.mean(-1, keepdims=True)) / np.sqrt(parts.var(-1, keepdims=True) + 1e-5)
    factor, offset = (v.repeat(6 // length).reshape(6, 1, 1) for v in (scale, bias))
    expected = normal.reshape(X.shape) * factor + offset
    assert_close(imported(proto, feeds), {"y": expected.astype(np.float32)}, 1e-5)


def test_group_normalization_checks_its_groups() -> None:
    proto, _ = single("GroupNormalization", [X, np.ones(4, np.float32), np.ones(4, np.float32)], opset=18, num_groups=4)
    with pytest.raises(ShapeError, match=r"node node \(GroupNormalization\): X is .*, num_groups is 4; expected"):
        frontend.load(proto)


def test_rms_normalization() -> None:
    for axis, epsilon in ((-1, 1e-5), (1, 0.1), (2, 1e-5)):
        scale = RNG.standard_normal(X.shape[axis:]).astype(np.float32)
        proto, feeds = single("RMSNormalization", [X, scale], [1], opset=23, axis=axis, epsilon=epsilon)
        assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)
    proto, _ = single("RMSNormalization", [X, scale], opset=23, stash_type=11)
    with pytest.raises(UnsupportedError, match="attribute stash_type is 11; accepted: 1"):
        frontend.load(proto)
