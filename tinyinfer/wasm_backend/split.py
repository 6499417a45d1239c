"""How the work of a step is shared among threads: by rows, or by columns where those are more.

The compiler decides what may be cut and how finely (`divide`), since it knows the work; who runs the plan knows the
number of threads and cuts (`pieces`). `web/threads.js` cuts in the same way. Any cut gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tinyinfer.wasm_backend.kernels import KERNELS, Kernel
from tinyinfer.wasm_backend.plan import Split, Step

PIECES_PER_THREAD = 4
"""Enough to even out what cores do besides, few enough for calls to cost nothing."""

LEAST = 4000.0
"""Nanoseconds of work below which a piece is not worth handing out."""

# Nanoseconds for a multiply-accumulate, and for an element that passes through: orders of magnitude are enough here.
COST = {"compute": 0.04, "memory": 0.4}


def divide(step: Step, parameters: Sequence[str]) -> Step:
    """`step`, and how it may be cut: a copy with `split` where it is worth while. `parameters` names its arguments."""
    kernel = KERNELS[step.kernel]
    args = dict(zip(parameters, step.args))
    rows = int(args["m1"]) - int(args["m0"])
    work = rows * math.prod(int(args[name]) for name in kernel.work.split()) * COST[kernel.bound]
    by_rows = Split(-(-rows // kernel.tile), kernel.tile)
    split = max([by_rows, *_by_columns(kernel, parameters, args)], key=lambda s: s.pieces)
    pieces = min(split.pieces, int(work / LEAST))
    return replace(step, split=replace(split, pieces=pieces)) if pieces > 1 else step


def _by_columns(kernel: Kernel, parameters: Sequence[str], args: dict[str, int | float]) -> list[Split]:
    """Pointers move on with the columns; those that are 0 stay."""
    columns = kernel.columns
    if columns is None:
        return []
    moves = tuple(
        (parameters.index(name), 4 * math.prod(int(args[factor]) for factor in factors.split()))
        for name, factors in columns.pointers.items()
        if args[name]
    )
    units = -(-int(args[columns.extent]) // columns.width)
    return [Split(units, columns.width, parameters.index(columns.extent), moves)]


def pieces(step: Step, threads: int, per_thread: int = PIECES_PER_THREAD) -> list[Step]:
    """`step` as steps that may run at the same time and in any order: some for each thread, of about the same size."""
    split = step.split
    if split is None or threads == 1:
        return [step]
    m0, m1 = (int(a) for a in step.args[-2:])
    size = m1 - m0 if split.extent is None else int(step.args[split.extent])
    units = -(-size // split.width)
    count = min(split.pieces, threads * per_thread)
    edges = [min(i * units // count * split.width, size) for i in range(count + 1)]
    return [_piece(step, split, first, last) for first, last in zip(edges, edges[1:])]


def _piece(step: Step, split: Split, first: int, last: int) -> Step:
    args = list(step.args)
    if split.extent is None:
        args[-2:] = int(args[-2]) + first, int(args[-2]) + last
    else:
        args[split.extent] = last - first
        for index, stride in split.moves:
            args[index] = int(args[index]) + first * stride
    return replace(step, args=tuple(args), split=None)
