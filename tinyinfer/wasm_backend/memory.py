"""Static memory: every buffer of a plan gets an offset before anything runs.

One linear memory holds `[nothing | constants of kernels | zeros | weights | arena | slack]`. Arena offsets come from
liveness: buffers that are never alive together may overlap. Loads may run up to `SLACK` bytes past a buffer; stores
never do.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
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
MOST_PAIRS_AT_ONCE = 4_000_000
"""Above so many pairs of groups that are alive together there is no search: `_in_order` places them."""


def place(buffers: Sequence[Buffer]) -> int:
    """Set `offset` (relative to the arena) of every buffer and return the arena's size in bytes."""
    groups = _share(buffers)
    if _pairs(groups) > MOST_PAIRS_AT_ONCE:
        offsets, size = _in_order(groups)
    else:
        offsets, size = _search(groups, _bound(groups))
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


def _pairs(groups: list[_Group]) -> int:
    """How many pairs of groups are alive at the same step, each counted twice, and each group with itself."""
    first, last = np.sort([g.first for g in groups]), np.sort([g.last for g in groups])
    return int(np.searchsorted(first, last, side="right").sum() - np.searchsorted(last, first, side="left").sum())


def _together(groups: list[_Group]) -> list[list[int]]:
    """For every group those that are alive with it at some step."""
    alive: list[list[int]] = [[] for _ in groups]
    now: list[int] = []
    for i in sorted(range(len(groups)), key=lambda i: groups[i].first):
        now = [j for j in now if groups[j].last >= groups[i].first]
        for j in now:
            alive[j].append(i)
        alive[i].extend(now)
        now.append(i)
    return alive


def live_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of bytes alive at one step, takeovers counted once: no placement can need less."""
    return _bound(_share(buffers))


def _bound(groups: list[_Group]) -> int:
    changes: Counter[int] = Counter()
    for group in groups:
        changes[group.first] += group.nbytes
        changes[group.last + 1] -= group.nbytes
    return max(accumulate(changes[step] for step in sorted(changes)), default=0)


def _in_order(groups: list[_Group]) -> tuple[list[int], int]:
    """Each group, in the order of their first steps, in the smallest gap that holds it; in time n·log n."""
    offsets, top = [0] * len(groups), 0
    ends: list[tuple[int, int]] = []
    gaps = _Gaps()
    for i in sorted(range(len(groups)), key=lambda i: groups[i].first):
        while ends and ends[0][0] < groups[i].first:
            _, j = heapq.heappop(ends)
            gaps.add(offsets[j], offsets[j] + groups[j].nbytes)
        found = gaps.take(groups[i].nbytes)
        offsets[i] = top if found is None else found
        top = max(top, offsets[i] + groups[i].nbytes)
        heapq.heappush(ends, (groups[i].last, i))
    return offsets, top


class _Gaps:
    """Free pieces of the arena, no two of which touch."""

    def __init__(self) -> None:
        self._sizes: list[tuple[int, int]] = []  # (size, begin), ascending
        self._ends: dict[int, int] = {}  # begin → end
        self._begins: dict[int, int] = {}  # end → begin

    def add(self, begin: int, end: int) -> None:
        if begin in self._begins:
            begin = self._remove(self._begins[begin])[0]
        if end in self._ends:
            end = self._remove(end)[1]
        insort(self._sizes, (end - begin, begin))
        self._ends[begin], self._begins[end] = end, begin

    def take(self, size: int) -> int | None:
        """The beginning of the smallest piece that holds `size` bytes, which are no longer free."""
        at = bisect_left(self._sizes, (size, 0))
        if at == len(self._sizes):
            return None
        begin, end = self._remove(self._sizes[at][1])
        if begin + size < end:
            self.add(begin + size, end)
        return begin

    def _remove(self, begin: int) -> tuple[int, int]:
        end = self._ends.pop(begin)
        del self._begins[end]
        del self._sizes[bisect_left(self._sizes, (end - begin, begin))]
        return begin, end


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
