"""Lowering of matrix products: right operands are packed into panels, when compiling or, if variable, when running.

A variable matrix that only one row meets, as in a decoder's cache, is read where it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, Clamp
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lowering import Lowering, Pointer, Strided, constant
from tinyinfer.wasm_backend.strides import Loops, collapse, plain, split_outer, strides_of


def matmul(node: Node, to: Lowering) -> None:
    """One call for all rows, of however many batch entries, that meet the same matrix of B; one for a batch of such."""
    (a, b), (bias, residual) = node.operands[:2], (*node.inputs, None, None)[2:4]
    y, k, n = node.output, a.shape[-1], b.shape[-1]
    left, start = rows_of(to, a), row(to, bias, n, f"{node.name}.bias")
    added = None if residual is None else to.input(residual)
    matrices = _readable_by_one_row(to, node, left)
    if matrices is not None:
        w, of_w = matrices.pointer, matrices.strides[:-2]
    else:
        w, size = panels_of(to, b, f"{node.name}.B")
        of_w = tuple(s * size for s in strides_of(b.shape[:-2], plain(b.type.rank - 2)))
    target = _target(to, y, residual)
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    for loops, (at_c, at_a, at_w, at_r) in split_outer(_entries_and_rows(node, target, left, of_w), 2):
        (entries, rows), ((bc, ldc), (ba, lda), (bw, _), (br, _)) = loops.shape, loops.strides
        product = {
            "c": target.pointer + at_c * 4, "a": left.pointer + at_a * 4, "w": w + at_w * 4, "b": start,
            "r": added + at_r * 4 if added else 0, "lo": clamp.lo, "hi": clamp.hi, "k": k, "n": n,
            "m0": 0, "m1": entries * rows,
        }  # fmt: skip
        batch = {"bc": bc * 4, "ba": ba * 4, "bw": bw * 4, "br": br * 4}
        if matrices is not None:
            assert rows == 1
            ks, ns = matrices.strides[-2:]
            to.step("f32_batched_gemv", **product, **batch, ks=ks * 4, ns=4 if n == 1 else ns * 4)
        elif entries > 1:
            to.step("f32_batched_gemm", **product, **batch, rows=rows, lda=lda * 4, ldc=ldc * 4)
        else:
            to.step("f32_gemm", **product, lda=lda * 4, ldc=ldc * 4)


def _target(to: Lowering, y: Value, residual: Value | None) -> Strided:
    """Where Y is written: in the place of the residual, or anywhere if rows are dense."""
    if residual is None and (y.shape[-1] == 1 or to.destination(y).strides[-1] == 1):
        return to.output_strided(y)
    inplace = residual if residual is not None and residual.type == y.type else None
    return Strided(to.output(y, inplace), y.dtype, y.shape, strides_of(y.shape, to.layout(y)))


def _readable_by_one_row(to: Lowering, node: Node, left: Strided) -> Strided | None:
    """B where it is, if it is variable, dense along an axis, and only one row meets each of its matrices."""
    b = node.operands[1]
    if b.is_constant or b.shape[-2] == 0:
        return None
    stored = to.strided(b, _has_columns_forwards)
    y = Strided(left.pointer, node.output.dtype, node.output.shape, _row_major(node.output))
    one_row = _entries_and_rows(node, y, left, stored.strides[:-2]).shape[-1] == 1
    return stored if one_row and 1 in (*stored.strides[-2:], b.shape[-1]) else None


def _entries_and_rows(node: Node, target: Strided, left: Strided, of_w: Sequence[int]) -> Loops:
    """The loops over the rows of Y with the strides of C, A, W and R; `of_w` are those along the leading axes of B.

    The last loop is one that f32_gemm can do, with one W and R stepping as C; maybe a loop of a single row.
    """
    b, residual = node.operands[1], (*node.inputs, None, None)[3]
    rank, place = len(target.shape), target.strides[:-1]
    loops = collapse(
        target.shape[:-1],
        place,
        _repeated(left.strides, left.shape, rank),
        _repeated((*of_w, 0, 0), b.shape, rank),
        place if residual is None else _repeated(_row_major(residual), residual.shape, rank),
    )
    if loops.shape and loops.strides[2][-1] == 0 and loops.strides[3][-1] == loops.strides[0][-1]:
        return loops
    return Loops((*loops.shape, 1), tuple((*s, 0) for s in loops.strides))


def _repeated(strides: Sequence[int], shape: Sequence[int], rank: int) -> tuple[int, ...]:
    """An operand's strides along all but the last axis of a result of `rank`: 0 where it is repeated."""
    return (0,) * (rank - len(shape)) + tuple(0 if n == 1 else s for n, s in zip(shape[:-1], strides))


def rows_of(to: Lowering, value: Value) -> Strided:
    """`value` where it is if its rows are dense, wherever they lie; else a row-major copy."""
    return to.strided(value, lambda stored: stored.strides[-1] == 1 or value.shape[-1] == 1)


def _has_columns_forwards(matrices: Strided) -> bool:
    return matrices.strides[-1] > 0 or matrices.shape[-1] == 1


def _row_major(value: Value) -> tuple[int, ...]:
    return strides_of(value.shape, plain(value.type.rank))


def row(to: Lowering, bias: Value | None, n: int, name: str) -> Pointer:
    """What the accumulators start with: `bias` or zeros, readable up to a whole panel."""
    if bias is not None and bias.data is None:
        return to.input(bias)
    return to.const(pack.bias(None if bias is None else bias.data, n, pack.PANEL), name)


def panels_of(to: Lowering, b: Value, label: str) -> tuple[Pointer, int]:
    """The matrices of `b` as panels, one after the other, and how many elements each of them takes."""
    k, n = b.shape[-2:]
    size = panel_count(n) * k * pack.PANEL
    if k == 0:
        return to.zeros(0), 0
    if b.data is not None:
        return constant_panels(to, b, label), size
    target = to.scratch(math.prod(b.shape[:-2]) * size * 4, f"{label}.panels")
    pack_rows(to, to.strided(b, _has_columns_forwards), target)
    return target, size


def _matrices(b: Array) -> Array:
    return np.stack([pack.panels(matrix) for matrix in b.reshape(-1, *b.shape[-2:])])


def constant_panels(to: Lowering, b: Value, label: str) -> Pointer:
    """The matrices [..., K, N] of the constant `b` as panels; K is not 0."""
    return to.packed(constant(b), _matrices, label)


def pack_rows(to: Lowering, matrices: Strided, target: Pointer) -> None:
    """Pack matrices [..., K, N], their columns forwards, into panels at `target`, one matrix after the other."""
    *batch, k, n = matrices.shape
    *along, ks, ns = matrices.strides
    size = panel_count(n) * k * pack.PANEL
    packed = strides_of(batch, plain(len(batch)))
    for nest, (of_w, of_b) in split_outer(collapse(batch, [s * size for s in packed], along), 1):
        (entries,), (_, (bs,)) = nest.shape, nest.strides
        to.step(
            "f32_pack",
            w=target + of_w * 4, b=matrices.pointer + of_b * 4, k=k, n=n, ks=ks * 4, ns=4 if n == 1 else ns * 4,
            bs=bs * 4, m0=0, m1=entries * panel_count(n),
        )  # fmt: skip


def panel_count(n: int) -> int:
    """Panels that hold n columns."""
    return -(-n // pack.PANEL)
