"""How the work of a step is shared among threads: by rows, or by columns where those are more.

The compiler decides what may be cut and how finely (`divide`), since it knows the work; who runs the plan knows the
number of threads and cuts (`pieces`). `web/threads.js` cuts in the same way. Any cut gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from tinyinfer.wasm_backend.kernel_module import Param
from tinyinfer.wasm_backend.kernels import KERNELS, Kernel
from tinyinfer.wasm_backend.plan import Split, Step

PIECES_PER_THREAD = 4
"""Enough to even out what cores do besides, few enough for calls to cost nothing."""

# Nanoseconds of work below which a piece is not worth handing out, and a whole plan not worth waking threads for.
LEAST_PIECE = 2500.0
LEAST_PLAN = 300_000.0

# Nanoseconds for a multiply-accumulate, and for an element that passes through: orders of magnitude are enough here.
COST = {"compute": 0.04, "memory": 0.4}


def divide(
    steps: Iterable[Step],
    signatures: Mapping[str, Sequence[Param]],
    least_piece: float = LEAST_PIECE,
    least_plan: float = LEAST_PLAN,
) -> tuple[Step, ...]:
    """`steps`, each with its `split` where sharing it is worth while."""
    whole = [(step, [parameter.name for parameter in signatures[step.kernel]]) for step in steps]
    work = [_work(step, names) for step, names in whole]
    if sum(work) < least_plan:
        return tuple(step for step, _ in whole)
    return tuple(_divided(step, names, cost, least_piece) for (step, names), cost in zip(whole, work))


def pieces(step: Step, threads: int, per_thread: int = PIECES_PER_THREAD) -> list[Step]:
    """`step` as steps that may run at the same time and in any order: some for each thread, of about the same size."""
    split = step.split
    if split is None:
        return [step]
    m0, m1 = (int(a) for a in step.args[-2:])
    size = m1 - m0 if split.extent is None else int(step.args[split.extent])
    units = -(-size // split.width)
    count = min(split.pieces, threads * per_thread)
    edges = [min(i * units // count * split.width, size) for i in range(count + 1)]
    return [_piece(step, split, first, last) for first, last in pairwise(edges)]


def ways_of(step: Step, names: Sequence[str], kernel: Kernel) -> list[Split]:
    """Every way to cut a step, as finely as its kernel allows."""
    rows = int(step.args[-1]) - int(step.args[-2])
    return [Split(-(-rows // kernel.tile), kernel.tile), *_by_columns(step, names, kernel)]


def _work(step: Step, names: Sequence[str]) -> float:
    """About how many nanoseconds a step takes."""
    kernel = KERNELS[step.kernel]
    args = dict(zip(names, step.args))
    units = int(args["m1"]) - int(args["m0"])
    return units * math.prod(int(args[name]) for name in kernel.work.split()) * COST[kernel.bound]


def _divided(step: Step, names: Sequence[str], work: float, least_piece: float) -> Step:
    kernel = KERNELS[step.kernel]
    split = max(ways_of(step, names, kernel), key=lambda way: way.pieces)
    count = min(split.pieces, int(work / least_piece))
    return replace(step, split=replace(split, pieces=count)) if count > 1 else step


def _by_columns(step: Step, names: Sequence[str], kernel: Kernel) -> list[Split]:
    """Pointers move on with the columns; those that are 0 stay."""
    columns = kernel.columns
    if columns is None:
        return []
    args = dict(zip(names, step.args))
    moves = tuple(
        (names.index(name), 4 * math.prod(int(args[factor]) for factor in factors.split()))
        for name, factors in columns.pointers.items()
        if args[name]
    )
    units = -(-int(args[columns.extent]) // columns.width)
    return [Split(units, columns.width, names.index(columns.extent), moves)]


def _piece(step: Step, split: Split, first: int, last: int) -> Step:
    args = list(step.args)
    if split.extent is None:
        args[-2:] = int(args[-2]) + first, int(args[-2]) + last
    else:
        args[split.extent] = last - first
        for index, stride in split.moves:
            args[index] = int(args[index]) + first * stride
    return replace(step, args=tuple(args), split=None)
