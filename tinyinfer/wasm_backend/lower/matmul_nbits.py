"""Lowering of products with weights of few bits, which stay that small in the file and in memory."""

from __future__ import annotations

import math

import numpy as np

from tinyinfer.graph import Node
from tinyinfer.types import Array, Clamp
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lower.linear import panel_count, row
from tinyinfer.wasm_backend.lowering import Lowering, constant

NIBBLE = 16
"""As many values as four bits can tell apart."""


def matmul_nbits(node: Node, to: Lowering) -> None:
    """One call; four bits to a weight where the values in use span no more."""
    (a, b, scales, zeros), (bias, residual) = node.operands[:4], (*node.inputs, None, None)[4:6]
    values, points = constant(b), constant(zeros)
    k, n = b.shape
    start = row(to, bias, n, f"{node.name}.bias")
    added = 0 if residual is None else to.input(residual)
    inplace = residual if residual is not None and residual.type == node.output.type else None
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    least = values.min(initial=255)
    small = int(values.max(initial=0)) - int(least) < NIBBLE and int(points.min(initial=255)) >= int(least)
    if small:
        values, points = values - least, points - least
    to.step(
        "f32_gemm_x4" if small else "f32_gemm_x8",
        c=to.output(node.output, inplace), a=to.input(a), r=added, b=start, lo=clamp.lo, hi=clamp.hi,
        q=to.const(_packed(values, small), f"{node.name}.B"),
        s=to.const(pack.panels(constant(scales)), f"{node.name}.scales"),
        z=to.const(pack.panels(points), f"{node.name}.zero_points"),
        k=k, n=n, block=min(node.attrs["block_size"], k), rows=math.prod(a.shape[:-1]), lda=k * 4, ldc=n * 4,
        m0=0, m1=panel_count(n),
    )  # fmt: skip


def _packed(values: Array, small: bool) -> Array:
    """[K, N] as panels [⌈N/8⌉, K, 8] of bytes; of small values, every two rows in one, the first in the low half."""
    panels = pack.panels(values)
    return np.asarray(panels[:, 0::2] | panels[:, 1::2] << 4) if small else panels
