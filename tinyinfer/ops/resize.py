"""Resampling."""

from __future__ import annotations

import math

from tinyinfer.ops import check
from tinyinfer.types import DType, TensorType

MODES = ("nearest", "linear", "cubic")
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def resize(
    x: TensorType,
    *,
    sizes: tuple[int, ...],
    scales: tuple[float, ...],
    mode: str,
    coordinate_transformation_mode: str,
    nearest_mode: str,
    cubic_coeff_a: float,
    exclude_outside: bool,
    extrapolation_value: float,
    roi: tuple[float, ...],
) -> TensorType:
    """Y [sizes] samples X. ONNX Resize without antialias, `sizes` and `scales` known for every axis.

    Bytes are sampled as numbers that all have one scale: nearest or linear, without extrapolation.
    `scales` are the factors that the coordinate formulas use; `roi` (starts…, ends…) serves tf_crop_and_resize.
    """
    check.dtype(x, (DType.FLOAT, DType.INT8, DType.UINT8), "X")
    if x.dtype is not DType.FLOAT:
        exact = mode != "cubic" and coordinate_transformation_mode != "tf_crop_and_resize"
        check.require(exact, f"X is {x}: {mode}, {coordinate_transformation_mode} is for float32 only")
    choices = (
        ("mode", mode, MODES),
        ("coordinate_transformation_mode", coordinate_transformation_mode, COORDINATES),
        ("nearest_mode", nearest_mode, ROUNDINGS),
    )
    for name, value, accepted in choices:
        check.require(value in accepted, f"{name}={value!r} is not one of {', '.join(accepted)}")
    for name, values in (("sizes", sizes), ("scales", scales)):
        check.require(len(values) == x.rank, f"{name}={values}: expected one value for each axis of X {x}")
    check.require(all(math.isfinite(s) and s > 0 for s in scales), f"scales={scales}: must be positive and finite")
    if coordinate_transformation_mode == "tf_crop_and_resize":
        check.require(len(roi) == 2 * x.rank, f"roi={roi}: expected a start and an end for each axis of X {x}")
        check.require(all(map(math.isfinite, roi)), f"roi={roi}: must be finite")
    check.require(
        all(size >= 0 and (length or not size) for size, length in zip(sizes, x.shape)),
        f"X {x} cannot be resized to {sizes}",
    )
    return x.with_shape(sizes)
