"""Operators that only change the shape."""

from __future__ import annotations

import math

from tinyinfer.errors import ShapeError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value


def reshape(ctx: Context) -> Value:
    """0 keeps the input's dimension (unless allowzero), one -1 is whatever is left."""
    x = ctx.input()
    wanted = ctx.ints(1) or ()
    where = f"X is {x.type}, shape {list(wanted)}"
    dims = []
    for i, d in enumerate(wanted):
        if d == 0 and not ctx.flag("allowzero"):
            if i >= x.type.rank:
                raise ctx.error(f"{where}: 0 at position {i} keeps a dimension that X does not have", ShapeError)
            d = x.shape[i]
        dims.append(d)
    if any(d < -1 for d in dims) or dims.count(-1) > 1:
        raise ctx.error(f"{where}; expected non-negative dimensions and at most one -1", ShapeError)
    if -1 in dims:
        rest = math.prod(d for d in dims if d != -1)
        if rest == 0 or x.type.size % rest:
            raise ctx.error(f"{where}: {x.type.size} elements do not divide by {rest} for the -1", ShapeError)
        dims[dims.index(-1)] = x.type.size // rest
    return ctx.reshaped(x, tuple(dims))


def flatten(ctx: Context) -> Value:
    """A matrix: the axes before `axis`, and those from it on. `axis` may be the rank."""
    x = ctx.input()
    given, rank = ctx.attr("axis"), x.type.rank
    axis = rank if given == rank else ctx.axis(given, rank)
    return ctx.reshaped(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def squeeze(ctx: Context) -> Value:
    """`axes` is an attribute before opset 13, then an input; absent, every dimension of 1 goes."""
    x = ctx.input()
    given = ctx.attr("axes") if ctx.opset < 13 else ctx.ints(1)
    if given is None:
        return ctx.reshaped(x, tuple(d for d in x.shape if d != 1))
    axes = ctx.axes(given, x.type.rank)
    if any(x.shape[a] != 1 for a in axes):
        raise ctx.error(f"axes {given} of X {x.type} are not all of length 1", ShapeError)
    return ctx.reshaped(x, tuple(d for i, d in enumerate(x.shape) if i not in axes))


def unsqueeze(ctx: Context) -> Value:
    """`axes` are axes of the result; an attribute before opset 13, then an input."""
    x = ctx.input()
    given = (ctx.attr("axes") if ctx.opset < 13 else ctx.ints(1)) or ()
    axes = ctx.axes(given, x.type.rank + len(given))
    dims = iter(x.shape)
    return ctx.reshaped(x, tuple(1 if i in axes else next(dims) for i in range(x.type.rank + len(axes))))


CONVERTERS: dict[str, Converter] = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
}
