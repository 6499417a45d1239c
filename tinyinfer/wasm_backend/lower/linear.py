"""Lowering of matrix products."""

from __future__ import annotations

from tinyinfer.errors import UnsupportedError
from tinyinfer.graph import Node
from tinyinfer.types import Clamp
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lowering import Lowering


def matmul(node: Node, to: Lowering) -> None:
    """A constant right operand of rank 2 is packed when compiling: one call for all rows of A."""
    a, b, bias, residual = (*node.inputs, None, None)[:4]
    assert a is not None
    assert b is not None
    if b.data is None or b.type.rank != 2:
        raise UnsupportedError(f"node {node.name} (MatMul): B must be a constant matrix, {b.name} is {b.type}")
    k, n = b.shape
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    source = to.input(a)
    added = to.input(residual) if residual is not None else 0
    to.step(
        "f32_gemm",
        c=to.output(node.output, inplace=residual), a=source, r=added, lo=clamp.lo, hi=clamp.hi,
        k=k, n=n, lda=k * 4, ldc=n * 4,
        w=to.const(pack.panels(b.data), f"{node.name}.B"),
        b=to.const(pack.bias(None if bias is None else bias.data, n, pack.PANEL), f"{node.name}.bias"),
        m0=0, m1=a.type.size // k,
    )  # fmt: skip
