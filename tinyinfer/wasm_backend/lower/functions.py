"""Lowering of functions with attributes, and of Softmax."""

from __future__ import annotations

from tinyinfer.graph import Node
from tinyinfer.wasm_backend.lower import elementwise, reduction
from tinyinfer.wasm_backend.lowering import LowerFunction, Lowering


def scalars(suffix: str) -> LowerFunction:
    """Lowering to `f32_<suffix>(y, x, …, n, ldy, ldx, m0, m1)` with the attributes as scalars of the same names."""

    def lower(node: Node, to: Lowering) -> None:
        elementwise.rowwise(node, to, f"f32_{suffix}", **node.attrs)

    return lower


def gelu(node: Node, to: Lowering) -> None:
    """Each approximation is a kernel."""
    suffixes = {"none": "gelu", "tanh": "gelu_tanh"}
    elementwise.unary(suffixes[node.attrs["approximate"]])(node, to)


def softmax(suffix: str) -> LowerFunction:
    """Lowering to `f32_<suffix>(y, x, n, inner, m0, m1)`: one axis of any layout is [outer, n, inner]."""

    def lower(node: Node, to: Lowering) -> None:
        (x,) = node.operands
        layout, outer, n, inner = reduction.split(to, x, (node.attrs["axis"],))
        source = to.input(x, layout)
        y = to.output(node.output, inplace=x, layout=layout)
        to.step(f"f32_{suffix}", y=y, x=source, n=n, inner=inner, m0=0, m1=outer * inner)

    return lower
