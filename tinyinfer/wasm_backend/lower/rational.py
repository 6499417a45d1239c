"""Exact rational numbers by the thousand: integers over one denominator."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tinyinfer.types import Array

EXACT = 1 << 53
"""Integers up to this one are floats too, so that their quotient is rounded once."""

FAR = 1 << 40
"""Further than any element of a tensor."""


@dataclass(frozen=True, eq=False)
class Rationals:
    """The numbers above / below. Elements are of NumPy's int64 where all stay under `EXACT`, else Python's integers."""

    above: Array
    below: Any

    def floats(self) -> Array:
        """Each as the float64 next to it; 0 is +0."""
        return np.asarray(self.above / self.below + 0.0).astype(np.float64)

    def rounded(self, scale: int) -> Array:
        """Each times `scale`, rounded half up, in Python's integers."""
        return np.asarray((2 * scale * self.above.astype(object) + self.below) // (2 * self.below))

    def counts(self, length: int) -> bool:
        """Whether they are 0, 1, 2 … length - 1."""
        if len(self.above) != length:
            return False
        return bool(np.all(self.above == np.arange(length).astype(self.above.dtype) * self.below))

    def clip(self, low: int, high: int) -> Rationals:
        """Each moved into [low, high]."""
        return Rationals(np.clip(self.above, low * self.below, high * self.below), self.below)

    def split(self) -> tuple[Array, Array]:
        """Whole parts, rounded down, as int64 none further than `FAR`, and the numerators of what is left."""
        whole = np.clip(self.above // self.below, -FAR, FAR)
        return np.asarray(whole).astype(np.int64), np.asarray(self.above % self.below)


def arithmetic(slope: Fraction, offset: Fraction, count: int, length: int) -> Rationals:
    """slope · j + offset for j < count, to be compared with whole numbers up to `length`."""
    below = slope.denominator * offset.denominator
    step, start = int(slope * below), int(offset * below)
    bound = abs(step) * count + abs(start) + below * (max(count, length) + 1)
    numbers, below = integers(np.arange(count), below, bound)
    return Rationals(numbers * step + start, below)


def integers(values: Array, scalar: int, bound: int) -> tuple[Array, int]:
    """Integers for computing with up to `bound`."""
    return (values, scalar) if bound < EXACT else (values.astype(object), scalar)
