"""Lowering of element-wise operators: any layout, broadcasting by strides."""

from __future__ import annotations

from collections.abc import Sequence

from tinyinfer.graph import Node, Value
from tinyinfer.types import Clamp
from tinyinfer.wasm_backend.lowering import LowerFunction, Lowering, Pointer, Strided
from tinyinfer.wasm_backend.strides import Layout, collapse, element_count, plain, same, split_outer, strides_of


def clip(node: Node, to: Lowering) -> None:
    clamp: Clamp = node.attrs["clamp"]
    rowwise(node, to, "f32_clip", lo=clamp.lo, hi=clamp.hi)


def unary(suffix: str) -> LowerFunction:
    """Lowering to `<dtype>_<suffix>(y, x, n, ldy, ldx, m0, m1)`."""

    def lower(node: Node, to: Lowering) -> None:
        rowwise(node, to, f"{node.operands[0].dtype.prefix}_{suffix}")

    return lower


def rowwise(node: Node, to: Lowering, kernel: str, **scalars: float) -> None:
    """One call of a kernel with one operand, over rows that are dense in it and in the output."""
    (x,), y = node.operands, node.output
    layout = to.layout(y)
    shape, size = [y.shape[axis] for axis in layout], y.type.size
    place, source = to.destination(y), to.strided(x)
    rows = _rows(shape, *([s.strides[axis] for axis in layout] for s in (place, source)))
    if rows is None or x.is_constant:
        dense = strides_of(y.shape, layout)
        source = Strided(to.input(x, layout), x.dtype, x.shape, dense)
        rows = _rows(shape, [place.strides[axis] for axis in layout], [dense[axis] for axis in layout])
    if rows is None:
        pointer, rows = to.output(y), (size, 0, 0)
    else:
        pointer = to.output_strided(y).pointer
        to.take_over(place, source)
    n, ldy, ldx = rows
    to.step(
        kernel,
        y=pointer, x=source.pointer, **scalars,
        n=n, ldy=ldy * y.dtype.size, ldx=ldx * x.dtype.size, m0=0, m1=size,
    )  # fmt: skip


def _rows(shape: Sequence[int], y: Sequence[int], x: Sequence[int]) -> tuple[int, int, int] | None:
    """Length and element distances of the rows that two sets of strides walk through alike, if they do."""
    loops = collapse(shape, y, x)
    (to, of), extents = loops.strides, loops.shape
    if not extents:
        return 1, 0, 0
    if to[-1] != 1 or of[-1] != 1 or len(extents) > 2:
        return None
    return (extents[-1], to[0], of[0]) if len(extents) == 2 else (extents[0], 0, 0)


def binary(suffix: str) -> LowerFunction:
    """Lowering to `<dtype of A>_<suffix>(y, a, b, n1…n3, y0…y2, a0…a3, b0…b3, m0, m1)`."""

    def lower(node: Node, to: Lowering) -> None:
        broadcasting(node, to, f"{node.operands[0].dtype.prefix}_{suffix}", "ab")

    return lower


def one_row(size: int) -> dict[str, int]:
    """Arguments of a kernel over rows for `size` elements that are dense in both operands."""
    return {"n": size, "ldy": 0, "ldx": 0, "m0": 0, "m1": size}


def one_loop(size: int, *scalars: str) -> dict[str, int]:
    """Arguments of a kernel over nests for `size` elements, dense in y, a and b but for the repeated `scalars`."""
    zeros = {f"{name}{axis}": 0 for name in "yab" for axis in range(3)}
    inner = {f"{name}3": 0 if name in scalars else 4 for name in "ab"}
    return {"n1": 1, "n2": 1, "n3": size, **zeros, **inner, "m0": 0, "m1": size}


def broadcasting(node: Node, to: Lowering, kernel: str, names: str) -> None:
    """One call of `kernel` (more for more than four loops) over the operands, which are its pointers `names`."""
    y, layout = node.output, to.layout(node.output)
    sources = [broadcast(to, v, y.shape, layout) for v in node.operands]
    wide = [axis for axis in layout if y.shape[axis] != 1]
    place = to.destination(y)
    if wide and place.strides[wide[-1]] != 1:
        to.output(y)
    else:
        to.output_strided(y)
    place = to.strided(y)
    donor = _donor(place, sources)
    if donor is not None:
        to.take_over(place, donor)
    order = [y.shape[i] for i in layout]
    nest = collapse(order, *([s.strides[i] for i in layout] for s in (place, *sources)))
    for loops, offsets in split_outer(nest, 4):
        named: dict[str, Pointer | int] = {"y": place.pointer + offsets[0] * y.dtype.size}
        named |= {f"y{axis}": s * y.dtype.size for axis, s in enumerate(loops.strides[0][:3])}
        for i, (name, source) in enumerate(zip(names, sources, strict=True)):
            named[name] = source.pointer + offsets[i + 1] * source.dtype.size
            named |= {f"{name}{axis}": s * source.dtype.size for axis, s in enumerate(loops.strides[i + 1])}
        _, n1, n2, n3 = loops.shape
        to.step(kernel, **named, n1=n1, n2=n2, n3=n3, m0=0, m1=element_count(loops))


def _donor(place: Strided, sources: Sequence[Strided]) -> Strided | None:
    """The first operand whose bytes the output may replace one by one, while it is being computed."""
    for source in sources:
        near = [s for s in sources if s.pointer.home is source.pointer.home]
        if source.dtype.size == place.dtype.size and all(
            s.pointer == source.pointer and s.dtype is source.dtype and same(place.shape, s.strides, place.strides)
            for s in near
        ):
            return source
    return None


def broadcast(to: Lowering, value: Value, shape: tuple[int, ...], layout: Layout) -> Strided:
    """`value` under `shape`, repeated along axes with stride 0; where it is, if dense along the innermost axis."""
    missing = len(shape) - value.type.rank
    inner = next((axis for axis in reversed(layout) if shape[axis] != 1), -1)
    if not value.is_constant:
        stored = to.strided(value)
        strides = _repeated(value.shape, stored.strides, missing)
        if inner < 0 or strides[inner] in (0, 1):
            return Strided(stored.pointer, value.dtype, shape, strides)
    order = tuple(axis - missing for axis in layout if axis >= missing) if value.type.rank else plain(0)
    dense = strides_of(value.shape, order)
    return Strided(to.input(value, order), value.dtype, shape, _repeated(value.shape, dense, missing))


def _repeated(shape: tuple[int, ...], strides: tuple[int, ...], missing: int) -> tuple[int, ...]:
    return (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))
