"""Accuracy contracts: how far a float32 result may lie from the exact one, as a bound for every element.

A contract is called with the exact results (float64) and returns the largest error allowed. `u` is the unit roundoff
of float32, and γ(n) = nu / (1 − nu) bounds what n roundings in a row do to a sum or product (Higham, Accuracy and
Stability of Numerical Algorithms, lemma 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.differential import Case
from tinyinfer.types import Array

UNIT = 2.0**-24
SMALLEST = 2.0**-149


def ordinary(case: Case, seed: int) -> Case:
    """The case with normally distributed numbers in its float operands: bounds speak of finite arithmetic."""
    rng = np.random.default_rng(seed)
    inputs = tuple(
        rng.standard_normal(a.shape).astype(np.float32) if a is not None and a.dtype == np.float32 else a
        for a in case.inputs
    )
    return Case(case.op, inputs, case.attrs, case.constants)


def gamma(n: int) -> float:
    return n * UNIT / (1 - n * UNIT)


def ulp(exact: Array) -> Array:
    """The distance of float32 numbers in the binade of each exact value; 2⁻¹⁴⁹ in the subnormal range."""
    _, exponents = np.frexp(exact)
    return np.ldexp(1.0, np.maximum(exponents - 24, -149))


@dataclass(frozen=True)
class Exact:
    """The exact value, rounded to float32 once."""

    def __call__(self, exact: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.abs(exact - exact.astype(np.float32).astype(np.float64))


@dataclass(frozen=True)
class Ulp:
    """`n` units in the last place of the exact value."""

    n: float

    def __call__(self, exact: Array) -> Array:
        return self.n * ulp(exact)


@dataclass(frozen=True)
class Sum:
    """A sum of `k` products (or terms) whose absolute values add up to `magnitude`: γ(k)·magnitude.

    Products that underflow lose up to 2⁻¹⁵⁰ each, which relative bounds do not cover.
    """

    k: int
    magnitude: Array

    def __call__(self, exact: Array) -> Array:
        return np.broadcast_to(gamma(self.k) * self.magnitude + self.k * SMALLEST, exact.shape)


def errors(actual: Array, exact: Array) -> Array:
    """|actual − exact|; 0 where both are NaN or both round to the same infinity, ∞ where only one does."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(np.float32)
        distance = np.abs(actual.astype(np.float64) - exact)
    settled = ~np.isfinite(actual) | ~np.isfinite(rounded)
    same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
    return np.where(settled, np.where(same, 0.0, np.inf), distance)


def assert_within(actual: Array, exact: Array, bound: Array, arguments: Array, what: str) -> None:
    """Every |actual − exact| is at most `bound`; otherwise the worst argument is named."""
    assert actual.dtype == np.float32, f"{what}: {actual.dtype}"
    assert actual.shape == exact.shape, f"{what}: {actual.shape}, exact {exact.shape}"
    error = errors(actual, exact)
    with np.errstate(invalid="ignore"):
        beyond = np.where(error == 0, 0.0, error / np.maximum(bound, SMALLEST / 2))
    if not (beyond <= 1).all():
        at = np.unravel_index(np.argmax(beyond), beyond.shape)
        place = f"f({arguments[at]!r})" if arguments.shape == actual.shape else str(at)
        raise AssertionError(
            f"{what}: {place} = {actual[at]!r}, exactly {exact[at]!r}: error is {beyond[at]:.3f} times the bound"
        )
