"""Lowering of element-wise operators: any layout, broadcasting by strides."""

from __future__ import annotations

from tinyinfer.graph import Node, Value
from tinyinfer.types import Clamp
from tinyinfer.wasm_backend.lowering import LowerFunction, Lowering, Pointer
from tinyinfer.wasm_backend.strides import Layout, collapse, element_count, plain, split_outer, strides_of


def clip(node: Node, to: Lowering) -> None:
    (x,) = node.operands
    clamp: Clamp = node.attrs["clamp"]
    source = to.input(x, to.layout(node.output))
    y = to.output(node.output, inplace=x)
    to.step("f32_clip", y=y, x=source, lo=clamp.lo, hi=clamp.hi, **one_row(x.type.size))


def unary(suffix: str) -> LowerFunction:
    """Lowering to `<dtype>_<suffix>(y, x, n, ldy, ldx, m0, m1)`."""

    def lower(node: Node, to: Lowering) -> None:
        (x,) = node.operands
        source = to.input(x, to.layout(node.output))
        y = to.output(node.output, inplace=x)
        to.step(f"{x.dtype.prefix}_{suffix}", y=y, x=source, **one_row(x.type.size))

    return lower


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
    same_size = [v for v in node.operands if v.type.size == y.type.size and v.dtype.size == y.dtype.size]
    donor = next((v for v in same_size if not v.is_constant), None)
    target = to.output(y, inplace=donor)
    order = [y.shape[i] for i in layout]
    strides = (strides_of(y.shape, layout), *(s for _, s in sources))
    nest = collapse(order, *([s[i] for i in layout] for s in strides))
    for loops, offsets in split_outer(nest, 4):
        named: dict[str, Pointer | int] = {"y": target + offsets[0] * y.dtype.size}
        for i, (name, v) in enumerate(zip(names, node.operands, strict=True)):
            named[name] = sources[i][0] + offsets[i + 1] * v.dtype.size
            named |= {f"{name}{axis}": s * v.dtype.size for axis, s in enumerate(loops.strides[i + 1])}
        named |= {f"y{axis}": s * y.dtype.size for axis, s in enumerate(loops.strides[0][:3])}
        _, n1, n2, n3 = loops.shape
        to.step(kernel, **named, n1=n1, n2=n2, n3=n3, m0=0, m1=element_count(loops))


def broadcast(to: Lowering, value: Value, shape: tuple[int, ...], layout: Layout) -> tuple[Pointer, tuple[int, ...]]:
    """`value` stored in the order of `layout`, and its element strides along the axes of `shape` (0: repeated)."""
    missing = len(shape) - value.type.rank
    order = tuple(axis - missing for axis in layout if axis >= missing) if value.type.rank else plain(0)
    pointer = to.input(value, order)
    own = strides_of(value.shape, order)
    strides = tuple(0 if i < missing or value.shape[i - missing] == 1 else own[i - missing] for i in range(len(shape)))
    return pointer, strides
