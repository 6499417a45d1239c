"""Convolutions (ONNX Conv, ConvTranspose).

Order: bias, then taps (kh, kw, cin) ascending, one accumulator per output. With `winograd` see `_winograd`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyinfer.ref import arith
from tinyinfer.types import Array, Clamp


def conv(
    x: Array,
    w: Array,
    bias: Array | None = None,
    residual: Array | None = None,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    group: int = 1,
    clamp: Clamp = Clamp(),
    winograd: bool = False,
) -> Array:
    """Taps in the padding take part as x = +0. The residual is added last, before the clamp, with one rounding."""
    if x.ndim == 3:
        (stride,), (begin, end), (dilation,) = strides, pads, dilations
        y = conv(
            x[:, :, None],
            w[:, :, None],
            bias,
            None if residual is None else residual[:, :, None],
            strides=(1, stride),
            pads=(0, begin, 0, end),
            dilations=(1, dilation),
            group=group,
            clamp=clamp,
        )
        return y[:, :, 0]
    top, left, bottom, right = pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    if winograd:
        y = _winograd(padded, w, bias)
    elif w.shape[1] == 1:
        y = _per_channel(padded, w, bias, strides, dilations, w.shape[0] // group)
    else:
        y = _grouped(padded, w, bias, strides, dilations, group)
    if residual is not None:
        y = y + residual
    return arith.clamp(y, clamp)


def conv_transpose(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    output_padding: tuple[int, ...],
    group: int = 1,
    clamp: Clamp = Clamp(),
) -> Array:
    """Output (oy, ox) has the taps (kh, kw) where oy + top − kh·dilation and ox + left − kw·dilation are multiples
    of the strides; it skips the others. What a tap reads outside X takes part as +0.
    """
    if x.ndim == 3:
        y = conv_transpose(
            x[:, :, None],
            w[:, :, None],
            bias,
            strides=(1, *strides),
            pads=(0, pads[0], 0, pads[1]),
            dilations=(1, *dilations),
            output_padding=(0, *output_padding),
            group=group,
            clamp=clamp,
        )
        return y[:, :, 0]
    n, channels, *size = x.shape
    depth, filters, *kernel = channels // group, *w.shape[1:]
    out = [
        strides[i] * (size[i] - 1) + dilations[i] * (kernel[i] - 1) + 1 + output_padding[i] - pads[i] - pads[2 + i]
        for i in range(2)
    ]
    start = np.zeros((group, filters), np.float32) if bias is None else bias.reshape(group, filters)
    acc = np.broadcast_to(start[..., None, None], (n, group, filters, *out)).astype(np.float32)
    maps, weights = x.reshape(n, group, depth, *size), w.reshape(group, depth, filters, *kernel)
    for i, j in np.ndindex(*kernel):
        rows, from_rows, rows_inside = _sources(i, 0, size, out, strides, pads, dilations)
        columns, from_columns, columns_inside = _sources(j, 1, size, out, strides, pads, dilations)
        here = (..., rows[:, None], columns)
        inside = rows_inside[:, None] & columns_inside
        for c in range(depth):
            tap = np.where(inside, maps[:, :, c][..., from_rows[:, None], from_columns], np.float32(0))
            acc[here] = arith.madd(tap[:, :, None], weights[:, c, :, i, j, None, None], acc[here])
    return arith.clamp(acc.reshape(n, group * filters, *out), clamp)


def _sources(
    tap: int,
    axis: int,
    size: list[int],
    out: list[int],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
) -> tuple[Array, Array, Array]:
    """The outputs along `axis` that have the tap, the (clipped) inputs it reads, and whether these exist."""
    reach = np.arange(out[axis]) + pads[axis] - tap * dilations[axis]
    chosen = np.flatnonzero(reach % strides[axis] == 0)
    source = reach[chosen] // strides[axis]
    return chosen, source.clip(0, size[axis] - 1), (source >= 0) & (source < size[axis])


def _taps(x: Array, w: Array, strides: tuple[int, ...], dilations: tuple[int, ...]) -> list[Array]:
    """For each kernel position (kh, kw), the view [N, C, OH, OW] of padded x that it multiplies."""
    (kh, kw), (sh, sw), (dh, dw) = w.shape[2:], strides, dilations
    oh = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    ow = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    return [
        x[:, :, i * dh : i * dh + (oh - 1) * sh + 1 : sh, j * dw : j * dw + (ow - 1) * sw + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]


def _per_channel(
    x: Array, w: Array, bias: Array | None, strides: tuple[int, ...], dilations: tuple[int, ...], multiplier: int
) -> Array:
    """Depthwise: every filter reads one channel."""
    taps = _taps(x, w, strides, dilations)
    weights = w.reshape(w.shape[0], len(taps))
    n, _, oh, ow = taps[0].shape
    start = np.zeros(w.shape[0], np.float32) if bias is None else bias
    acc = np.broadcast_to(start[:, None, None], (n, w.shape[0], oh, ow)).astype(np.float32)
    for t, tap in enumerate(taps):
        repeated = tap if multiplier == 1 else np.repeat(tap, multiplier, axis=1)
        acc = arith.madd(repeated, weights[:, t, None, None], acc)
    return acc


def _grouped(
    x: Array, w: Array, bias: Array | None, strides: tuple[int, ...], dilations: tuple[int, ...], group: int
) -> Array:
    """Every filter of a group reads all channels of that group."""
    filters, depth = w.shape[0] // group, w.shape[1]
    taps = _taps(x, w, strides, dilations)
    n, _, oh, ow = taps[0].shape
    terms = len(taps) * depth
    y = np.empty((n, w.shape[0], oh, ow), np.float32)
    for g in range(group):
        cin, cout = slice(g * depth, (g + 1) * depth), slice(g * filters, (g + 1) * filters)
        rows = np.stack([tap[:, cin].transpose(0, 2, 3, 1) for tap in taps], axis=3)
        columns = w[cout].transpose(2, 3, 1, 0).reshape(terms, filters)
        part = arith.dot_rows(rows.reshape(n * oh * ow, terms), columns, None if bias is None else bias[cout])
        y[:, cout] = part.reshape(n, oh, ow, filters).transpose(0, 3, 1, 2)
    return y


def _winograd(x: Array, w: Array, bias: Array | None) -> Array:
    """Minimal filtering F(2×2, 3×3): 16 products for four outputs of a channel instead of 36.

    Y = Aᵀ·(Σc (G·W·Gᵀ) ⊙ (Bᵀ·X·B))·A + B for tiles X of 4×4 padded inputs, two apart. All transforms go along rows (up
    and down) first, then along columns; channels are summed in ascending order; the bias is added to the sum. Where
    the output has an odd size, the last tiles read +0. (Lavin and Gray, "Fast algorithms for convolutional neural
    networks", 2016, section 4.1, where the matrices are.)
    """
    n, depth, height, width = x.shape
    rows, columns = (height - 1) // 2, (width - 1) // 2
    padded = np.zeros((n, depth, 2 * rows + 2, 2 * columns + 2), np.float32)
    padded[:, :, :height, :width] = x
    tiles = [padded[:, :, i : i + 2 * rows : 2, j : j + 2 * columns : 2] for i in range(4) for j in range(4)]
    v = _twice(_input_transform, np.stack(tiles).reshape(4, 4, n, depth, rows, columns))
    u = _twice(_filter_transform, w.transpose(2, 3, 1, 0))
    sixteen = zip(v.transpose(0, 1, 2, 4, 5, 3).reshape(16, -1, depth), u.reshape(16, depth, -1))
    products = np.stack([arith.dot_rows(inputs, filters, None) for inputs, filters in sixteen])
    y = _twice(_output_transform, products.reshape(4, 4, -1)).reshape(2, 2, n, rows, columns, -1)
    y = y.transpose(2, 5, 3, 0, 4, 1).reshape(n, -1, 2 * rows, 2 * columns)[:, :, : height - 2, : width - 2]
    return y if bias is None else y + bias[:, None, None]


def _twice(transform: Callable[[Array], Array], x: Array) -> Array:
    """A one-dimensional transform along the first axis, then along the second."""
    return transform(transform(x).swapaxes(0, 1)).swapaxes(0, 1)


def _input_transform(d: Array) -> Array:
    """Bᵀ·d."""
    return np.stack([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])


def _filter_transform(g: Array) -> Array:
    """G·g."""
    half, ends = np.float32(0.5), g[0] + g[2]
    return np.stack([g[0], half * (ends + g[1]), half * (ends - g[1]), g[2]])


def _output_transform(m: Array) -> Array:
    """Aᵀ·m."""
    return np.stack([(m[0] + m[1]) + m[2], (m[1] - m[2]) - m[3]])
