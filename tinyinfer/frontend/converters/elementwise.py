"""Element-wise operators."""

from __future__ import annotations

import math

import numpy as np

from tinyinfer.frontend import tensors
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value
from tinyinfer.types import Clamp, DType

_MAX = float(np.finfo(np.float32).max)


def same(op: str, *attributes: str) -> Converter:
    """The canonical operator has ONNX's operands and these of its attributes, with ONNX's defaults."""

    def convert(ctx: Context) -> Value:
        return ctx.result(op, *ctx.inputs, **{name: ctx.attr(name) for name in attributes})

    return convert


def swapped(op: str) -> Converter:
    """op(b, a)."""

    def convert(ctx: Context) -> Value:
        return ctx.result(op, ctx.input(1), ctx.input(0))

    return convert


def chain(op: str) -> Converter:
    """An n-ary operator as applications of the binary one from left to right."""

    def convert(ctx: Context) -> Value:
        first, *rest = (ctx.input(i) for i in range(len(ctx.inputs)))
        for operand in rest[:-1]:
            first = ctx.step(op, first, operand)
        return ctx.result(op, first, rest[-1]) if rest else first

    return convert


def mean(ctx: Context) -> Value:
    """The sum from left to right, divided once."""
    total, *rest = (ctx.input(i) for i in range(len(ctx.inputs)))
    for operand in rest:
        total = ctx.step("Add", total, operand)
    return ctx.result("Div", total, ctx.scalar(len(ctx.inputs), total.dtype)) if rest else total


def relu(ctx: Context) -> Value:
    x = ctx.input()
    if x.dtype.is_float:
        return ctx.result("Clip", x, clamp=Clamp(0.0, math.inf))
    return ctx.result("Max", x, ctx.scalar(0, x.dtype))


def clip(ctx: Context) -> Value:
    """x, or the bound that it is beyond: constant bounds of floats are a clamp. NaN where a bound is NaN."""
    x = ctx.input()
    low, high = (_bound(ctx, i, what, end) for i, what, end in ((1, "min", -_MAX), (2, "max", _MAX)))
    bounds = [bound.data for bound in (low, high) if bound is not None and bound.data is not None]
    if x.dtype.is_float and len(bounds) == 2 and not np.isnan(bounds).any():
        return ctx.result("Clip", x, clamp=Clamp(*(bound.item() for bound in bounds)))
    if low is not None:
        x = _bounded(ctx, "Max", x, low, last=high is None)
    return x if high is None else _bounded(ctx, "Min", x, high, last=True)


def _bounded(ctx: Context, op: str, x: Value, bound: Value, last: bool) -> Value:
    """`op` (Max or Min) of x and a bound. Floats equal to the bound are x, as in a clamp: zeros keep their sign."""
    add = ctx.result if last else ctx.step
    if not x.dtype.is_float:
        return add(op, x, bound)
    inside = ctx.step("LessOrEqual", *((bound, x) if op == "Max" else (x, bound)))
    return add("Where", inside, x, ctx.step(op, x, bound))


def _bound(ctx: Context, index: int, what: str, end: float) -> Value | None:
    """A bound of Clip, of rank 0: an attribute before opset 11, then an input. Of floats, an absent one is the `end` of
    the finite numbers."""
    dtype = ctx.input().dtype
    if ctx.opset < 11:
        return ctx.scalar(ctx.attr(what), dtype)
    bound = ctx.optional(index)
    if bound is None:
        return ctx.scalar(end, dtype) if dtype.is_float else None
    if bound.type.size != 1:
        raise ctx.error(f"{what} is {bound.type}; expected one value")
    return ctx.reshape(bound, ())


def power(ctx: Context) -> Value:
    """Base and exponent may differ in element type from opset 12 on; the result has the base's."""
    base, exponent = ctx.input(0), ctx.input(1)
    if exponent.dtype is not base.dtype and base.dtype.is_float:
        exponent = ctx.step("Cast", exponent, to=base.dtype)
    return ctx.result("Pow", base, exponent)


def cast(ctx: Context) -> Value:
    code = ctx.attr("to")
    to = tensors.dtype_of(code)
    if to is None:
        raise ctx.rejected("to", tensors.type_name(code), tensors.ACCEPTED)
    return _cast(ctx, to)


def cast_like(ctx: Context) -> Value:
    return _cast(ctx, ctx.input(1).dtype)


def _cast(ctx: Context, to: DType) -> Value:
    x = ctx.input()
    return x if x.dtype is to else ctx.result("Cast", x, to=to)


def gelu(ctx: Context) -> Value:
    return ctx.result("Gelu", ctx.input(), approximate=ctx.choice("approximate", "none", "tanh"))


_UNARY = (
    "Abs", "Ceil", "Erf", "Exp", "Floor", "HardSwish", "Log", "Mish", "Neg", "Not", "Reciprocal", "Round", "Sigmoid",
    "Softplus", "Sqrt", "Tanh",
)  # fmt: skip
_BINARY = ("Add", "And", "Div", "Equal", "Less", "LessOrEqual", "Mul", "Or", "PRelu", "Sub", "Xor")

CONVERTERS: dict[str, Converter] = {
    **{op: same(op) for op in (*_UNARY, *_BINARY, "Where")},
    "Cast": cast,
    "CastLike": cast_like,
    "Clip": clip,
    "Elu": same("Elu", "alpha"),
    "Gelu": gelu,
    "Greater": swapped("Less"),
    "GreaterOrEqual": swapped("LessOrEqual"),
    "HardSigmoid": same("HardSigmoid", "alpha", "beta"),
    "LeakyRelu": same("LeakyRelu", "alpha"),
    "Max": chain("Max"),
    "Mean": mean,
    "Min": chain("Min"),
    "Pow": power,
    "Relu": relu,
    "Sum": chain("Add"),
}
