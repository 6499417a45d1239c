"""About how long the reference takes for an operator, whose loops are Python's and NumPy's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tinyinfer.traits import Loops
from tinyinfer.types import TensorType

LOOP = 1000
"""Steps, of some nanoseconds each, of one turn of a loop in Python."""
FUNCTION = 16
"""Steps for each element of a function."""


def steps(
    loops: Loops, inputs: Sequence[TensorType | None], outputs: Sequence[TensorType], attrs: Mapping[str, Any]
) -> int:
    """An upper bound, about, of the steps that the reference takes."""
    present = [t for t in inputs if t is not None]
    results = sum(t.size for t in outputs)
    each = FUNCTION * (results + sum(t.size for t in present)) + LOOP * len(outputs)
    match loops:
        case Loops.NONE:
            return each
        case Loops.TAPS:
            return each + math.prod(present[1].shape[1:]) * (results + LOOP)
        case Loops.PRODUCT:
            batch = math.prod(outputs[0].shape[:-2])
            return each + (present[0].shape[-1] if present[0].rank else 1) * (results + LOOP * batch)
        case Loops.WINDOW:
            taps: int = math.prod(attrs["kernel_shape"])
            return each + taps * (results + LOOP)
        case Loops.RESAMPLED:
            rows: int = sum(attrs["sizes"])
            return each + 2 * LOOP * rows
        case Loops.AXES:  # as many turns as there are elements, at most
            return each + LOOP * present[0].size
