"""Normalisations and softmax."""

from __future__ import annotations

import math

from tinyinfer.errors import UnsupportedError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value


def batch_normalization(ctx: Context) -> Value:
    """Inference form. Opset 7 and 8 have `spatial`; opset 14 on has `training_mode`."""
    if ctx.attr("spatial") == 0:
        raise ctx.rejected("spatial", 0, "1")
    if ctx.flag("training_mode"):
        raise ctx.rejected("training_mode", 1, "0 (inference)")
    return ctx.result("BatchNormalization", *ctx.inputs, epsilon=ctx.attr("epsilon"))


def instance_normalization(ctx: Context) -> Value:
    return ctx.result("InstanceNormalization", *ctx.inputs, epsilon=ctx.attr("epsilon"))


def layer_normalization(ctx: Context) -> Value:
    """Only the first output; scale and bias are brought to the shape of the normalised axes."""
    x = ctx.input()
    if ctx.attr("stash_type") != 1:
        raise ctx.rejected("stash_type", ctx.attr("stash_type"), "1 (float32)")
    axis = ctx.axis(ctx.attr("axis"), x.type.rank)
    normalized = x.shape[axis:]
    operands = [v if v is None else _stretched(ctx, v, normalized) for v in ctx.inputs[1:]]
    return ctx.result("LayerNormalization", x, *operands, axis=axis, epsilon=ctx.attr("epsilon"))


def _stretched(ctx: Context, x: Value, shape: tuple[int, ...]) -> Value:
    """`x` broadcast to `shape` (leading unit dimensions dropped); unchanged where that is impossible."""
    trimmed = x.shape[max(len(x.shape) - len(shape), 0) :]
    if math.prod(trimmed) != x.type.size:
        accepted = f"accepted: shapes that broadcast to the normalised axes {list(shape)}"
        raise ctx.error(f"scale or bias is {x.type}; {accepted}", UnsupportedError)
    x = ctx.reshape(x, trimmed)
    return x if x.shape == shape else ctx.step("Expand", x, shape=shape)


def lrn(ctx: Context) -> Value:
    names = ("size", "alpha", "beta", "bias")
    return ctx.result("LRN", ctx.input(), **{name: ctx.attr(name) for name in names})


def softmax(ctx: Context) -> Value:
    """Before opset 13 the input is taken as a matrix: the axes from `axis` on are normalised together."""
    x = ctx.input()
    rank = x.type.rank
    given = ctx.attr("axis")
    if ctx.opset >= 13 or rank == 0:
        return ctx.result(ctx.op, x, axis=ctx.axis(given, rank))
    axis = rank if given == rank else ctx.axis(given, rank)
    if axis == rank - 1:
        return ctx.result(ctx.op, x, axis=axis)
    matrix = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    y = ctx.step(ctx.op, ctx.reshape(x, matrix), axis=1)
    return ctx.reshaped(y, x.shape)


CONVERTERS: dict[str, Converter] = {
    "BatchNormalization": batch_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": lrn,
    "LayerNormalization": layer_normalization,
    "LogSoftmax": softmax,
    "Softmax": softmax,
}
