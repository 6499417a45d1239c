"""Lowering of selection and element type conversion; comparisons and connectives are `elementwise.binary`."""

from __future__ import annotations

from tinyinfer.graph import Node
from tinyinfer.types import DType
from tinyinfer.wasm_backend.lower import elementwise
from tinyinfer.wasm_backend.lowering import Lowering, Strided


def where(node: Node, to: Lowering) -> None:
    elementwise.broadcasting(node, to, f"x{node.output.dtype.size * 8}_where", "cab")


def cast(node: Node, to: Lowering) -> None:
    """No kernel where the bytes stay the same (a view), or where high bytes are dropped (a strided copy)."""
    (x,) = node.operands
    y = node.output
    shrink = x.dtype.size // y.dtype.size
    if x.dtype is y.dtype or (shrink == 1 and x.dtype.size == 1 and y.dtype is not DType.BOOL):
        to.view(y, to.input(x, to.layout(y)))
    elif x.dtype.is_float or y.dtype in (DType.FLOAT, DType.BOOL) or shrink == 0:
        prefix = "u8" if y.dtype is DType.BOOL and x.dtype.size == 1 else x.dtype.prefix
        suffix = "bool" if y.dtype is DType.BOOL else y.dtype.prefix
        elementwise.rowwise(node, to, f"{prefix}_cast_{suffix}")
    else:
        wide = to.strided(x)
        narrow = Strided(wide.pointer, y.dtype, wide.shape, tuple(s * shrink for s in wide.strides))
        to.copy(to.output_strided(y), narrow)
