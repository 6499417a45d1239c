"""Lowering of element-wise operators: any layout, broadcasting by strides."""

from __future__ import annotations

from tinyinfer.graph import Node, Value
from tinyinfer.types import Clamp
from tinyinfer.wasm_backend.lowering import LowerFunction, Lowering, Pointer
from tinyinfer.wasm_backend.strides import Layout, collapse, plain, split_outer, strides_of


def clip(node: Node, to: Lowering) -> None:
    (x,) = node.operands
    clamp: Clamp = node.attrs["clamp"]
    source = to.input(x, to.layout(node.output))
    y = to.output(node.output, inplace=x)
    to.step("f32_clip", y=y, x=source, lo=clamp.lo, hi=clamp.hi, m0=0, m1=x.type.size)


def unary(suffix: str) -> LowerFunction:
    """Lowering to `<dtype>_<suffix>(y, x, m0, m1)`."""

    def lower(node: Node, to: Lowering) -> None:
        (x,) = node.operands
        source = to.input(x, to.layout(node.output))
        y = to.output(node.output, inplace=x)
        to.step(f"{x.dtype.prefix}_{suffix}", y=y, x=source, m0=0, m1=x.type.size)

    return lower


def binary(suffix: str) -> LowerFunction:
    """Lowering to `<dtype of A>_<suffix>(y, a, b, n1…n3, a0…a3, b0…b3, m0, m1)`."""

    def lower(node: Node, to: Lowering) -> None:
        a, b = node.operands
        y, layout = node.output, to.layout(node.output)
        pa, sa = broadcast(to, a, y.shape, layout)
        pb, sb = broadcast(to, b, y.shape, layout)
        dense = strides_of(y.shape, layout)
        same_size = [v for v in (a, b) if v.type.size == y.type.size and v.dtype.size == y.dtype.size]
        donor = next((v for v in same_size if not v.is_constant), None)
        target = to.output(y, inplace=donor)
        order = [y.shape[i] for i in layout]
        nest = collapse(order, *([s[i] for i in layout] for s in (dense, sa, sb)))
        for loops, (oy, oa, ob) in split_outer(nest, 4):
            _, ta, tb = loops.strides
            to.step(
                f"{a.dtype.prefix}_{suffix}",
                y=target + oy * y.dtype.size, a=pa + oa * a.dtype.size, b=pb + ob * b.dtype.size,
                n1=loops.shape[1], n2=loops.shape[2], n3=loops.shape[3],
                **{f"a{i}": s * a.dtype.size for i, s in enumerate(ta)},
                **{f"b{i}": s * b.dtype.size for i, s in enumerate(tb)},
                m0=0, m1=loops.shape[0] * loops.shape[1] * loops.shape[2] * loops.shape[3],
            )  # fmt: skip

    return lower


def broadcast(to: Lowering, value: Value, shape: tuple[int, ...], layout: Layout) -> tuple[Pointer, tuple[int, ...]]:
    """`value` stored in the order of `layout`, and its element strides along the axes of `shape` (0: repeated)."""
    missing = len(shape) - value.type.rank
    order = tuple(axis - missing for axis in layout if axis >= missing) if value.type.rank else plain(0)
    pointer = to.input(value, order)
    own = strides_of(value.shape, order)
    strides = tuple(
        0 if i < missing or value.shape[i - missing] == 1 else own[i - missing] for i in range(len(shape))
    )
    return pointer, strides
