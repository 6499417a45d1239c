"""CASES: for every kernel, a strategy of operator applications that lower to it. One file for each operator family."""

from __future__ import annotations

from hypothesis.strategies import SearchStrategy

from tests.cases import (
    conv,
    elementwise,
    functions,
    linear,
    logic,
    movement,
    normalization,
    pooling,
    quantized,
    reduction,
    resize,
)
from tests.differential import Case

CASES: dict[str, SearchStrategy[Case]] = {
    **conv.CASES,
    **elementwise.CASES,
    **functions.CASES,
    **linear.CASES,
    **logic.CASES,
    **movement.CASES,
    **normalization.CASES,
    **pooling.CASES,
    **quantized.CASES,
    **reduction.CASES,
    **resize.CASES,
}
