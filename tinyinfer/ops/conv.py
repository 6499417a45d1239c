"""Convolutions. Spatial rank 1 or 2; feature maps are logically [N, C, spatial...], weights [M, C/group, kernel...]."""

from __future__ import annotations

from tinyinfer.ops import check
from tinyinfer.types import Clamp, TensorType


def conv(
    x: TensorType,
    w: TensorType,
    bias: TensorType | None = None,
    residual: TensorType | None = None,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    group: int = 1,
    clamp: Clamp = Clamp(),
    winograd: bool = False,
) -> TensorType:
    """Y = clamp(Conv(X, W) + B + residual). ONNX Conv with `auto_pad` resolved to `pads` (all begins, all ends).

    `winograd`: computed by minimal filtering, which is another order of roundings; only for plain 3×3 kernels.
    """
    spatial = x.rank - 2
    check.require(spatial in (1, 2), f"X is {x}: only 1-D and 2-D convolution, rank 3 or 4, is supported")
    check.require(w.rank == x.rank, f"W is {w}; expected rank {x.rank} as X {x}")
    for operand, what in ((x, "X"), (w, "W")):
        check.dtype(operand, check.FLOAT, what)
    for name, values, count in (("strides", strides, 1), ("dilations", dilations, 1), ("pads", pads, 2)):
        check.window(name, values, count * spatial, least=0 if name == "pads" else 1)
    channels, filters = x.shape[1], w.shape[0]
    check.require(
        group >= 1 and channels == w.shape[1] * group and filters % group == 0,
        f"X has {channels} channels, W is {w}, group={group}: needs C = {w.shape[1]}·group and M % group = 0",
    )
    if bias is not None:
        check.require(bias.shape == (filters,), f"B is {bias}; expected one value for each of {filters} filters")
    if winograd:
        check.require(
            w.shape[2:] == (3, 3) and {*strides, *dilations, group} == {1},
            f"winograd: W is {w}, strides={strides}, dilations={dilations}, group={group}; needs 3×3 and 1 of each",
        )
    out = tuple(
        (x.shape[2 + i] + pads[i] + pads[spatial + i] - dilations[i] * (w.shape[2 + i] - 1) - 1) // strides[i] + 1
        for i in range(spatial)
    )
    check.require(min(out) > 0, f"X {x} is smaller than the kernel {w.shape[2:]} with pads {pads}")
    y = TensorType(x.dtype, (x.shape[0], filters, *out))
    if residual is not None:
        check.require(residual == y, f"residual is {residual}; expected {y}")
    return y


def conv_transpose(
    x: TensorType,
    w: TensorType,
    bias: TensorType | None = None,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    output_padding: tuple[int, ...],
    group: int = 1,
    clamp: Clamp = Clamp(),
) -> TensorType:
    """Y = clamp(ConvTranspose(X, W) + B), W [C, M/group, kernel…].

    ONNX ConvTranspose; `auto_pad` and `output_shape` became `pads` (all begins, all ends) and `output_padding`.
    """
    spatial = x.rank - 2
    check.require(spatial in (1, 2), f"X is {x}: only 1-D and 2-D ConvTranspose, rank 3 or 4, is supported")
    check.require(w.rank == x.rank, f"W is {w}; expected rank {x.rank} as X {x}")
    for operand, what in ((x, "X"), (w, "W")):
        check.dtype(operand, check.FLOAT, what)
    windows = (("strides", strides, 1), ("dilations", dilations, 1), ("pads", pads, 2))
    for name, values, count in (*windows, ("output_padding", output_padding, 1)):
        check.window(name, values, count * spatial, least=0 if "pad" in name else 1)
    channels, filters = x.shape[1], w.shape[1] * group
    check.require(
        group >= 1 and channels % group == 0 and w.shape[0] == channels,
        f"X has {channels} channels, W is {w}, group={group}: needs W [C, M/group, …] and C % group = 0",
    )
    if bias is not None:
        check.require(bias.shape == (filters,), f"B is {bias}; expected one value for each of {filters} filters")
    out = tuple(
        strides[i] * (x.shape[2 + i] - 1)
        + output_padding[i]
        + dilations[i] * (w.shape[2 + i] - 1)
        + 1
        - pads[i]
        - pads[spatial + i]
        for i in range(spatial)
    )
    check.require(min(out) > 0, f"X {x} with the kernel {w.shape[2:]} gives nothing inside the pads {pads}")
    return TensorType(x.dtype, (x.shape[0], filters, *out))
