"""Lowering of matrix products: right operands are packed into panels, when compiling or, if variable, when running."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinyinfer.graph import Node, Value
from tinyinfer.types import Clamp
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lowering import Lowering, Pointer, Strided
from tinyinfer.wasm_backend.strides import strides_of

Run = tuple[int, int, int, int]
"""Rows multiplied by one matrix B: index of B, first element of A, first element of Y, number of rows."""


def matmul(node: Node, to: Lowering) -> None:
    """One call for each run of rows that meet the same matrix of B."""
    a, b, bias, residual = (*node.inputs, None, None)[:4]
    assert a is not None
    assert b is not None
    y = node.output
    (m, k), n = a.shape[-2:], b.shape[-1]
    left = rows_of(to, a)
    start = row(to, bias, n, f"{node.name}.bias")
    added = to.input(residual) if residual is not None else None
    panels = _Panels(to, b, node.name)
    target = to.output(y, inplace=residual)
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    for index, first, place, count in _runs(left, b, y.shape, m):
        to.step(
            "f32_gemm",
            c=target + place * 4, a=left.pointer + first * 4, r=added + place * 4 if added else 0,
            w=panels.pointer(index), b=start, lo=clamp.lo, hi=clamp.hi,
            k=k, n=n, lda=left.strides[-2] * 4, ldc=n * 4, m0=0, m1=count,
        )  # fmt: skip


def rows_of(to: Lowering, value: Value) -> Strided:
    """`value` where it is if its rows are dense, wherever they lie; else a row-major copy."""
    stored = to.strided(value)
    if stored.strides[-1] == 1 or value.shape[-1] == 1:
        return stored
    dense = strides_of(value.shape, tuple(range(value.type.rank)))
    return Strided(to.input(value), value.dtype, value.shape, dense)


def row(to: Lowering, bias: Value | None, n: int, name: str) -> Pointer:
    """What the accumulators start with: `bias` or zeros, readable up to a whole panel."""
    if bias is not None and bias.data is None:
        return to.input(bias)
    return to.const(pack.bias(None if bias is None else bias.data, n, pack.PANEL), name)


def pack_rows(to: Lowering, matrix: Strided, target: Pointer) -> None:
    """Pack a matrix [K, N] with any strides into panels at `target`; where columns are dense, panels are transposes."""
    (k, n), (ks, ns) = matrix.shape, matrix.strides
    if ks != 1 or ns == 1:
        to.step("f32_pack", w=target, b=matrix.pointer, k=k, n=n, ks=ks * 4, ns=ns * 4, m0=0, m1=panel_count(n))
        return
    full, size = n // pack.PANEL, k * pack.PANEL
    for first, panels, columns in ((0, full, pack.PANEL), (full, 1, n % pack.PANEL)):
        if panels * columns:
            to.step(
                "x32_transpose",
                y=target + first * size * 4, x=matrix.pointer + first * pack.PANEL * ns * 4, rows=columns, cols=k,
                by=size * 4, ldy=pack.PANEL * 4, bx=pack.PANEL * ns * 4, ldx=ns * 4, m0=0, m1=panels * k,
            )  # fmt: skip


def panel_count(n: int) -> int:
    """Panels that hold n columns."""
    return -(-n // pack.PANEL)


class _Panels:
    """The matrices of B as panels. A variable one is packed when it is asked for, into the place of the one before."""

    def __init__(self, to: Lowering, b: Value, label: str) -> None:
        self._to = to
        k, n = b.shape[-2:]
        self._nbytes = panel_count(n) * k * pack.PANEL * 4
        self._source = None if b.data is not None else to.strided(b)
        self._packed = -1
        if k == 0:
            self._home = to.zeros(0)
        elif b.data is not None:
            matrices = b.data.reshape(-1, k, n)
            self._home = to.const(np.stack([pack.panels(matrix) for matrix in matrices]), f"{label}.B")
        else:
            self._home = to.scratch(self._nbytes, f"{label}.panels")

    def pointer(self, index: int) -> Pointer:
        """Address of the panels of matrix `index`, counted row-major over the leading axes of B."""
        if self._source is None or self._nbytes == 0:
            return self._home + index * self._nbytes
        if index != self._packed:
            source = self._source
            batch = np.unravel_index(index, source.shape[:-2]) if source.shape[:-2] else ()
            offset = sum(int(i) * s for i, s in zip(batch, source.strides))
            matrix = Strided(source.pointer + offset * 4, source.dtype, source.shape[-2:], source.strides[-2:])
            pack_rows(self._to, matrix, self._home)
            self._packed = index
        return self._home


def _runs(a: Strided, b: Value, shape: tuple[int, ...], m: int) -> Iterator[Run]:
    """The batch entries of Y [shape], those of one matrix B together, and merged where rows of A follow on."""
    batch, n = shape[:-2], shape[-1]
    of_a = np.broadcast_to(_offsets(a.shape[:-2], a.strides), batch).reshape(-1)
    of_b = np.broadcast_to(np.arange(math.prod(b.shape[:-2])).reshape(b.shape[:-2]), batch).reshape(-1)
    run: Run | None = None
    for entry in np.argsort(of_b, kind="stable"):
        index, first, place = int(of_b[entry]), int(of_a[entry]), int(entry) * m * n
        if run is not None:
            same, start, target, count = run
            if (same, start + count * a.strides[-2], target + count * n) == (index, first, place):
                run = (same, start, target, count + m)
                continue
            yield run
        run = (index, first, place, m)
    if run is not None:
        yield run


def _offsets(shape: tuple[int, ...], strides: tuple[int, ...]) -> np.typing.NDArray[np.int64]:
    """The offset in elements of every index of `shape`."""
    offsets = np.zeros(shape, np.int64)
    for axis, (extent, stride) in enumerate(zip(shape, strides)):
        along = [-1 if i == axis else 1 for i in range(len(shape))]
        offsets += (np.arange(extent) * stride).reshape(along)
    return offsets
