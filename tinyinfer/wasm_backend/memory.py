"""Static memory: every buffer of a plan gets an offset before anything runs.

One linear memory holds `[null page | zeros | weights | arena | slack]`. Arena offsets come from liveness: buffers that
are never alive together may overlap. Loads may run up to `SLACK` bytes past a buffer; stores never do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

ALIGNMENT = 64
SLACK = 64
PAGE = 1 << 16
FOREVER = 1 << 30


def align(n: int) -> int:
    return -(-n // ALIGNMENT) * ALIGNMENT


@dataclass(eq=False)
class Buffer:
    """A piece of the arena, alive from step `first` to step `last` inclusive (inputs start at -1)."""

    label: str
    nbytes: int
    first: int
    last: int
    donor: Buffer | None = None
    """A buffer whose bytes this one takes over if the donor's last use is this one's first step."""
    offset: int = -1

    def touch(self, step: int) -> None:
        self.last = max(self.last, step)

    def overlaps(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass
class _Group:
    """Buffers that share one place because each took over its donor."""

    buffers: list[Buffer] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        return max(b.nbytes for b in self.buffers)

    def overlaps(self, other: _Group) -> bool:
        return any(a.overlaps(b) for a in self.buffers for b in other.buffers)


def place(buffers: Iterable[Buffer]) -> int:
    """Set `offset` (relative to the arena) of every buffer, largest first, and return the arena's size in bytes."""
    groups = _share(list(buffers))
    placed: list[tuple[int, _Group]] = []
    for group in sorted(groups, key=lambda g: (-g.nbytes, g.buffers[0].first, g.buffers[0].label)):
        taken = sorted((o, o + align(g.nbytes)) for o, g in placed if g.overlaps(group))
        offset = 0
        for begin, end in taken:
            if offset + align(group.nbytes) <= begin:
                break
            offset = max(offset, end)
        placed.append((offset, group))
        for buffer in group.buffers:
            buffer.offset = offset
    return max((o + align(g.nbytes) for o, g in placed), default=0)


def live_bound(buffers: Iterable[Buffer]) -> int:
    """The largest sum of bytes alive at one step, in-place takeovers counted once: no placement can need less."""
    groups = _share(list(buffers))
    steps = {b.first for g in groups for b in g.buffers}
    return max(
        (
            sum(max((align(b.nbytes) for b in g.buffers if b.first <= s <= b.last), default=0) for g in groups)
            for s in steps
        ),
        default=0,
    )


def _share(buffers: list[Buffer]) -> list[_Group]:
    home: dict[Buffer, _Group] = {}
    groups: list[_Group] = []
    for buffer in sorted(buffers, key=lambda b: b.first):
        donor = buffer.donor
        if donor is not None and donor.last == buffer.first and donor.nbytes >= buffer.nbytes and donor in home:
            group = home[donor]
        else:
            groups.append(group := _Group())
        group.buffers.append(buffer)
        home[buffer] = group
    return groups
