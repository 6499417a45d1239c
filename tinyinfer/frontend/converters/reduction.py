"""Reductions over axes, and pooling over the whole feature map."""

from __future__ import annotations

from tinyinfer.errors import ShapeError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value

# The opset from which `axes` is an input rather than an attribute.
_AXES_INPUT_SINCE = {"ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18, "ReduceMin": 18}


def reduce(ctx: Context) -> Value:
    """No axes: all of them, or none with noop_with_empty_axes."""
    x = ctx.input()
    given = ctx.ints(1) if ctx.opset >= _AXES_INPUT_SINCE[ctx.op] else ctx.attr("axes")
    if not given and ctx.flag("noop_with_empty_axes"):
        return x
    axes = sorted(ctx.axes(given, x.type.rank)) if given else range(x.type.rank)
    return ctx.result(ctx.op, x, axes=tuple(axes), keepdims=ctx.flag("keepdims"))


def over_map(op: str) -> Converter:
    """Global pooling reduces every axis after [N, C]."""

    def convert(ctx: Context) -> Value:
        x = ctx.input()
        if x.type.rank < 2:
            raise ctx.error(f"X is {x.type}; expected rank ≥ 2", ShapeError)
        axes = tuple(range(2, x.type.rank))
        return ctx.result(op, x, axes=axes, keepdims=True) if axes else x

    return convert


def arg(ctx: Context) -> Value:
    x = ctx.input()
    return ctx.result(
        ctx.op,
        x,
        axis=ctx.axis(ctx.attr("axis"), x.type.rank),
        keepdims=ctx.flag("keepdims"),
        select_last_index=ctx.flag("select_last_index"),
    )


CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(_AXES_INPUT_SINCE, reduce),
    "ArgMax": arg,
    "ArgMin": arg,
    "GlobalAveragePool": over_map("ReduceMean"),
    "GlobalMaxPool": over_map("ReduceMax"),
}
