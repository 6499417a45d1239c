"""Resize of every opset, and Upsample: output sizes and scales become explicit for every axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinyinfer.errors import ShapeError, UnsupportedError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.frontend.problems import OperandError
from tinyinfer.graph import Value
from tinyinfer.types import Array

_COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
    "tf_half_pixel_for_nn",
)  # fmt: skip
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
_POLICIES = ("stretch", "not_larger", "not_smaller")


def resize_by_scale(ctx: Context) -> Value:
    """Upsample, and Resize before opset 11: coordinates are divided by the scale.

    Nearest takes the element below, or above where the map shrinks (the expected results of Resize-10 in ONNX 1.5).
    """
    x = ctx.input()
    mode = ctx.choice("mode", "nearest", "linear")
    given = ctx.attr("scales")
    scales = _scales(ctx, given if given is not None else ctx.constant(1), x.type.rank)
    shrinks, grows = any(s < 1 for s in scales), any(s > 1 for s in scales)
    if mode == "nearest" and shrinks and grows:
        raise ctx.error(f"scales {scales}; accepted with mode 'nearest': all ≥ 1 or all ≤ 1", OperandError)
    return ctx.result(
        "Resize",
        x,
        sizes=_scaled_sizes(x.shape, scales, ()),
        scales=tuple(scales),
        mode=mode,
        coordinate_transformation_mode="asymmetric",
        nearest_mode="ceil" if shrinks else "floor",
        cubic_coeff_a=-0.75,
        exclude_outside=False,
        extrapolation_value=0.0,
        roi=(),
    )


def resize(ctx: Context) -> Value:
    """Resize from opset 11 on: by scales or by sizes, from opset 18 on for some of the axes only."""
    if ctx.opset < 11:
        return resize_by_scale(ctx)
    x, rank = ctx.input(), ctx.input().type.rank
    listed = ctx.attr("axes")
    axes = tuple(range(rank)) if listed is None else ctx.axes(listed, rank)
    coordinates = ctx.choice("coordinate_transformation_mode", *_COORDINATES)
    roi = _roi(ctx, axes, rank) if coordinates == "tf_crop_and_resize" else ()
    scales, sizes = _extent(ctx, x, axes, roi)
    mode = ctx.choice("mode", "nearest", "linear", "cubic")
    nearest = ctx.choice("nearest_mode", *_NEAREST)
    if coordinates == "tf_half_pixel_for_nn":
        if mode != "nearest" or nearest != "floor":
            raise ctx.error(
                f"{coordinates} with mode {mode}, nearest_mode {nearest}; accepted: mode nearest, nearest_mode floor",
                UnsupportedError,
            )
        # floor((y + 0.5) / scale) = floor(((y + 0.5) / scale - 0.5) + 0.5)
        coordinates, nearest = "half_pixel", "round_prefer_ceil"
    if ctx.flag("antialias") and mode != "nearest" and any(s < 1 for s in scales):
        raise ctx.rejected("antialias", 1, "0 where an axis shrinks")
    return ctx.result(
        "Resize",
        x,
        sizes=sizes,
        scales=scales,
        mode=mode,
        coordinate_transformation_mode=coordinates,
        nearest_mode=nearest,
        cubic_coeff_a=ctx.attr("cubic_coeff_a"),
        exclude_outside=ctx.flag("exclude_outside"),
        extrapolation_value=ctx.attr("extrapolation_value"),
        roi=roi,
    )


def _extent(
    ctx: Context, x: Value, axes: tuple[int, ...], roi: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Scale and output size of every axis; axes not listed keep theirs."""
    by_scale, by_size = ctx.constant(2), ctx.ints(3)
    scales, sizes = [1.0] * x.type.rank, list(x.shape)
    if by_size:
        if len(by_size) != len(axes) or min(by_size) < 0:
            raise ctx.error(f"sizes {list(by_size)}; expected {len(axes)} values ≥ 0", ShapeError)
        if any(size and not x.shape[a] for a, size in zip(axes, by_size)):
            raise ctx.error(f"X is {x.type}: an empty axis cannot be resized", ShapeError)
        for axis, size, scale in zip(axes, *_fitted(ctx, [x.shape[a] for a in axes], by_size)):
            sizes[axis], scales[axis] = size, scale
        return tuple(scales), tuple(sizes)
    for axis, scale in zip(axes, _scales(ctx, by_scale, len(axes))):
        scales[axis] = scale
    return tuple(scales), _scaled_sizes(x.shape, scales, roi)


def _fitted(ctx: Context, dims: Sequence[int], wanted: Sequence[int]) -> tuple[list[int], list[float]]:
    """Sizes and scales by keep_aspect_ratio_policy: one common scale unless it is "stretch". An axis of nothing has no
    scale: 1 does."""
    policy = "stretch" if ctx.opset < 18 else ctx.choice("keep_aspect_ratio_policy", *_POLICIES)
    if policy == "stretch":
        return list(wanted), [w / d if w and d else 1.0 for w, d in zip(wanted, dims)]
    if 0 in dims:
        raise ctx.error(f"the axes have the lengths {list(dims)}: {policy} needs lengths ≥ 1", ShapeError)
    ratios = [w / d for w, d in zip(wanted, dims)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [math.floor(scale * d + 0.5) for d in dims], [scale] * len(dims)


def _scales(ctx: Context, given: Sequence[float] | Array | None, count: int) -> list[float]:
    scales = [] if given is None else [float(s) for s in np.asarray(given).reshape(-1)]
    if len(scales) != count or not all(0 < s < math.inf for s in scales):
        raise ctx.error(f"scales {scales}; expected {count} positive values, or sizes", ShapeError)
    return scales


def _scaled_sizes(shape: tuple[int, ...], scales: Sequence[float], roi: tuple[float, ...]) -> tuple[int, ...]:
    """floor(size · extent of the region of interest · scale), the products in float32."""
    sizes = []
    for i, (dim, scale) in enumerate(zip(shape, scales)):
        extent = np.float32(roi[len(shape) + i]) - np.float32(roi[i]) if roi else np.float32(1)
        with np.errstate(over="ignore"):
            size = float(np.float32(dim) * extent * np.float32(scale))
        sizes.append(math.floor(min(max(size, 0), 1 << 62)))  # a size that no tensor has, if it is infinite
    return tuple(sizes)


def _roi(ctx: Context, axes: tuple[int, ...], rank: int) -> tuple[float, ...]:
    """Begins and ends for every axis, relative to its size; axes not listed keep everything."""
    data = ctx.constant(1)
    given = [] if data is None else [float(v) for v in data.reshape(-1)]
    if len(given) != 2 * len(axes) or not all(map(math.isfinite, given)):
        raise ctx.error(f"roi {given}; expected {2 * len(axes)} finite values with tf_crop_and_resize", ShapeError)
    begins, ends = [0.0] * rank, [1.0] * rank
    for i, axis in enumerate(axes):
        begins[axis], ends[axis] = given[i], given[len(axes) + i]
    return (*begins, *ends)


CONVERTERS: dict[str, Converter] = {"Resize": resize, "Upsample": resize_by_scale}
