"""About how long the reference takes for an operator, whose loops are Python's and NumPy's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tinyinfer.types import TensorType

LOOP = 1000
"""Steps, of some nanoseconds each, of one turn of a loop in Python."""
FUNCTION = 16
"""Steps for each element of a function."""

_CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "ConvTranspose", "QLinearConv"})
_PRODUCTS = frozenset({"MatMul", "MatMulInteger", "MatMulNBits", "QLinearMatMul"})
_BY_ELEMENT = frozenset({
    "ArgMax", "ArgMin", "InstanceNormalization", "LRN", "LayerNormalization", "LogSoftmax", "QLinearSoftmax",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Softmax",
})  # fmt: skip
"""Operators that go along axes in loops: as many turns as there are elements, at most."""


def steps(op: str, inputs: Sequence[TensorType | None], outputs: Sequence[TensorType], attrs: Mapping[str, Any]) -> int:
    """An upper bound, about, of the steps that the reference takes."""
    present = [t for t in inputs if t is not None]
    results = sum(t.size for t in outputs)
    each = FUNCTION * (results + sum(t.size for t in present)) + LOOP * len(outputs)
    if op in _CONVOLUTIONS:
        return each + math.prod(present[1].shape[1:]) * (results + LOOP)
    if op in _PRODUCTS:
        batch = math.prod(outputs[0].shape[:-2])
        return each + (present[0].shape[-1] if present[0].rank else 1) * (results + LOOP * batch)
    if "kernel_shape" in attrs:
        taps: int = math.prod(attrs["kernel_shape"])
        return each + taps * (results + LOOP)
    if op == "Resize":
        rows: int = sum(attrs["sizes"])
        return each + 2 * LOOP * rows
    if op in _BY_ELEMENT:
        return each + LOOP * present[0].size
    return each
