"""Normalisations and softmax, against ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import UnsupportedError

RNG = np.random.default_rng(4)
X = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
C = [RNG.random(3).astype(np.float32) + np.float32(0.5) for _ in range(4)]


@pytest.mark.parametrize("attrs", [{}, {"epsilon": 0.01}])
@pytest.mark.parametrize(
    ("opset", "old"), [(7, {"spatial": 1}), (7, {}), (9, {}), (14, {"training_mode": 0}), (15, {})]
)
def test_batch_normalization(opset: int, old: dict, attrs: dict) -> None:
    """Every opset means what the newest does (ONNX's evaluator takes opset 9 for training)."""
    proto, feeds = single("BatchNormalization", [X, *C], [1, 2, 3, 4], opset=opset, **attrs, **old)
    newest, _ = single("BatchNormalization", [X, *C], [1, 2, 3, 4], opset=15, **attrs)
    assert_close(imported(proto, feeds), oracle(newest, feeds), 1e-6)


@pytest.mark.parametrize(
    ("opset", "attrs", "message"),
    [
        (7, {"spatial": 0}, "attribute spatial is 0; accepted: 1"),
        (14, {"training_mode": 1}, "attribute training_mode is 1; accepted: 0"),
    ],
)
def test_other_forms_of_batch_normalization_are_rejected(opset: int, attrs: dict, message: str) -> None:
    proto, _ = single("BatchNormalization", [X, *C], opset=opset, **attrs)
    with pytest.raises(UnsupportedError, match=rf"test: node node \(BatchNormalization\): {message}"):
        frontend.load(proto)


@pytest.mark.parametrize("attrs", [{}, {"epsilon": 0.1}])
def test_instance_normalization(attrs: dict) -> None:
    proto, feeds = single("InstanceNormalization", [X, *C[:2]], [1, 2], **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("attrs", [{}, {"axis": 1}, {"axis": -2, "epsilon": 0.1}, {"axis": 0}])
def test_layer_normalization(attrs: dict, bias: bool) -> None:
    shape = X.shape[attrs.get("axis", -1) :]
    operands = [RNG.standard_normal(shape).astype(np.float32) for _ in range(1 + bias)]
    proto, feeds = single("LayerNormalization", [X, *operands], range(1, 2 + bias), opset=17, **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)


def test_layer_normalization_stretches_its_scale() -> None:
    operands = [RNG.standard_normal(s).astype(np.float32) for s in ((1, 5), (1,))]
    proto, feeds = single("LayerNormalization", [X, *operands], [1], opset=17, axis=-2)
    full, _ = single("LayerNormalization", [X, *(np.broadcast_to(o, (4, 5)) for o in operands)], [1], opset=17, axis=-2)
    oracle_feeds = {"i0": X, "i2": np.broadcast_to(operands[1], (4, 5))}
    assert_close(imported(proto, feeds), oracle(full, oracle_feeds), 1e-5)


def test_the_mean_of_layer_normalization_is_not_supported() -> None:
    proto, _ = single("LayerNormalization", [X, np.ones(5, np.float32)], outputs=2, opset=17)
    with pytest.raises(UnsupportedError, match=r"'y1', output 1 of node node \(LayerNormalization\), which is not "):
        frontend.load(proto)


@pytest.mark.parametrize("attrs", [{}, {"alpha": 0.01, "beta": 0.5, "bias": 2.0}])
def test_lrn(attrs: dict) -> None:
    x = RNG.standard_normal((5, 5, 2, 3)).astype(np.float32)  # ONNX's evaluator takes as many channels as images
    proto, feeds = single("LRN", [x], size=3, **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3, -1, -2])
def test_softmax(op: str, axis: int | None) -> None:
    """Since opset 13 along one axis; before, over all axes from `axis` on."""
    attrs = {} if axis is None else {"axis": axis}
    proto, feeds = single(op, [X], opset=13, **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6)
    cut = (1 if axis is None else axis) % 4
    matrix, matrix_feeds = single(op, [X.reshape(int(np.prod(X.shape[:cut])), -1)], opset=13, axis=1)
    expected = oracle(matrix, matrix_feeds)["y"].reshape(X.shape)
    for opset in (7, 11):
        proto, feeds = single(op, [X], opset=opset, **attrs)
        assert_close(imported(proto, feeds), {"y": expected}, 1e-6)
