"""Static memory placement: nothing alive together overlaps, takeovers share a place, the bound is a bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tinyinfer.wasm_backend import memory
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


@given(buffers())
def test_buffers_alive_together_do_not_overlap_unless_one_takes_over_the_other(made: list[Buffer]) -> None:
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
