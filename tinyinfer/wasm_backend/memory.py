"""Static memory: every buffer of a plan gets an offset before anything runs.

One linear memory holds `[nothing | constants of kernels | zeros | weights | arena | slack]`. Arena offsets come from
liveness: buffers that are never alive together may overlap. Loads may run up to `SLACK` bytes past a buffer; stores
never do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

ALIGNMENT = 64
CONSTANTS = 64
"""Where the kernel module's constants begin."""
ZEROS = 1024
"""Where they end at the latest, and the zeros begin."""
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
    """A buffer of an earlier step whose bytes this one takes over if the donor's last use is this one's first step."""
    private: bool = False
    """Whether threads that share a step need one each."""
    offset: int = -1

    def touch(self, step: int) -> None:
        self.last = max(self.last, step)


@dataclass
class _Group:
    """Buffers that share one place, one after the other, because each took over its donor."""

    buffers: list[Buffer]

    @property
    def nbytes(self) -> int:
        return align(max(b.nbytes for b in self.buffers))

    @property
    def first(self) -> int:
        return self.buffers[0].first

    @property
    def last(self) -> int:
        return self.buffers[-1].last


# No single order of placement is best for every network: the smallest arena of these wins, or what is found from it.
ORDERS: list[Callable[[_Group], tuple[int, int]]] = [
    lambda g: (-g.nbytes, g.first),
    lambda g: (-g.nbytes * (g.last - g.first + 1), g.first),
    lambda g: (g.first, -g.nbytes),
    lambda g: (g.first - g.last, -g.nbytes),
]
PATIENCE = 200
"""How often the search for a better order may fail in a row before it ends."""
MOST_PAIRS = 20_000_000
"""How many pairs of groups the search may look at: some seconds, which only graphs of thousands of nodes need."""


def place(buffers: Sequence[Buffer]) -> int:
    """Set `offset` (relative to the arena) of every buffer and return the arena's size in bytes."""
    groups = _share(buffers)
    offsets, size = _search(groups, live_bound(buffers))
    for group, offset in zip(groups, offsets, strict=True):
        for buffer in group.buffers:
            buffer.offset = offset
    return size


def _search(groups: list[_Group], bound: int) -> tuple[list[int], int]:
    """Offsets and the arena's size. As long as it is above the bound, who ends on top is placed earlier: at a random
    earlier place in the order, the same in every run."""
    labels = [group.buffers[0].label for group in groups]
    orders = [sorted(range(len(groups)), key=lambda i: (rank(groups[i]), labels[i])) for rank in ORDERS]
    sizes, alive = [group.nbytes for group in groups], _together(groups)
    offsets, size, order = min(((*_first_fit(sizes, alive, o), o) for o in orders), key=lambda found: found[1])
    chance = Random(0)
    tried, top, failures = list(order), offsets, 0
    tries = MOST_PAIRS // max(sum(map(len, alive)), 1)
    while size > bound and failures < PATIENCE and tries > 0:
        for i in [i for i in tried if top[i] + sizes[i] >= size]:
            at = tried.index(i)
            tried.insert(chance.randrange(at + 1), tried.pop(at))
        top, height = _first_fit(sizes, alive, tried)
        failures += 1
        tries -= 1
        if height < size:
            offsets, size, order, failures = top, height, list(tried), 0
        elif height > size + size // 8:
            tried, top = list(order), offsets
    return offsets, size


def _together(groups: list[_Group]) -> list[list[int]]:
    """For every group those that are alive with it at some step."""
    first, last = (np.array(steps) for steps in ([g.first for g in groups], [g.last for g in groups]))
    return [
        np.flatnonzero((first <= last[i]) & (first[i] <= last) & (np.arange(len(groups)) != i)).tolist()
        for i in range(len(groups))
    ]


def live_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of bytes alive at one step, takeovers counted once: no placement can need less."""
    groups = _share(buffers)
    steps = {g.first for g in groups}
    return max((sum(g.nbytes for g in groups if g.first <= step <= g.last) for step in steps), default=0)


def _first_fit(sizes: list[int], alive: list[list[int]], order: list[int]) -> tuple[list[int], int]:
    """Each group, in order, at the lowest offset where it overlaps nothing that is alive with it."""
    offsets = [-1] * len(sizes)
    for i in order:
        taken = sorted((offsets[j], offsets[j] + sizes[j]) for j in alive[i] if offsets[j] >= 0)
        offset = 0
        for begin, end in taken:
            if offset + sizes[i] <= begin:
                break
            offset = max(offset, end)
        offsets[i] = offset
    return offsets, max((o + n for o, n in zip(offsets, sizes, strict=True)), default=0)


def _share(buffers: Sequence[Buffer]) -> list[_Group]:
    home: dict[Buffer, _Group] = {}
    groups: list[_Group] = []
    for buffer in sorted(buffers, key=lambda b: b.first):
        donor = buffer.donor
        # A donor that is not the last of its group was taken over already; one of the same step is being written.
        if (
            donor is not None
            and donor.first < buffer.first == donor.last
            and donor.nbytes >= buffer.nbytes
            and home[donor].buffers[-1] is donor
        ):
            group = home[donor]
        else:
            groups.append(group := _Group([]))
        group.buffers.append(buffer)
        home[buffer] = group
    return groups
