"""Convolutions and pooling in every attribute form, against ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError
from tinyinfer.frontend.reading import NEWEST_OPSET

RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "w", "bias", "attrs"),
    [
        ((1, 3, 7, 8), (4, 3, 3, 3), False, {}),
        ((2, 3, 7, 8), (4, 3, 3, 3), True, {"kernel_shape": [3, 3], "pads": [1, 0, 2, 1], "strides": [2, 1]}),
        ((1, 4, 9, 9), (6, 2, 3, 2), True, {"group": 2, "dilations": [2, 3]}),
        ((1, 4, 9, 9), (8, 1, 3, 3), False, {"group": 4, "pads": [1, 1, 1, 1]}),
        ((1, 3, 9, 8), (4, 3, 2, 3), True, {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
        ((1, 3, 9, 8), (4, 3, 2, 4), True, {"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
        ((1, 3, 9, 8), (4, 3, 2, 3), True, {"auto_pad": "VALID", "strides": [2, 2]}),
        ((2, 3, 11), (4, 3, 3), True, {"pads": [2, 0], "strides": [2], "dilations": [2]}),
        ((2, 3, 11), (4, 3, 4), False, {"auto_pad": "SAME_UPPER"}),
    ],
)
def test_conv(x: tuple[int, ...], w: tuple[int, ...], bias: bool, attrs: dict) -> None:
    operands = [normal(*x), normal(*w), *([normal(w[0])] if bias else [])]
    for constants, opset in (((1,), 7), ((1, 2) if bias else (1,), NEWEST_OPSET), ((), 11)):
        proto, feeds = single("Conv", operands, constants, opset=opset, **attrs)
        assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)


def test_same_padding_counts_the_dilated_kernel() -> None:
    """Size 8, stride 2, kernel 3 dilated to 5: 4 outputs need (4-1)·2 + 5 - 8 = 3 of padding, the odd one last."""
    for auto_pad, pads in (("SAME_UPPER", [1, 2]), ("SAME_LOWER", [2, 1])):
        x, w = normal(1, 1, 8), normal(1, 1, 3)
        proto, feeds = single("Conv", [x, w], auto_pad=auto_pad, strides=[2], dilations=[2])
        explicit, _ = single("Conv", [x, w], pads=pads, strides=[2], dilations=[2])
        assert_close(imported(proto, feeds), oracle(explicit, feeds), 1e-6)


@pytest.mark.parametrize(
    ("x", "w", "attrs"),
    [
        ((1, 3, 4, 5), (3, 2, 3, 3), {}),
        ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [2, 3], "pads": [1, 0, 2, 1], "output_padding": [1, 2]}),
        ((1, 4, 4, 5), (4, 3, 2, 3), {"group": 2, "dilations": [2, 1]}),
        ((1, 2, 5), (2, 3, 4), {"strides": [2], "pads": [1, 1]}),
    ],
)
def test_conv_transpose(x: tuple[int, ...], w: tuple[int, ...], attrs: dict) -> None:
    group = attrs.get("group", 1)
    for operands in ([normal(*x), normal(*w)], [normal(*x), normal(*w), normal(w[1] * group)]):
        proto, feeds = single("ConvTranspose", operands, range(1, len(operands)), **attrs)
        parts = [np.split(o, group, axis=1 if i == 0 else 0) for i, o in enumerate(operands)]
        models = [single("ConvTranspose", part, **{**attrs, "group": 1}) for part in zip(*parts)]
        expected = np.concatenate([oracle(*part)["y"] for part in models], axis=1)  # its own grouping is broken
        assert_close(imported(proto, feeds), {"y": expected}, 1e-5)


@pytest.mark.parametrize(
    ("attrs", "explicit"),
    [
        # x 5, kernel 4, stride 2: the full result has (5-1)·2 + 4 = 12 elements.
        ({"auto_pad": "SAME_UPPER"}, {"pads": [1, 1]}),
        ({"auto_pad": "SAME_LOWER", "output_padding": [1]}, {"pads": [2, 1], "output_padding": [1]}),
        ({"auto_pad": "SAME_UPPER", "output_padding": [1]}, {"pads": [1, 2], "output_padding": [1]}),
        ({"auto_pad": "VALID"}, {}),
        ({"output_shape": [9]}, {"pads": [2, 1]}),
        ({"output_shape": [9], "auto_pad": "SAME_UPPER"}, {"pads": [1, 2]}),
        ({"output_shape": [1, 3, 9]}, {"pads": [2, 1]}),
        ({"output_shape": [13]}, {"output_padding": [1]}),
    ],
)
def test_the_output_shape_of_conv_transpose_determines_the_pads(attrs: dict, explicit: dict) -> None:
    """ONNX ConvTranspose-11: an odd element of padding goes to the end for SAME_UPPER, else to the begin."""
    operands = [normal(1, 2, 5), normal(2, 3, 4)]
    proto, feeds = single("ConvTranspose", operands, [1], strides=[2], **attrs)
    resolved, _ = single("ConvTranspose", operands, [1], strides=[2], **explicit)
    assert_close(imported(proto, feeds), oracle(resolved, feeds), 1e-5)


POOLING = [
    ((1, 3, 8, 9), {"kernel_shape": [2, 3]}),
    ((1, 3, 8, 9), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    ((1, 3, 8, 9), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ((1, 2, 9, 8), {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ((1, 2, 9, 8), {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ((1, 2, 9, 8), {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "VALID"}),
    ((2, 3, 11), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
]


@pytest.mark.parametrize(("x", "attrs"), POOLING)
def test_max_pool(x: tuple[int, ...], attrs: dict) -> None:
    proto, feeds = single("MaxPool", [normal(*x)], opset=12, **attrs)
    explicit = proto
    if attrs.get("auto_pad") == "SAME_LOWER":  # ONNX's evaluator loses the odd element of padding here
        # (5-1)·2 + 2 - 9 = 1 above; (4-1)·2 + 3 - 8 = 1 to the left
        explicit, _ = single("MaxPool", [normal(*x)], kernel_shape=[2, 3], strides=[2, 2], pads=[1, 1, 0, 0])
    assert_close(imported(proto, feeds), oracle(explicit, feeds), 0)


def test_max_pool_with_dilations() -> None:
    proto, feeds = single("MaxPool", [normal(1, 2, 9, 9)], opset=12, kernel_shape=[2, 3], dilations=[3, 2])
    assert_close(imported(proto, feeds), oracle(proto, feeds), 0)


@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize(("x", "attrs"), POOLING)
def test_average_pool(x: tuple[int, ...], attrs: dict, count_include_pad: int) -> None:
    proto, feeds = single("AveragePool", [normal(*x)], opset=19, count_include_pad=count_include_pad, **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6)


def test_ceil_mode_does_not_change_what_auto_pad_determines() -> None:
    """Size 6, kernel 2, stride 3, VALID: ceil((6 - 2 + 1) / 3) = 2 outputs in either mode."""
    x = normal(1, 1, 6)
    for ceil_mode in (0, 1):
        proto, feeds = single("MaxPool", [x], kernel_shape=[2], strides=[3], auto_pad="VALID", ceil_mode=ceil_mode)
        assert imported(proto, feeds)["y"].shape == (1, 1, 2)


def test_the_indices_of_max_pool_are_not_supported_when_read() -> None:
    proto, _ = single("MaxPool", [normal(1, 1, 4)], outputs=2, kernel_shape=[2])
    with pytest.raises(UnsupportedError, match=r"reads 'y1', output 1 of node node \(MaxPool\), which is not supp"):
        frontend.load(proto)
    del proto.graph.output[1]
    assert frontend.load(proto).outputs["y"].shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("op", "attrs", "kind", "message"),
    [
        ("Conv", {"kernel_shape": [2, 2]}, ShapeError, r"kernel_shape is \[2, 2\], but W is float32\[4×3×3×3\]"),
        ("Conv", {"strides": [1]}, ShapeError, r"strides is \[1\]; expected 2 values ≥ 1"),
        ("Conv", {"pads": [1, 1]}, ShapeError, r"pads is \[1, 1\]; expected 4 values ≥ 0"),
        ("Conv", {"auto_pad": "SAME"}, UnsupportedError, "attribute auto_pad is 'SAME'; accepted: NOTSET or"),
        ("Conv", {"group": 2}, ShapeError, "group=2"),
        ("Conv", {"blub": 1}, ModelError, "attribute blub does not exist in this opset; attributes: auto_pad,"),
        ("Conv", {"group": 1.0}, ModelError, "attribute group has the wrong type; expected int"),
        ("MaxPool", {}, ModelError, "attribute kernel_shape is required"),
    ],
)
def test_attributes_are_checked(op: str, attrs: dict, kind: type, message: str) -> None:
    operands = [normal(1, 3, 8, 8), normal(4, 3, 3, 3)] if op == "Conv" else [normal(1, 3, 8, 8)]
    proto, _ = single(op, operands, **attrs)
    with pytest.raises(kind, match=rf"test: node node \({op}\): .*{message}"):
        frontend.load(proto)


def test_a_map_of_three_dimensions_is_rejected() -> None:
    proto, _ = single("Conv", [normal(1, 1, 4, 4, 4), normal(1, 1, 2, 2, 2)])
    with pytest.raises(ShapeError, match=r"node node \(Conv\): X is .*: only 1-D and 2-D"):
        frontend.load(proto)
    proto, _ = single("Conv", [normal(1, 4), normal(1, 4)])
    with pytest.raises(ShapeError, match=r"node node \(Conv\): X is float32\[1×4\]; expected \[N, C, spatial"):
        frontend.load(proto)
