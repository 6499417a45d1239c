"""How the work of a step is shared among threads: by rows, or by columns where those are more and weights are many.

The compiler decides what may be cut and how finely (`divide`), since it knows the work; who runs the plan knows the
number of threads and cuts (`pieces`). `web/threads.js` cuts every piece further, so that threads can take over from
each other. Any cut gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from tinyinfer.wasm_backend.kernel_module import Param
from tinyinfer.wasm_backend.kernels import KERNELS, Columns
from tinyinfer.wasm_backend.plan import Split, Step

# Nanoseconds of work below which a piece is not worth taking, except that a step of half as much is cut in two, and a
# whole plan not worth waking threads for.
LEAST_PIECE = 5000.0
LEAST_PLAN = 75_000.0

# When a product is cut by rows although it has more columns: tiles of rows, and bytes of weights.
ENOUGH_ROWS = 16
CACHED_WEIGHTS = 256 * 1024

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


def pieces(step: Step, threads: int) -> list[Step]:
    """`step` as steps that may run at the same time: at most one for each thread, of about the same size."""
    split = step.split
    if split is None:
        return [step]
    m0, m1 = (int(a) for a in step.args[-2:])
    size = m1 - m0 if split.extent is None else int(step.args[split.extent])
    units = -(-size // split.width)
    count = min(split.pieces, threads)
    edges = [min(i * units // count * split.width, size) for i in range(count + 1)]
    return [_piece(step, split, first, last) for first, last in pairwise(edges)]


def _best(rows: Split, columns: Split | None = None) -> Split:
    """Rows where there are enough of them and every thread can have all weights in its cache: what it reads is then
    mostly what it wrote itself. Otherwise whatever there is more of."""
    if columns is None:
        return rows
    weights = columns.pieces * columns.width * max((stride for _, stride in columns.moves), default=0)
    if rows.pieces >= ENOUGH_ROWS and weights <= CACHED_WEIGHTS:
        return rows
    return max(rows, columns, key=lambda way: way.pieces)


def ways_of(step: Step, names: Sequence[str]) -> list[Split]:
    """Every way to cut a step, as finely as its kernel allows."""
    work = KERNELS[step.kernel].work
    rows = int(step.args[-1]) - int(step.args[-2])
    by_rows = Split(-(-rows // work.tile), work.tile)
    return [by_rows] if work.columns is None else [by_rows, _by_columns(step, names, work.columns)]


def _work(step: Step, names: Sequence[str]) -> float:
    """About how many nanoseconds a step takes."""
    args = dict(zip(names, step.args))
    units = int(args["m1"]) - int(args["m0"])
    work = KERNELS[step.kernel].work
    return units * math.prod(int(args[name]) for name in work.each.split()) * COST[work.bound]


def _divided(step: Step, names: Sequence[str], work: float, least_piece: float) -> Step:
    split = _best(*ways_of(step, names))
    count = min(split.pieces, max(2, int(work / least_piece)))
    shared = count > 1 and work >= least_piece / 2
    return replace(step, split=replace(split, pieces=count)) if shared else step


def _by_columns(step: Step, names: Sequence[str], columns: Columns) -> Split:
    """Pointers move on with the columns; those that are 0 stay."""
    args = dict(zip(names, step.args))
    moves = tuple(
        (names.index(name), 4 * math.prod(int(args[factor]) for factor in factors.split()))
        for name, factors in columns.pointers.items()
        if args[name]
    )
    width = columns.alone if args["m1"] == 1 else columns.width
    units = -(-int(args[columns.extent]) // width)
    return Split(units, width, names.index(columns.extent), moves)


def _piece(step: Step, split: Split, first: int, last: int) -> Step:
    args = list(step.args)
    if split.extent is None:
        args[-2:] = int(args[-2]) + first, int(args[-2]) + last
    else:
        args[split.extent] = last - first
        for index, stride in split.moves:
            args[index] = int(args[index]) + first * stride
    return replace(step, args=tuple(args), split=None)
