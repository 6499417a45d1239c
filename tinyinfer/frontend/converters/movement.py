"""Operators that move elements."""

from __future__ import annotations

from collections.abc import Sequence

from tinyinfer.errors import ShapeError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value


def transpose(ctx: Context) -> Value:
    """Without perm the axes are reversed."""
    x = ctx.input()
    given = ctx.attr("perm")
    perm = tuple(reversed(range(x.type.rank))) if given is None else given
    return x if perm == tuple(range(x.type.rank)) else ctx.result("Transpose", x, perm=perm)


def concat(ctx: Context) -> Value:
    first = ctx.input()
    axis = ctx.axis(ctx.attr("axis"), first.type.rank)
    return first if len(ctx.inputs) == 1 else ctx.result("Concat", *ctx.inputs, axis=axis)


def expand(ctx: Context) -> Value:
    """The shape input broadcasts with X's shape in both directions."""
    x, wanted = ctx.input(), ctx.ints(1) or ()
    rank = max(x.type.rank, len(wanted))
    ours, theirs = ((1,) * (rank - len(s)) + tuple(s) for s in (x.shape, wanted))
    if any((a != b and 1 not in (a, b)) or b < 0 for a, b in zip(ours, theirs)):
        raise ctx.error(f"X is {x.type}; it does not broadcast with shape {list(wanted)}", ShapeError)
    shape = tuple(b if a == 1 else a for a, b in zip(ours, theirs))
    return x if shape == x.shape else ctx.result("Expand", x, shape=shape)


def tile(ctx: Context) -> Value:
    x, repeats = ctx.input(), ctx.ints(1) or ()
    if len(repeats) != x.type.rank or any(r < 0 for r in repeats):
        raise ctx.error(f"X is {x.type}, repeats {list(repeats)}; expected {x.type.rank} values ≥ 0", ShapeError)
    return x if set(repeats) <= {1} else ctx.result("Tile", x, repeats=repeats)


def split(ctx: Context) -> tuple[Value, ...]:
    """Lengths are an attribute before opset 13, then an input; absent, parts are equal, the last one shorter."""
    x, count = ctx.input(), len(ctx.outputs)
    axis = ctx.axis(ctx.attr("axis"), x.type.rank)
    length = x.shape[axis]
    given = ctx.attr("split") if ctx.opset < 13 else ctx.ints(1)
    if given is None:
        if ctx.attr("num_outputs") not in (None, count):
            raise ctx.error(f"num_outputs is {ctx.attr('num_outputs')}, but the node has {count} outputs")
        if ctx.opset < 18 and length % count:
            raise ctx.error(f"X is {x.type}: {count} equal parts do not divide axis {axis}", ShapeError)
        part = -(-length // count)
        given = tuple(max(min(part, length - i * part), 0) for i in range(count))
    if len(given) != count or sum(given) != length or any(n < 0 for n in given):
        expected = f"expected {count} lengths ≥ 0 that make up axis {axis}"
        raise ctx.error(f"X is {x.type}, split {list(given)}; {expected}", ShapeError)
    return (x,) if count == 1 else ctx.results("Split", x, axis=axis, split=tuple(given))


def slice_(ctx: Context) -> Value:
    """starts, ends, axes are attributes before opset 10, then inputs, with steps."""
    x = ctx.input()
    if ctx.opset < 10:
        starts, ends, given, steps = ctx.attr("starts"), ctx.attr("ends"), ctx.attr("axes"), None
    else:
        starts, ends, given, steps = (ctx.ints(i) for i in range(1, 5))
        starts, ends = starts or (), ends or ()
    axes = ctx.axes(range(len(starts)) if given is None else given, x.type.rank)
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ctx.error(
            f"starts {list(starts)}, ends {list(ends)}, axes {list(axes)}, steps {list(steps)}: "
            "expected one value each per axis, steps not 0",
            ShapeError,
        )
    ranges = [range(d) for d in x.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps):
        ranges[axis] = _window(x.shape[axis], start, end, step)
    return sliced(ctx, x, ranges, last=True)


def _window(extent: int, start: int, end: int, step: int) -> range:
    """The indices that Slice takes of an axis. A backward start before the axis is its first element, not none at all,
    which is Python's rule."""
    first, last = (n + extent if n < 0 else n for n in (start, end))
    if step > 0:
        return range(min(max(first, 0), extent), min(max(last, 0), extent), step)
    return range(min(max(first, 0), extent - 1), min(max(last, -1), extent - 1), step)


def sliced(ctx: Context, x: Value, ranges: Sequence[range], *, last: bool) -> Value:
    """The elements of `x` at `ranges`, one for each axis; as the output when `last`."""
    if all(r == range(d) for r, d in zip(ranges, x.shape)):
        return x
    add = ctx.result if last else ctx.step
    return add(
        "Slice",
        x,
        starts=tuple(r.start if r else 0 for r in ranges),
        sizes=tuple(len(r) for r in ranges),
        steps=tuple(r.step if len(r) > 1 else 1 for r in ranges),
    )


def pad(ctx: Context) -> Value:
    """pads and value are attributes before opset 11, then inputs; negative pads cut before the others extend.

    Where they cut more than the axis holds, all that the other side is extended by is outside of X.
    """
    x = ctx.input()
    rank = x.type.rank
    given = ctx.attr("pads") if ctx.opset < 11 else ctx.ints(1) or ()
    axes = ctx.axes(range(rank) if (listed := ctx.ints(3)) is None else listed, rank)
    if len(given) != 2 * len(axes):
        raise ctx.error(f"X is {x.type}: {len(given)} pads for {len(axes)} axes; expected {2 * len(axes)}", ShapeError)
    begins, ends = [0] * rank, [0] * rank
    for axis, begin, end in zip(axes, given, given[len(axes) :]):
        begins[axis], ends[axis] = begin, end
    mode = ctx.choice("mode", "constant", "reflect", "edge", "wrap")
    sizes = [d + begin + end for d, begin, end in zip(x.shape, begins, ends)]
    if min(sizes, default=0) < 0:
        raise ctx.error(f"X is {x.type}, pads {list(given)}: the result would have the shape {sizes}", ShapeError)
    kept = [range(max(-b, 0), d + min(e, 0)) for d, b, e in zip(x.shape, begins, ends)]
    before = [max(b, 0) if k else size for k, b, size in zip(kept, begins, sizes)]
    pads = (*before, *(size - b - len(k) for k, b, size in zip(kept, before, sizes)))
    x = sliced(ctx, x, kept, last=not any(pads))
    return ctx.result("Pad", x, pads=pads, mode=mode, value=_pad_value(ctx)) if any(pads) else x


def _pad_value(ctx: Context) -> float | int:
    """An element of X's type: integers do not pass through a float, which holds no more than 53 bits."""
    if ctx.opset < 11:
        return float(ctx.attr("value"))
    data = ctx.constant(2)
    if data is None or data.size == 0:
        return 0
    if data.size != 1:
        raise ctx.error(f"constant_value has shape {list(data.shape)}; expected one value", ShapeError)
    return data.item()  # type: ignore[no-any-return]


def gather(ctx: Context) -> Value:
    x = ctx.input()
    return ctx.result("Gather", x, ctx.input(1), axis=ctx.axis(ctx.attr("axis"), x.type.rank))


def depth_to_space(ctx: Context) -> Value:
    """Before opset 11 there is no mode: DCR."""
    mode = ctx.choice("mode", "DCR", "CRD") if ctx.opset >= 11 else "DCR"
    return ctx.result("DepthToSpace", ctx.input(), blocksize=ctx.attr("blocksize"), mode=mode)


def space_to_depth(ctx: Context) -> Value:
    """Opset 28 added mode; CRD keeps the channel outermost, which is a transposition of blocks."""
    x, block = ctx.input(), ctx.attr("blocksize")
    if ctx.opset < 28 or ctx.choice("mode", "DCR", "CRD") == "DCR":
        return ctx.result("SpaceToDepth", x, blocksize=block)
    if x.type.rank != 4 or block < 1 or x.shape[2] % block or x.shape[3] % block:
        raise ctx.error(f"X is {x.type}; expected [N, C, H, W] with H and W divisible by {block}", ShapeError)
    n, c, h, w = x.shape[0], x.shape[1], x.shape[2] // block, x.shape[3] // block
    blocks = ctx.step("Reshape", x, shape=(n, c, h, block, w, block))
    blocks = ctx.step("Transpose", blocks, perm=(0, 1, 3, 5, 2, 4))
    return ctx.result("Reshape", blocks, shape=(n, c * block * block, h, w))


CONVERTERS: dict[str, Converter] = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Gather": gather,
    "Pad": pad,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Tile": tile,
    "Transpose": transpose,
}
