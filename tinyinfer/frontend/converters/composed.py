"""Operators that ONNX defines by others: they become those."""

from __future__ import annotations

from tinyinfer.errors import ShapeError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.frontend.converters.reduction import axes_of
from tinyinfer.graph import Value
from tinyinfer.types import Clamp, DType


def _scalar(ctx: Context, value: float) -> Value:
    return ctx.scalar(value, ctx.input().dtype)


def celu(ctx: Context) -> Value:
    """max(0, x) + min(0, alpha·(e^(x / alpha) - 1)): x where x ≥ 0, which x / alpha may overflow."""
    x, alpha = ctx.input(), ctx.attr("alpha")
    if alpha == 1:
        return ctx.result("Elu", x, alpha=1.0)
    scale = _scalar(ctx, alpha)
    ratio = ctx.step("Div", x, scale)
    if alpha > 0:
        below = ctx.step("Mul", ctx.step("Elu", ratio, alpha=1.0), scale)
        return ctx.result("Where", ctx.step("Less", x, _scalar(ctx, 0)), below, x)
    grown = ctx.step("Mul", ctx.step("Sub", ctx.step("Exp", ratio), _scalar(ctx, 1)), scale)
    above, below = ctx.step("Clip", x, clamp=Clamp(lo=0.0)), ctx.step("Clip", grown, clamp=Clamp(hi=0.0))
    return ctx.result("Add", above, below)


def selu(ctx: Context) -> Value:
    """gamma·Elu(x)."""
    return ctx.result("Mul", ctx.step("Elu", ctx.input(), alpha=ctx.attr("alpha")), _scalar(ctx, ctx.attr("gamma")))


def softsign(ctx: Context) -> Value:
    """x / (1 + |x|)."""
    x = ctx.input()
    return ctx.result("Div", x, ctx.step("Add", ctx.step("Abs", x), _scalar(ctx, 1)))


def swish(ctx: Context) -> Value:
    """x·Sigmoid(alpha·x)."""
    x, alpha = ctx.input(), ctx.attr("alpha")
    scaled = x if alpha == 1 else ctx.step("Mul", x, _scalar(ctx, alpha))
    return ctx.result("Mul", x, ctx.step("Sigmoid", scaled))


def thresholded_relu(ctx: Context) -> Value:
    """x where alpha < x, else 0."""
    x = ctx.input()
    return ctx.result("Where", ctx.step("Less", _scalar(ctx, ctx.attr("alpha")), x), x, _scalar(ctx, 0))


def shrink(ctx: Context) -> Value:
    """x + bias where x < -lambd, x - bias where lambd < x, else 0.

    Integers and attributes that are none meet as floats, and results lose their fraction.
    """
    x, bias, limit = ctx.input(), ctx.attr("bias"), ctx.attr("lambd")
    whole = all(number.is_integer() and abs(number) < 2**31 for number in (bias, limit))
    if x.dtype.is_float or (whole and x.dtype in (DType.INT32, DType.INT64)):
        return _shrunk(ctx, x, bias, limit, last=True)
    return ctx.result("Cast", _shrunk(ctx, ctx.step("Cast", x, to=DType.FLOAT), bias, limit), to=x.dtype)


def _shrunk(ctx: Context, x: Value, bias: float, limit: float, *, last: bool = False) -> Value:
    by, low, high, zero = (ctx.scalar(value, x.dtype) for value in (bias, -limit, limit, 0))
    rest = ctx.step("Where", ctx.step("Less", high, x), ctx.step("Sub", x, by), zero)
    add = ctx.result if last else ctx.step
    return add("Where", ctx.step("Less", x, low), ctx.step("Add", x, by), rest)


def is_nan(ctx: Context) -> Value:
    """not x = x."""
    x = ctx.input()
    return ctx.result("Not", ctx.step("Equal", x, x))


def reduce_l1(ctx: Context) -> Value:
    return _sum(ctx, ctx.step("Abs", ctx.input()), last=True)


def reduce_sum_square(ctx: Context) -> Value:
    return _sum(ctx, ctx.step("Mul", ctx.input(), ctx.input()), last=True)


def reduce_l2(ctx: Context) -> Value:
    return ctx.result("Sqrt", _sum(ctx, ctx.step("Mul", ctx.input(), ctx.input())))


def reduce_log_sum(ctx: Context) -> Value:
    return ctx.result("Log", _sum(ctx, ctx.input()))


def _sum(ctx: Context, x: Value, *, last: bool = False) -> Value:
    """ReduceSum over the axes the node names; without any, x itself."""
    axes = axes_of(ctx)
    add = ctx.result if last else ctx.step
    return add("ReduceSum", x, axes=axes, keepdims=ctx.flag("keepdims")) if axes else x


def group_normalization(ctx: Context) -> Value:
    """Instance normalisation of groups of channels. Scale and bias are per channel; before opset 21, per group."""
    x, scale, bias = (ctx.input(i) for i in range(3))
    groups = ctx.attr("num_groups")
    if x.type.rank < 3 or groups < 1 or x.shape[1] % groups:
        raise ctx.error(f"X is {x.type}, num_groups is {groups}; expected [N, C, …] with C divisible by it", ShapeError)
    if ctx.attr("stash_type") not in (None, 1):
        raise ctx.rejected("stash_type", ctx.attr("stash_type"), "1 (float32)")
    ones, zeros = (ctx.step("Expand", _scalar(ctx, v), shape=(groups,)) for v in (1, 0))
    grouped = ctx.step("Reshape", x, shape=(x.shape[0], groups, x.type.size // max(x.shape[0] * groups, 1)))
    epsilon = ctx.attr("epsilon")
    if ctx.opset < 21:
        return ctx.reshaped(ctx.step("InstanceNormalization", grouped, scale, bias, epsilon=epsilon), x.shape)
    normal = ctx.reshape(ctx.step("InstanceNormalization", grouped, ones, zeros, epsilon=epsilon), x.shape)
    per_channel = (x.shape[1], *(1,) * (x.type.rank - 2))
    scaled = ctx.step("Mul", normal, ctx.reshape(scale, per_channel))
    return ctx.result("Add", scaled, ctx.reshape(bias, per_channel))


def rms_normalization(ctx: Context) -> Value:
    """x / Sqrt(ReduceMean(x²) + epsilon)·scale over the axes from `axis` on."""
    x = ctx.input()
    if ctx.attr("stash_type") != 1:
        raise ctx.rejected("stash_type", ctx.attr("stash_type"), "1 (float32)")
    axes = tuple(range(ctx.axis(ctx.attr("axis"), x.type.rank), x.type.rank))
    mean = ctx.step("ReduceMean", ctx.step("Mul", x, x), axes=axes, keepdims=True)
    root = ctx.step("Sqrt", ctx.step("Add", mean, _scalar(ctx, ctx.attr("epsilon"))))
    return ctx.result("Mul", ctx.step("Div", x, root), ctx.input(1))


CONVERTERS: dict[str, Converter] = {
    "Celu": celu,
    "GroupNormalization": group_normalization,
    "IsNaN": is_nan,
    "RMSNormalization": rms_normalization,
    "ReduceL1": reduce_l1,
    "ReduceL2": reduce_l2,
    "ReduceLogSum": reduce_log_sum,
    "ReduceSumSquare": reduce_sum_square,
    "Selu": selu,
    "Shrink": shrink,
    "Softsign": softsign,
    "Swish": swish,
    "ThresholdedRelu": thresholded_relu,
}
