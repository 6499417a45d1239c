"""Lowering of operators that move elements: views where the bytes can stay, strided copies elsewhere."""

from __future__ import annotations

from tinyinfer.graph import Node
from tinyinfer.wasm_backend.lowering import Lowering, Strided
from tinyinfer.wasm_backend.strides import plain


def reshape(node: Node, to: Lowering) -> None:
    """Row-major bytes are the same under every shape."""
    (x,) = node.operands
    to.view(node.output, to.input(x), plain(node.output.type.rank))


def transpose(node: Node, to: Lowering) -> None:
    """The bytes stay; the output's layout says where its axes are."""
    (x,) = node.operands
    to.view(node.output, to.strided(x).pointer)


def concat(node: Node, to: Lowering) -> None:
    """Each input is copied to its place along the axis."""
    axis: int = node.attrs["axis"]
    y = to.output_strided(node.output)
    start = 0
    for x in node.operands:
        place = y.pointer + start * y.strides[axis] * y.dtype.size
        to.copy(Strided(place, y.dtype, x.shape, y.strides), to.strided(x))
        start += x.shape[axis]
