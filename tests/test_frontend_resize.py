"""Resize and Upsample of every opset, against ONNX's evaluator or by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError

RNG = np.random.default_rng(5)
X = RNG.standard_normal((1, 2, 4, 8)).astype(np.float32)
GRID = np.arange(1, 9, dtype=np.float32).reshape(1, 1, 2, 4)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize("opset", [7, 9, 10])
def test_upsample_nearest(opset: int) -> None:
    scales = f32(1, 1, 2, 3)
    if opset == 7:
        proto, feeds = single("Upsample", [GRID], opset=7, scales=scales.tolist())
    else:
        proto, feeds = single("Upsample" if opset == 9 else "Resize", [GRID, scales], [1], opset=opset, mode="nearest")
    assert_close(imported(proto, feeds), {"y": GRID.repeat(2, 2).repeat(3, 3)}, 0)


def test_upsample_linear_divides_coordinates_by_the_scale() -> None:
    """The row 1 2 3 4 at 0, 0.5, 1, … 3, and 3.5, which lies beyond the last element."""
    proto, feeds = single("Upsample", [GRID[:, :, :1], f32(1, 1, 1, 2)], [1], opset=9, mode="linear")
    expected = f32(1, 1.5, 2, 2.5, 3, 3.5, 4, 4).reshape(1, 1, 1, 8)
    assert_close(imported(proto, feeds), {"y": expected}, 0)


def test_resize_10_shrinks_to_the_element_above() -> None:
    """The expected result that ONNX 1.5 gives for Resize-10: coordinates 0 and 1/0.6 = 1.67 → 1 and 3."""
    proto, feeds = single("Resize", [GRID, f32(1, 1, 0.6, 0.6)], [1], opset=10, mode="nearest")
    assert_close(imported(proto, feeds), {"y": f32(1, 3).reshape(1, 1, 1, 2)}, 0)
    proto, _ = single("Resize", [GRID, f32(1, 1, 0.6, 2)], [1], opset=10, mode="nearest")
    with pytest.raises(UnsupportedError, match=r"test: node node \(Resize\): scales .*; accepted with mode 'nearest'"):
        frontend.load(proto)


MODES = [
    {"mode": "nearest"},
    *({"mode": "nearest", "nearest_mode": m} for m in ("round_prefer_ceil", "floor", "ceil")),
    {"mode": "linear"},
    {"mode": "cubic"},
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]
COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("scales", [(1, 1, 2, 3), (1, 1, 0.5, 0.75), (1, 1, 1.3125, 0.8125)])
def test_resize_by_scales(mode: dict, coordinates: str, scales: tuple[float, ...]) -> None:
    """Scales are exact in binary, so that both implementations see the same ties.

    align_corners divides by the output's length: the specification means the whole number, ONNX's evaluator takes
    size · scale, so the two are compared where that is whole.
    """
    if coordinates == "align_corners":
        scales = (1, 1, *(np.floor(s * d) / d for s, d in zip(scales[2:], X.shape[2:])))
    attrs = {"coordinate_transformation_mode": coordinates, **mode}
    for opset, roi in ((11, np.zeros(0, np.float32)), (13, None), (19, None)):
        constants = [i for i, v in enumerate((X, roi, scales)) if i and v is not None]
        proto, feeds = single("Resize", [X, roi, f32(*scales)], constants, opset=opset, **attrs)
        newest, _ = single("Resize", [X, None, f32(*scales)], [2], opset=19, **attrs)
        assert_close(imported(proto, feeds), oracle(newest, feeds), 1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("coordinates", [*COORDINATES, "half_pixel_symmetric"])
@pytest.mark.parametrize("sizes", [(1, 2, 8, 16), (1, 2, 3, 7)])
def test_resize_by_sizes(mode: dict, coordinates: str, sizes: tuple[int, ...]) -> None:
    attrs = {"coordinate_transformation_mode": coordinates, **mode}
    proto, feeds = single("Resize", [X, None, None, np.array(sizes)], [3], opset=19, **attrs)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_resize_of_some_axes_keeps_the_aspect_ratio(policy: str) -> None:
    attrs = {"mode": "linear", "keep_aspect_ratio_policy": policy}
    for axes, sizes in (([2, 3], [7, 9]), ([3, 2], [9, 7]), ([-1], [3])):
        inputs = [X, None, None, np.array(sizes)]
        proto, feeds = single("Resize", inputs, [3], opset=18, axes=axes, **attrs)
        positive, _ = single("Resize", inputs, [3], opset=18, axes=[a % 4 for a in axes], **attrs)
        assert_close(imported(proto, feeds), oracle(positive, feeds), 1e-5)
    proto, feeds = single("Resize", [X, None, f32(2, 3)], [2], opset=18, axes=[2, 3])
    assert imported(proto, feeds)["y"].shape == (1, 2, 8, 24)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_crop_and_resize(mode: str) -> None:
    attrs = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": mode, "extrapolation_value": 10.0}
    for roi in (f32(0, 0, 0.25, 0.5, 1, 1, 0.625, 0.75), f32(0, 0, 0.375, 0.25, 1, 1, 1.25, 1.75)):
        proto, feeds = single("Resize", [X, roi, None, np.array([1, 2, 3, 4])], [1, 3], opset=19, **attrs)
        assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)


def test_half_pixel_for_nearest_neighbours() -> None:
    """floor((y + 0.5) / scale): the middles of 5 outputs over 4 inputs fall into 0, 1, 2, 2, 3."""
    attrs = {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "mode": "nearest"}
    inputs = [GRID, np.zeros(0, np.float32), np.zeros(0, np.float32), np.array([1, 1, 2, 5])]
    proto, feeds = single("Resize", inputs, [1, 2, 3], opset=11, nearest_mode="floor", **attrs)
    assert_close(imported(proto, feeds), {"y": GRID[..., [0, 1, 2, 2, 3]]}, 0)
    proto, _ = single("Resize", inputs, [1, 2, 3], opset=11, nearest_mode="ceil", **attrs)
    with pytest.raises(UnsupportedError, match=r"tf_half_pixel_for_nn with mode nearest, nearest_mode ceil; accepted"):
        frontend.load(proto)


def test_antialias_matters_only_where_an_axis_shrinks() -> None:
    proto, feeds = single("Resize", [X, None, f32(1, 1, 2, 2)], [2], opset=18, mode="linear", antialias=1)
    assert imported(proto, feeds)["y"].shape == (1, 2, 8, 16)
    proto, _ = single("Resize", [X, None, f32(1, 1, 0.5, 2)], [2], opset=18, mode="linear", antialias=1)
    with pytest.raises(UnsupportedError, match=r"attribute antialias is 1; accepted: 0 where an axis shrinks"):
        frontend.load(proto)


@pytest.mark.parametrize(
    ("inputs", "attrs", "kind", "message"),
    [
        ([None, f32(1, 1, 2)], {}, ShapeError, "scales .*; expected 4 positive values, or sizes"),
        ([None, f32(1, 1, 2, -1)], {}, ShapeError, "scales .*; expected 4 positive values, or sizes"),
        ([None, None, np.array([1, 2])], {}, ShapeError, r"sizes \[1, 2\]; expected 4 values"),
        ([None, None, None], {}, ShapeError, "expected 4 positive values, or sizes"),
        ([None, f32(1, 1, 2, 2)], {"mode": "area"}, UnsupportedError, "attribute mode is 'area'; accepted: nearest or"),
        ([None, f32(1, 1, 2, 2)], {"coordinate_transformation_mode": "tf_crop_and_resize"}, ModelError, "roi"),
    ],
)
def test_resize_checks(inputs: list, attrs: dict, kind: type, message: str) -> None:
    constants = [i for i, v in enumerate(inputs, 1) if v is not None]
    proto, _ = single("Resize", [X, *inputs], constants, opset=18, **attrs)
    with pytest.raises(kind, match=rf"test: node node \(Resize\): .*{message}"):
        frontend.load(proto)
