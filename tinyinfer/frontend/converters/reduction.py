"""Reductions over axes, and pooling over the whole feature map."""

from __future__ import annotations

from tinyinfer.errors import ShapeError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value


def axes_of(ctx: Context) -> tuple[int, ...]:
    """The axes a Reduce* node names, sorted; none given: all of them, or none with noop_with_empty_axes.

    They are an input from opset 13 (ReduceSum) or 18 (the others) on, before that an attribute.
    """
    rank = ctx.input().type.rank
    given = ctx.ints(1) if ctx.opset >= (13 if ctx.op == "ReduceSum" else 18) else ctx.attr("axes")
    if given:
        return tuple(sorted(ctx.axes(given, rank)))
    return () if ctx.flag("noop_with_empty_axes") else tuple(range(rank))


def reduce(ctx: Context) -> Value:
    axes = axes_of(ctx)
    x = ctx.input()
    return ctx.result(ctx.op, x, axes=axes, keepdims=ctx.flag("keepdims")) if axes else x


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
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), reduce),
    "ArgMax": arg,
    "ArgMin": arg,
    "GlobalAveragePool": over_map("ReduceMean"),
    "GlobalMaxPool": over_map("ReduceMax"),
}
