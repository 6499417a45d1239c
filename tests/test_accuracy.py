"""Elementary functions, powers and softmax of the reference are accurate, each by a stated contract against float64.

Kernels are not tested here: they have the reference's bits. Functions are tried with the multiply-add of every tier,
rounded twice and rounded once: the bounds are for both.

The bounds of functions of one variable are the largest errors among all 2³² arguments, rounded up in the second
decimal; `worst` is where they occur. Profile `fuzz` runs all arguments again, the others every 4093rd. For Swish and
Gelu the search took every 64th argument where results are trivial, see docs/semantics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import PROFILE, ROOT
from tests.contracts import SMALLEST, UNIT, Exact, Ulp, assert_within, gamma
from tests.differential import assert_same_bits
from tests.strategies import near, seeds, tensor
from tinyinfer import registry
from tinyinfer.ref import arith, interpreter
from tinyinfer.types import Array

STRIDE = 1 if PROFILE == "fuzz" else 4093
CHUNK = 1 << 20

inf, nan = math.inf, math.nan
Oracle = Callable[[Array], Array]


def call(op: str, *inputs: Any, **attrs: Any) -> Array:
    """The reference's first output."""
    arrays = [None if x is None else np.asarray(x, np.float32) for x in inputs]
    return interpreter.apply(registry.reference_of(op), arrays, attrs)[0]


tiers = pytest.mark.parametrize("tier", arith.FUSED)


# ── functions of one variable ────────────────────────────────────────────────────────────────────────────────────────


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def swish(x: Array) -> Array:
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def mish(x: Array) -> Array:
    return x * np.tanh(softplus(x))


def elu(x: Array) -> Array:
    return np.where(x < 0, np.expm1(x), x)


def scalar(function: Callable[[float], float]) -> Oracle:
    return lambda x: np.array([function(v) for v in x.tolist()])


def gelu(x: Array) -> Array:
    return 0.5 * x * scalar(math.erfc)(-x * math.sqrt(0.5))


def gelu_tanh(x: Array) -> Array:
    return x * sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))


@dataclass(frozen=True)
class OfArgument:
    """`n` unit roundoffs of the argument: for functions that fall to 0 as a difference of larger numbers."""

    n: float

    def allowed(self, x: Array, exact: Array) -> Array:
        return self.n * (UNIT * np.abs(x) + SMALLEST)

    def __str__(self) -> str:
        return rf"{self.n}·2⁻²⁴·\|x\|"


@dataclass(frozen=True)
class OfResult:
    """`n` ulp of the exact result and, where it is a product of the argument and a subnormal number, of that."""

    n: float
    subnormal: bool = False

    def allowed(self, x: Array, exact: Array) -> Array:
        return Ulp(self.n)(exact) + self.subnormal * SMALLEST * np.abs(x)

    def __str__(self) -> str:
        return f"{self.n} ulp" + (r" + 2⁻¹⁴⁹·\|x\|" if self.subnormal else "")


@dataclass(frozen=True)
class Function:
    """`exact` at 50 digits defines it; `oracle` in float64 is proven against that and tried on many arguments."""

    op: str
    contract: OfArgument | OfResult
    oracle: Oracle
    exact: Callable[[Any], Any]
    worst: str
    """The argument of the largest error."""
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, x: Array) -> Array:
        return call(self.op, x, **self.attrs)

    def __str__(self) -> str:
        return "-".join([self.op, *(str(v) for v in self.attrs.values() if isinstance(v, str))])


mp = mpmath.mp.clone()
mp.dps = 50


def mp_mish(x: Any) -> Any:
    return x * mp.tanh(mp.log1p(mp.exp(x)))


def mp_elu(x: Any) -> Any:
    return mp.expm1(x) if x < 0 else x


def mp_gelu_tanh(x: Any) -> Any:
    return x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)))


FUNCTIONS = [
    Function("Exp", OfResult(1.04), np.exp, mp.exp, "-0x1.773df4p+2"),
    Function("Log", OfResult(0.85), np.log, mp.log, "0x1.69cf3ep+0"),
    Function("Sigmoid", OfResult(2.41), sigmoid, lambda x: 1 / (1 + mp.exp(-x)), "-0x1.0a111ap+2"),
    Function("Tanh", OfResult(2.5), np.tanh, mp.tanh, "0x1.205368p+2"),
    Function("Erf", OfResult(1.32), scalar(math.erf), mp.erf, "0x1.fd1802p-1"),
    Function("Swish", OfResult(3.29, subnormal=True), swish, lambda x: x / (1 + mp.exp(-x)), "-0x1.9aae26p+1"),
    Function("Softplus", OfResult(1.68), softplus, lambda x: mp.log1p(mp.exp(x)), "-0x1.43c0c4p+0"),
    Function("Mish", OfResult(4.69, subnormal=True), mish, mp_mish, "-0x1.9e154ep+1"),
    Function("Elu", OfResult(1.01), elu, mp_elu, "-0x1.25c0a6p-2", {"alpha": 1.0}),
    Function("Gelu", OfArgument(1.51), gelu, lambda x: x * mp.ncdf(x), "0x1.9203dep-2", {"approximate": "none"}),
    Function("Gelu", OfArgument(2.48), gelu_tanh, mp_gelu_tanh, "0x1.28d246p+0", {"approximate": "tanh"}),
]
functions = pytest.mark.parametrize("function", FUNCTIONS, ids=str)


def arguments() -> Iterator[Array]:
    """Float32 numbers in the order of their bit patterns, every STRIDE-th, in chunks."""
    for start in range(0, 1 << 32, STRIDE * CHUNK):
        patterns = np.arange(start, min(start + STRIDE * CHUNK, 1 << 32), STRIDE, np.uint64)
        values = patterns.astype(np.uint32).view(np.float32)
        yield values[np.isfinite(values)]


@tiers
@functions
def test_function_keeps_its_bound(function, tier):
    for x in arguments():
        with np.errstate(all="ignore"):
            exact = function.oracle(x.astype(np.float64))
        with arith.tier(tier):
            y = function(x)
        assert_within(y, exact, function.contract.allowed(x, exact), x, str(function))


@functions
def test_oracle_is_exact_enough(function):
    """Float64 formulas deviate from 50 digits by less than a millionth of the bounds."""
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.uniform(-90, 90, 300), rng.standard_normal(200), 10 ** rng.uniform(-30, 0, 100)])
    x = x.astype(np.float32).astype(np.float64)
    x = np.abs(x) if function.op == "Log" else x
    exact = np.array([float(function.exact(mp.mpf(v))) for v in x.tolist()])
    bound = function.contract.allowed(x, exact)
    assert (np.abs(function.oracle(x) - exact) <= 1e-6 * bound).all()


@functions
def test_bound_is_attained(function):
    """The bound says what was found, not more: at `worst` one of the tiers comes within 0.01 of it."""
    x = np.array([float.fromhex(function.worst)], np.float32)
    exact = np.array([float(function.exact(mp.mpf(float(x[0]))))])
    worst = np.abs(function(x) - exact)
    with arith.tier("relaxed"):
        worst = np.maximum(worst, np.abs(function(x) - exact))
    bound = function.contract.allowed(x, exact)
    assert (1 - 0.011 / function.contract.n) * bound < worst <= bound


@functions
def test_bound_is_documented(function):
    page = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    assert f"| `{function}` | {function.contract} |" in page


SPECIAL_VALUES: list[tuple[str, dict[str, Any], list[tuple[float, float]]]] = [
    ("Exp", {}, [(0.0, 1.0), (-0.0, 1.0), (89.0, inf), (-104.0, 0.0), (inf, inf), (-inf, 0.0)]),
    ("Log", {}, [(0.0, -inf), (-0.0, -inf), (1.0, 0.0), (-1e-45, nan), (-1.0, nan), (inf, inf), (-inf, nan)]),
    ("Sigmoid", {}, [(0.0, 0.5), (-0.0, 0.5), (200.0, 1.0), (-200.0, 0.0), (inf, 1.0), (-inf, 0.0)]),
    ("Tanh", {}, [(0.0, 0.0), (-0.0, -0.0), (1e-45, 1e-45), (-1e-45, -1e-45), (inf, 1.0), (-inf, -1.0)]),
    ("Erf", {}, [(0.0, 0.0), (-0.0, -0.0), (1e-45, 1e-45), (-1e-45, -1e-45), (inf, 1.0), (-inf, -1.0)]),
    ("Swish", {}, [(0.0, 0.0), (-0.0, -0.0), (100.0, 100.0), (-200.0, -0.0), (inf, inf), (-inf, nan)]),
    ("Softplus", {}, [(100.0, 100.0), (-200.0, 0.0), (inf, inf), (-inf, 0.0)]),
    ("Mish", {}, [(0.0, 0.0), (-0.0, -0.0), (100.0, 100.0), (-200.0, -0.0), (inf, inf), (-inf, -0.0)]),
    ("Elu", {"alpha": 1.5}, [(0.0, 0.0), (-0.0, -0.0), (2.0, 2.0), (-40.0, -1.5), (inf, inf), (-inf, -1.5)]),
    ("Gelu", {"approximate": "none"}, [(0.0, 0.0), (-0.0, -0.0), (20.0, 20.0), (inf, inf), (-inf, -0.0)]),
    ("Gelu", {"approximate": "tanh"}, [(0.0, 0.0), (-0.0, -0.0), (20.0, 20.0), (inf, inf), (-inf, -0.0)]),
    ("HardSigmoid", {"alpha": 0.25, "beta": 0.5}, [(1.0, 0.75), (3.0, 1.0), (-3.0, 0.0), (inf, 1.0), (-inf, 0.0)]),
    ("HardSwish", {}, [(0.0, 0.0), (-0.0, -0.0), (3.0, 3.0), (-3.0, -0.0), (-4.0, -0.0), (inf, inf), (-inf, nan)]),
    ("LeakyRelu", {"alpha": 0.5}, [(0.0, 0.0), (-0.0, -0.0), (3.0, 3.0), (-3.0, -1.5), (inf, inf), (-inf, -inf)]),
    ("Sqrt", {}, [(0.0, 0.0), (-0.0, -0.0), (6.25, 2.5), (-1.0, nan), (inf, inf), (-inf, nan)]),
    ("Reciprocal", {}, [(0.0, inf), (-0.0, -inf), (4.0, 0.25), (1e-45, inf), (inf, 0.0), (-inf, -0.0)]),
]


@tiers
@pytest.mark.parametrize(("op", "attrs", "pairs"), SPECIAL_VALUES, ids=lambda v: v if isinstance(v, str) else "")
def test_special_values(op, attrs, pairs, tier):
    x, y = np.array([*pairs, (nan, nan)], np.float32).T
    with arith.tier(tier):
        assert_same_bits(call(op, x, **attrs), y, op)


INVARIANTS: list[tuple[str, dict[str, Any], Callable[[Array, Array], Array]]] = [
    ("Exp", {}, lambda x, y: np.where(x < 0, y <= 1, y >= 1)),
    ("Log", {}, lambda x, y: (x < 0) | np.where(x < 1, y < 0, y >= 0)),
    ("Sigmoid", {}, lambda x, y: (y >= 0) & (y <= 1)),
    ("Tanh", {}, lambda x, y: (np.abs(y) <= 1) & (np.signbit(x) == np.signbit(y))),
    ("Erf", {}, lambda x, y: (np.abs(y) <= 1) & (np.signbit(x) == np.signbit(y))),
    ("Swish", {}, lambda x, y: (y >= -0.279) & (y <= np.maximum(x, 0))),
    ("Softplus", {}, lambda x, y: y >= np.maximum(x, 0)),
    ("Mish", {}, lambda x, y: (y >= -0.31) & (y <= np.maximum(x, 0))),
    ("Elu", {"alpha": 1.0}, lambda x, y: y >= np.maximum(x, -1)),
    ("Gelu", {"approximate": "none"}, lambda x, y: (y >= -0.171) & (y <= np.maximum(x, 0))),
    ("Gelu", {"approximate": "tanh"}, lambda x, y: (y >= -0.171) & (y <= np.maximum(x, 0))),
    ("HardSwish", {}, lambda x, y: (y >= -0.376) & (y <= np.maximum(x, 0))),
]


@tiers
@pytest.mark.parametrize(("op", "attrs", "holds"), INVARIANTS, ids=lambda v: v if isinstance(v, str) else "")
def test_invariant(op, attrs, holds, tier):
    for x in arguments():
        with arith.tier(tier):
            y = call(op, x, **attrs)
        bad = ~holds(x, y)
        assert not bad.any(), f"{op}({x[bad][0]!r}) = {y[bad][0]!r}"


@tiers
@pytest.mark.parametrize("op", ["Tanh", "Erf"])
def test_odd_function(op, tier):
    for x in arguments():
        with arith.tier(tier):
            assert_same_bits(call(op, -x), -call(op, x), op)


@pytest.mark.parametrize(("op", "oracle"), [("Sqrt", np.sqrt), ("Reciprocal", lambda x: 1 / x)])
def test_correctly_rounded(op, oracle):
    for x in arguments():
        with np.errstate(all="ignore"):
            exact = oracle(x.astype(np.float64))
        assert_within(call(op, x), exact, Exact()(exact), x, op)


# ── powers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

POWER = Ulp(0.501)


@given(seeds(), st.sampled_from([0.1, 1, 10, 60]))
def test_power_keeps_its_bound(seed, spread):
    """Bases over 2 to the ±2·spread, exponents such that most results are finite."""
    rng = np.random.default_rng(seed)
    x = np.exp2(rng.uniform(-2, 2, 4096) * spread).astype(np.float32)
    y = (rng.uniform(-152, 130, 4096) / np.maximum(np.abs(np.log2(x)), 1e-6)).astype(np.float32)
    exact = np.power(x.astype(np.float64), y.astype(np.float64))
    assert_within(call("Pow", x, y), exact, POWER(exact), x, "Pow")


def test_power_is_exact_where_it_can_be():
    x, y = np.meshgrid(np.arange(-12, 13, dtype=np.float32), np.arange(0, 7, dtype=np.float32))
    assert_same_bits(call("Pow", x, y), (x.astype(np.int64) ** y.astype(np.int64)).astype(np.float32), "Pow")
    values = np.concatenate([tensor(1, (999,), special=0.1), 2.0 ** np.arange(-149, 128)]).astype(np.float32)
    assert_same_bits(call("Pow", values, 1.0), values, "x to the 1")


def test_power_special_cases():
    """IEEE-754 clause 9.2.1, as every C library has it since C99."""
    odd, even, large = 3, 4, 2.0**24 - 1
    positive = [0.0, 1e-45, 0.5, 1 - UNIT, 1.0, 1 + 2 * UNIT, 1.5, 2, odd, even, large, 2.0**24, 3.4028235e38, inf]
    values = np.array([*positive, *(-v for v in positive), nan], np.float32)
    x, y = np.meshgrid(values, values)
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    assert_same_bits(call("Pow", x, y), expected, "Pow")


# ── softmax ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class SoftmaxOracle:
    """Softmax over the last axis in float64, with bounds in unit roundoffs.

    x − m is rounded once, which changes its exponential by up to |x − m| roundoffs; exp has at most 1.04 ulp, a lane
    sum ⌈n/4⌉ + 2 additions one after the other; then one division, or a logarithm (0.85 ulp) and one subtraction.
    """

    shifted: Array

    EXP, LOG = 2 * 1.04, 2 * 0.85

    @staticmethod
    def of(x: Array) -> SoftmaxOracle:
        wide = x.astype(np.float64)
        return SoftmaxOracle(wide - wide.max(-1, keepdims=True))

    @property
    def e(self) -> Array:
        return np.exp(self.shifted)

    @property
    def sum_roundoffs(self) -> Array:
        """Bound on the relative error of the sum of the exponentials."""
        mean = (self.e * -self.shifted).sum(-1, keepdims=True) / self.e.sum(-1, keepdims=True)
        return mean + self.EXP + math.ceil(self.shifted.shape[-1] / 4) + 2

    def softmax(self) -> tuple[Array, Array]:
        exact = self.e / self.e.sum(-1, keepdims=True)
        roundoffs = self.sum_roundoffs + self.EXP - self.shifted + 1
        return exact, exact * gamma(1) * 1.001 * roundoffs + 2 * SMALLEST

    def log_softmax(self) -> tuple[Array, Array]:
        log = np.log(self.e.sum(-1, keepdims=True))
        exact = self.shifted - log
        return exact, gamma(1) * 1.001 * (self.sum_roundoffs + self.LOG * log - self.shifted - exact)


@tiers
@given(seed=seeds(), n=near(4, 8, most=1000), scale=st.sampled_from([0.1, 1, 10, 50]))
def test_softmax_keeps_its_bound(tier, seed, n, scale):
    x = tensor(seed, (5, n), scale=scale)
    oracle = SoftmaxOracle.of(x)
    for op, (exact, bound), most in (("Softmax", oracle.softmax(), 1), ("LogSoftmax", oracle.log_softmax(), 0)):
        with arith.tier(tier):
            y = call(op, x, axis=1)
        assert_within(y, exact, bound, x, op)
        assert (y <= most).all()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 64, 100])
def test_softmax_of_equal_values_is_exact(n):
    x = np.full((2, n), -7.25, np.float32)
    assert (call("Softmax", x, axis=1) == np.float32(1) / np.float32(n)).all()


def test_softmax_does_not_overflow_and_passes_nan():
    x = np.array([[3e38, -3e38, 0], [-inf, 0, -inf], [nan, 0, 1], [inf, 0, 0], [-inf, -inf, -inf]], np.float32)
    expected = np.array([[1, 0, 0], [0, 1, 0], [nan] * 3, [nan] * 3, [nan] * 3], np.float32)
    assert_same_bits(call("Softmax", x, axis=1), expected, "Softmax")
