"""Convolutions and pooling: window attributes become explicit."""

from __future__ import annotations

from dataclasses import dataclass

from tinyinfer.errors import ShapeError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value

_AUTO_PAD = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Window:
    """The attributes convolutions and pooling share, one value per spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    def extent(self, i: int) -> int:
        """Length of the dilated kernel along spatial axis i."""
        return self.dilations[i] * (self.kernel[i] - 1) + 1


def window_of(ctx: Context, x: Value, kernel: tuple[int, ...]) -> Window:
    spatial = x.type.rank - 2
    if spatial < 1:
        raise ctx.error(f"X is {x.type}; expected [N, C, spatial axes…]", ShapeError)
    values = {
        "kernel_shape": kernel,
        "strides": ctx.attr("strides") or (1,) * spatial,
        "dilations": ctx.attr("dilations") or (1,) * spatial,
    }
    for name, given in values.items():
        if len(given) != spatial or min(given) < 1:
            raise ctx.error(f"{name} is {list(given)}; expected {spatial} values ≥ 1 for X {x.type}", ShapeError)
    return Window(*values.values())


def _split_padding(total: int, auto_pad: str) -> tuple[int, int]:
    """Begin and end: SAME_UPPER puts the odd element at the end, everything else at the begin."""
    half = total // 2
    return (half, total - half) if auto_pad == "SAME_UPPER" else (total - half, half)


def pads_of(ctx: Context, x: Value, window: Window) -> tuple[int, ...]:
    """auto_pad resolved: SAME gives ceil(size / stride) outputs."""
    auto_pad = ctx.choice("auto_pad", *_AUTO_PAD)
    spatial = x.shape[2:]
    if auto_pad == "NOTSET":
        return _explicit_pads(ctx, len(spatial))
    if auto_pad == "VALID":
        return (0,) * 2 * len(spatial)
    sides = []
    for i, (size, stride) in enumerate(zip(spatial, window.strides)):
        outputs = -(-size // stride)
        sides.append(_split_padding(max((outputs - 1) * stride + window.extent(i) - size, 0), auto_pad))
    return (*(begin for begin, _ in sides), *(end for _, end in sides))


def _explicit_pads(ctx: Context, spatial: int) -> tuple[int, ...]:
    pads: tuple[int, ...] = ctx.attr("pads") or (0,) * 2 * spatial
    if len(pads) != 2 * spatial or min(pads) < 0:
        raise ctx.error(f"pads is {list(pads)}; expected {2 * spatial} values ≥ 0", ShapeError)
    return pads


def kernel_of(ctx: Context, w: Value) -> tuple[int, ...]:
    """The kernel shape is W's; the attribute, where given, must agree."""
    kernel = w.shape[2:]
    given = ctx.attr("kernel_shape")
    if given and given != kernel:
        raise ctx.error(f"kernel_shape is {list(given)}, but W is {w.type}", ShapeError)
    return kernel


def conv(ctx: Context) -> Value:
    x, w = ctx.input(0), ctx.input(1)
    window = window_of(ctx, x, kernel_of(ctx, w))
    return ctx.result(
        "Conv",
        *ctx.inputs,
        strides=window.strides,
        pads=pads_of(ctx, x, window),
        dilations=window.dilations,
        group=ctx.attr("group"),
    )


def conv_transpose(ctx: Context) -> Value:
    """output_shape, or auto_pad SAME (whose output is size·stride), determines the pads."""
    x, w = ctx.input(0), ctx.input(1)
    window = window_of(ctx, x, kernel_of(ctx, w))
    spatial = x.shape[2:]
    extra = ctx.attr("output_padding") or (0,) * len(spatial)
    wanted = ctx.attr("output_shape")
    auto_pad = ctx.choice("auto_pad", *_AUTO_PAD)
    if len(extra) != len(spatial) or min(extra) < 0:
        raise ctx.error(f"output_padding is {list(extra)}; expected {len(spatial)} values ≥ 0", ShapeError)
    if not wanted and auto_pad.startswith("SAME"):
        wanted = tuple(size * stride for size, stride in zip(spatial, window.strides))
    if wanted:
        wanted = wanted[-len(spatial) :]  # some exporters write N and C too
        if len(wanted) != len(spatial):
            raise ctx.error(f"output_shape is {list(wanted)}; expected {len(spatial)} values", ShapeError)
        full = [window.strides[i] * (d - 1) + extra[i] + window.extent(i) for i, d in enumerate(spatial)]
        sides = [_split_padding(max(f - o, 0), auto_pad) for f, o in zip(full, wanted)]
        pads = (*(begin for begin, _ in sides), *(end for _, end in sides))
        extra = tuple(e + max(o - f, 0) for e, f, o in zip(extra, full, wanted))
    else:
        pads = (0,) * 2 * len(spatial) if auto_pad == "VALID" else _explicit_pads(ctx, len(spatial))
    return ctx.result(
        "ConvTranspose",
        *ctx.inputs,
        strides=window.strides,
        pads=pads,
        dilations=window.dilations,
        output_padding=tuple(extra),
        group=ctx.attr("group"),
    )


def max_pool(ctx: Context) -> Value:
    """The second output (indices) is not supported; storage_order matters to it only."""
    return _pool(ctx)


def average_pool(ctx: Context) -> Value:
    return _pool(ctx, count_include_pad=ctx.flag("count_include_pad"))


def _pool(ctx: Context, **attrs: bool) -> Value:
    """ceil_mode goes with explicit pads: auto_pad fixes the number of outputs by itself."""
    x = ctx.input()
    window = window_of(ctx, x, ctx.attr("kernel_shape"))
    return ctx.result(
        ctx.op,
        x,
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=pads_of(ctx, x, window),
        dilations=window.dilations,
        ceil_mode=ctx.flag("ceil_mode") and ctx.attr("auto_pad") == "NOTSET",
        **attrs,
    )


CONVERTERS: dict[str, Converter] = {
    "AveragePool": average_pool,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
}
