"""Operators whose result is known when compiling: constants, shapes, ranges; and those that vanish."""

from __future__ import annotations

import math

import numpy as np

from tinyinfer.errors import ShapeError, UnsupportedError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.frontend.problems import OperandError
from tinyinfer.graph import Value
from tinyinfer.types import DType


def constant(ctx: Context) -> Value:
    """Exactly one of the value_* attributes is given."""
    given = sorted(ctx.attrs)
    if len(given) != 1:
        raise ctx.error(f"{len(given)} value attributes ({', '.join(given) or 'none'}); expected exactly one")
    name, value = given[0], ctx.attrs[given[0]]
    if name == "value":
        return ctx.fixed(ctx.tensor(value))
    if name in ("value_float", "value_floats"):
        return ctx.fixed(np.array(value, np.float32))
    if name in ("value_int", "value_ints"):
        return ctx.fixed(np.array(value, np.int64))
    raise ctx.error(f"{name} is not supported; accepted: value, value_int(s), value_float(s)", UnsupportedError)


def constant_of_shape(ctx: Context) -> Value:
    """An expanded scalar: it folds unless it is large."""
    tensor = ctx.attr("value")
    fill = np.zeros((), np.float32) if tensor is None else ctx.tensor(tensor)
    if fill.size != 1:
        raise ctx.error(f"attribute value has {fill.size} elements; expected one")
    shape = ctx.ints(0) or ()
    if any(d < 0 for d in shape):
        raise ctx.error(f"the shape {shape} has negative dimensions", ShapeError)
    scalar = fill.reshape(())
    if not shape:
        return ctx.fixed(scalar)
    return ctx.result("Expand", ctx.builder.constant(scalar, f"{ctx.outputs[0]}/value"), shape=shape)


def shape(ctx: Context) -> Value:
    """Opset 15 added start and end, which clamp to the rank."""
    end = ctx.attr("end")
    dims = ctx.input().shape[slice(ctx.attr("start") or 0, end)]
    return ctx.fixed(np.array(dims, np.int64))


def size(ctx: Context) -> Value:
    return ctx.fixed(np.array(ctx.input().type.size, np.int64))


def range_(ctx: Context) -> Value:
    """start + i·delta for i < max(ceil((limit - start) / delta), 0), each element with two roundings."""
    ends = [e for e in map(ctx.constant, range(3)) if e is not None and e.size == 1]
    if len(ends) != 3:
        raise ctx.error("start, limit and delta must be one value each", ShapeError)
    start, limit, delta = (e.reshape(()) for e in ends)
    if delta == 0:
        raise ctx.error("delta is 0")
    if start.dtype.kind == "f":
        steps = (float(limit) - float(start)) / float(delta)
        if not math.isfinite(steps):
            raise ctx.error(f"start {start}, limit {limit}, delta {delta} do not make a range")
        count = max(math.ceil(steps), 0)
    else:
        count = max(-(-(int(limit) - int(start)) // int(delta)), 0)
    ctx.builder.compute(count * start.dtype.itemsize, count, ctx.where)
    with np.errstate(all="ignore"):
        return ctx.fixed(start + np.arange(count).astype(start.dtype) * delta)


def identity(ctx: Context) -> Value:
    return ctx.input()


def dropout(ctx: Context) -> Value | tuple[Value, ...]:
    """Inference: the input itself. The mask, where read, keeps everything."""
    training = ctx.constant(2)
    if training is not None and training.any():
        raise ctx.error("training_mode is true; accepted: false (inference)", UnsupportedError)
    x = ctx.input()
    if len(ctx.outputs) < 2 or not ctx.is_read(ctx.outputs[1]):
        return x
    kept = ctx.scalar(1, DType.BOOL if ctx.opset >= 10 else x.dtype)
    return x, ctx.step("Expand", kept, shape=x.shape)


def if_(ctx: Context) -> tuple[Value, ...]:
    """A condition known when compiling: the chosen branch, in place."""
    condition = ctx.inputs[0]
    if condition is None or condition.data is None:
        way_out = "" if condition is None else ctx.way_out(condition)
        raise ctx.error(f"If is supported only with a condition that is known when compiling{way_out}", OperandError)
    if condition.data.size != 1:
        raise ctx.error(f"the condition is {condition.type}; expected one boolean")
    values = ctx.inline(ctx.attr("then_branch" if condition.data.item() else "else_branch"))
    if len(values) != len(ctx.outputs):
        raise ctx.error(f"the branch has {len(values)} outputs, the node {len(ctx.outputs)}")
    return values


CONVERTERS: dict[str, Converter] = {
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Dropout": dropout,
    "Identity": identity,
    "If": if_,
    "Range": range_,
    "Shape": shape,
    "Size": size,
}
