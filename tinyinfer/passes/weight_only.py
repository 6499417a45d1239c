"""Products whose weights alone are quantised keep them as bytes: no float copy of them is stored or read."""

from __future__ import annotations

import numpy as np

from tinyinfer.graph import Graph, GraphBuilder, Node, Value
from tinyinfer.passes.examples import given
from tinyinfer.rewrite import Match, P, Rule, Target, rule
from tinyinfer.types import Array, DType


def of_products(graph: Graph) -> set[Value]:
    """The dequantised constants that nothing but `product_of_bytes` reads."""
    kept = {node.output for node in graph.nodes if node.op == "DequantizeLinear" and _blocks(node) is not None}
    kept.difference_update(graph.outputs.values())
    for node in graph.nodes:
        kept.difference_update(v for i, v in enumerate(node.inputs) if node.op != "MatMul" or i != 1)
    return kept


def _blocks(node: Node) -> tuple[int, Array, Array] | None:
    """What a column of a constant matrix of bytes is scaled by, and how many rows each scale is for."""
    x, scale, zero = (v.data for v in node.operands)
    if x is None or scale is None or zero is None or x.dtype == np.int32 or x.ndim != 2 or x.size == 0:
        return None
    (k, n), axis, block = x.shape, node.attrs["axis"] % 2, node.attrs.get("block_size", 0)
    whole = not block and (scale.size == 1 or axis == 1)
    if k % 2 or not (whole or (block and axis == 0 and (block % 2 == 0 or block >= k))):
        return None
    if block and block < k:
        return block, scale, zero
    return k, np.broadcast_to(scale.reshape(1, -1), (1, n)), np.broadcast_to(zero.reshape(1, -1), (1, n))


def _blocked(b: GraphBuilder) -> Value:
    rng = np.random.default_rng(6)
    w, scale, zero = rng.integers(0, 16, (40, 7)), rng.uniform(0.01, 0.02, (3, 7)), rng.integers(0, 16, (3, 7))
    operands = (w.astype(np.uint8), scale.astype(np.float32), zero.astype(np.uint8))
    weights = b.add1("DequantizeLinear", *(b.constant(a) for a in operands), axis=0, block_size=16)
    return b.add1("MatMul", given(b, 4, 40), weights)


@rule(
    "MatMul(x, Dequantize(constant)) → MatMulNBits(x, constant)",
    P("MatMul", ("x", P("DequantizeLinear", ("w!", "scale!", "zero!"), "w_dq", shared=True)), "inner"),
    _blocked,
)
def product_of_bytes(m: Match, to: Target) -> Value | None:
    """Exact: a kernel dequantises a weight when it multiplies by it. int8 becomes uint8 with another zero point."""
    node, found = m.node("inner"), _blocks(m.node("w_dq"))
    if found is None:
        return None
    x, _, bias, residual = (*node.inputs, None, None)[:4]
    block, scale, zero = found
    weights = [
        to.constant(_unsigned(m["w"].data), m["w"].name),
        to.constant(np.ascontiguousarray(scale), m["scale"].name),
        to.constant(_unsigned(zero), m["zero"].name),
    ]
    return to.add("MatMulNBits", x, *weights, bias, residual, like=node, **node.attrs, block_size=block)


def _unsigned(x: Array | None) -> Array:
    assert x is not None
    return np.ascontiguousarray(x) if x.dtype == np.uint8 else (x.astype(np.int16) + 128).astype(DType.UINT8.numpy)


RULES: list[Rule] = [product_of_bytes]
