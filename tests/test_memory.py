"""Static memory placement: nothing alive together overlaps, takeovers share a place, the bounds are bounds."""

from __future__ import annotations

import random
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyinfer import registry
from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.types import DType, TensorType
from tinyinfer.wasm_backend import bound, memory
from tinyinfer.wasm_backend.memory import ALIGNMENT, Buffer, align


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    """Up to a dozen buffers over twenty steps, some of which may take over an earlier one."""
    made: list[Buffer] = []
    for i in range(draw(st.integers(0, 12))):
        first = draw(st.integers(-1, 20))
        donors = [b for b in made if b.last == first]
        donor = draw(st.sampled_from(donors)) if donors and draw(st.booleans()) else None
        made.append(Buffer(f"b{i}", draw(st.integers(1, 400)), first, first + draw(st.integers(0, 8)), donor))
    return made


def together(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


@pytest.mark.parametrize("most_pairs", [memory.MOST_PAIRS_AT_ONCE, 0], ids=["searched", "in order"])
@given(made=buffers())
def test_buffers_alive_together_do_not_overlap_unless_one_takes_over_the_other(
    made: list[Buffer], most_pairs: int
) -> None:
    with mock.patch.object(memory, "MOST_PAIRS_AT_ONCE", most_pairs):
        size = memory.place(made)
    for i, a in enumerate(made):
        assert a.offset % ALIGNMENT == 0
        assert 0 <= a.offset <= size - a.nbytes
        for b in made[:i]:
            apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
            takeover = (a.donor is b and a.first == b.last) or (b.donor is a and b.first == a.last)
            assert apart or takeover or not together(a, b)
    assert memory.live_bound(made) <= size


def test_the_peak_of_a_chain_is_its_two_largest_neighbours() -> None:
    sizes = [100, 300, 50, 200]
    chain = [Buffer(f"b{i}", n * ALIGNMENT, i, i + 1) for i, n in enumerate(sizes)]
    assert memory.place(chain) == memory.live_bound(chain) == 400 * ALIGNMENT


def test_an_in_place_result_takes_the_bytes_of_a_dying_operand_once() -> None:
    x = Buffer("x", 1000, 0, 1)
    y, z = Buffer("y", 1000, 1, 2, donor=x), Buffer("z", 1000, 1, 2, donor=x)
    assert memory.place([x, y, z]) == 2 * align(1000)
    assert y.offset == x.offset
    assert z.offset != x.offset


def test_a_buffer_made_in_the_same_step_gives_nothing() -> None:
    x = Buffer("x", 1, 0, 1)
    y = Buffer("y", 1, 1, 1, donor=x)
    z = Buffer("z", 1, 1, 1, donor=y)
    assert memory.place([x, y, z]) == 2 * ALIGNMENT
    assert y.offset == x.offset
    assert z.offset != y.offset


def test_nothing_needs_nothing() -> None:
    assert memory.place([]) == memory.live_bound([]) == 0


def scattered() -> list[Buffer]:
    """Buffers of very different sizes that come and go at random."""
    chance = random.Random(27)
    made = []
    for i in range(60):
        first, nbytes = chance.randrange(60), chance.choice([64, 1000, 20_000, 100_000]) * chance.randint(1, 9)
        made.append(Buffer(f"b{i}", nbytes, first, first + int(chance.expovariate(0.12))))
    return made


def test_the_search_finds_what_no_fixed_order_does(monkeypatch: pytest.MonkeyPatch) -> None:
    made = scattered()
    assert memory.place(made) == memory.live_bound(made)
    offsets = [b.offset for b in made]
    memory.place(made)
    assert [b.offset for b in made] == offsets
    monkeypatch.setattr(memory, "PATIENCE", 0)
    assert memory.place(made) > memory.live_bound(made)


# ── the bound of a graph ─────────────────────────────────────────────────────────────────────────────────────────────

SIZE = 8 * 4 * 4 * 4
"""Bytes of a feature map [1, 8, 4, 4]."""


def chain(b: GraphBuilder, x: Value) -> Value:
    """A product needs its operand and its result; what is computed on its result needs nothing more."""
    return b.add1("Abs", b.add1("MatMul", x, b.constant(np.eye(4, dtype=np.float32))))


def residual(b: GraphBuilder, x: Value) -> Value:
    """The input, which is added last, and two maps between it; the sum lies on the input."""
    w = b.constant(np.eye(4, dtype=np.float32))
    return b.add1("MatMul", b.add1("MatMul", x, w), w, None, x)


def parts(b: GraphBuilder, x: Value) -> Value:
    """Both halves of the result are parts of it."""
    w = b.constant(np.eye(4, dtype=np.float32))
    return b.add1("Concat", b.add1("MatMul", x, w), x, axis=1)


def slices(b: GraphBuilder, x: Value) -> Value:
    """A quarter of the input is all that is left of it."""
    quarter = b.add1("Slice", x, starts=(0, 0, 0, 0), sizes=(1, 2, 4, 4), steps=(1, 1, 1, 1))
    return b.add1("MatMul", quarter, b.constant(np.eye(4, dtype=np.float32)))


def parts_of_parts(b: GraphBuilder, x: Value) -> Value:
    """The input is read at the end: its quarter, half of a half, needs nothing more until then."""
    (half, _), w = b.add("Split", x, axis=1, split=(4, 4)), b.constant(np.eye(4, dtype=np.float32))
    quarter, _ = b.add("Split", half, axis=1, split=(2, 2))
    narrow = b.add1("ReduceMax", b.add1("MatMul", x, w), axes=(1,), keepdims=True)
    return b.add1("Add", b.add1("Add", narrow, x), b.add1("ReduceMax", quarter, axes=(1,), keepdims=True))


def reshapes(b: GraphBuilder, x: Value) -> Value:
    return b.add1("Transpose", b.add1("Reshape", x, shape=(8, 16)), perm=(1, 0))


@pytest.mark.parametrize(
    ("build", "maps"), [(chain, 2), (residual, 2), (parts, 2), (slices, 1), (parts_of_parts, 2), (reshapes, 1)]
)
def test_the_least_that_a_graph_needs(build: Callable[[GraphBuilder, Value], Value], maps: int) -> None:
    b = registry.builder("bound")
    b.output("y", build(b, b.input("x", TensorType(DType.FLOAT, (1, 8, 4, 4)))))
    assert bound.live_bound(b.build(), registry.SEMANTICS) == maps * SIZE
