"""Pooling over spatial windows. Spatial rank 1 or 2; feature maps are logically [N, C, spatial...]."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import DType, Quantized, TensorType


def max_pool(
    x: TensorType,
    *,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool = False,
) -> TensorType:
    """Y is the maximum of each window. ONNX MaxPool without the Indices output; padding takes no part."""
    check.dtype(x, (DType.FLOAT, DType.INT8, DType.UINT8), "X")
    return _windows(x, kernel_shape, strides, pads, dilations, ceil_mode)


def average_pool(
    x: TensorType,
    *,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> TensorType:
    """Y is the mean of each window. ONNX AveragePool."""
    check.dtype(x, check.FLOAT, "X")
    return _windows(x, kernel_shape, strides, pads, dilations, ceil_mode)


def qlinear_average_pool(
    x: TensorType,
    *,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    ratio: float,
    x_zero_point: int,
    y: Quantized,
) -> TensorType:
    """Y = saturate(round(Σ(X − x zero point)·ratio / count) + zero point) over each window, ratio = x scale / y scale.

    com.microsoft QLinearAveragePool and, of one window, QLinearGlobalAveragePool, channels first.
    """
    check.dtype(x, (DType.INT8, DType.UINT8), "X")
    return TensorType(y.dtype, _windows(x, kernel_shape, strides, pads, dilations, ceil_mode).shape)


def _windows(
    x: TensorType,
    kernel_shape: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool,
) -> TensorType:
    """The type of Y: one element for each window.

    `ceil_mode` keeps a last window that the padded input only partly fills, but drops a last window that begins
    beyond the input, in the padding at the end (ONNX MaxPool, `ceil_mode`).
    """
    spatial = x.rank - 2
    check.require(spatial in (1, 2), f"X is {x}: only 1-D and 2-D pooling, rank 3 or 4, is supported")
    sizes = (("kernel_shape", kernel_shape, 1), ("strides", strides, 1), ("dilations", dilations, 1), ("pads", pads, 2))
    for name, values, count in sizes:
        check.window(name, values, count * spatial, least=0 if name == "pads" else 1)
    out = []
    for i, (length, kernel, stride, dilation) in enumerate(zip(x.shape[2:], kernel_shape, strides, dilations)):
        room = length + pads[i] + pads[spatial + i] - dilation * (kernel - 1) - 1
        least = 1 - stride if ceil_mode else 0
        check.require(
            room >= least and length > 0,
            f"X {x} is smaller than the window {kernel_shape} with pads {pads}, {dilations=}",
        )
        windows = (-(-room // stride) if ceil_mode else room // stride) + 1
        if ceil_mode and (windows - 1) * stride >= length + pads[i]:
            windows -= 1
        out.append(windows)
    return x.with_shape((*x.shape[:2], *out))
