"""Several evaluations of one macro side by side, step by step, so that no result is waited for.

A function of a vector is a chain of operations that each need the one before: an engine that executes a chain to its
end before it meets the next one has nothing to do most of the time. The chains of neighbouring vectors are cut into
steps here, and the steps dealt out in turn. Only chains that are free of control flow, stores and traps are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tinyinfer.wasm_backend import peephole
from tinyinfer.wasm_backend.wat import SHAPES, Form

SCALAR_RESULT = re.compile(r"extract_lane|true|bitmask")
DEPTH = 2
"""Operations of a step that may be nested: a product and the sum it goes into."""


class NotAChainError(Exception):
    """The instructions are more than computations of vectors."""


def runs(forms: Sequence[Form]) -> Iterator[Sequence[Form]]:
    """The instructions in order; neighbouring assignments of calls of the same function come together."""
    start = 0
    for i in range(1, len(forms) + 1):
        if i == len(forms) or _called(forms[i]) is None or _called(forms[i]) != _called(forms[start]):
            yield forms[start:i]
            start = i


def _called(form: Form) -> tuple[str, ...] | None:
    """What stands for the function in `(local.set $v (call $f! …))` or `(local.set $v (call_ref $t … $f))`."""
    if form.head != "local.set" or len(form.parts) != 1:
        return None
    call = form.parts[0]
    if call.head == "call_ref" and call.parts:
        return call.words + call.parts[-1].words
    return call.words if call.head == "call" else None


@dataclass(slots=True)
class _Chain:
    """An expanded assignment cut into steps, each the only assignment of its variable."""

    steps: list[tuple[str, Form]] = field(default_factory=list)
    names: dict[str, Form] = field(default_factory=dict)
    """What the variables assigned so far are at present."""

    def assign(self, name: str, value: Form) -> None:
        if value.head != "local.get":
            value = self.step(value)
        self.names[name] = value

    def step(self, value: Form) -> Form:
        name = f"#{len(self.steps)}"
        self.steps.append((name, value))
        return Form(("local.get", name), (), value.at)

    def values(self, parts: Sequence[Form]) -> list[Form]:
        """The operands that the parts of an instruction leave, assignments among them becoming steps."""
        stack: list[Form] = []
        for part in parts:
            if part.head == "local.set":
                stack.extend(self.values(part.parts))
                if not stack or not _is_vector(stack[-1]):
                    raise NotAChainError
                self.assign(part.words[1], stack.pop())
            else:
                stack.append(self.value(part))
        return stack

    def value(self, form: Form) -> Form:
        if form.head == "local.get":
            return self.names.get(form.words[1], form)
        if not (peephole.is_pure(form) or peephole.is_load(form)):
            raise NotAChainError
        operands = [self.step(v) if _depth(v) >= DEPTH else v for v in self.values(form.parts)]
        return Form(form.words, tuple(operands), form.at)


def _is_vector(form: Form) -> bool:
    kind, _, name = form.head.partition(".")
    return form.head == "local.get" or (kind in SHAPES | {"v128"} and not SCALAR_RESULT.search(name))


def _depth(form: Form) -> int:
    """How many vector operations are nested; loads and splats, which wait for no vector, do not count."""
    if form.head == "local.get" or not _is_vector(form) or not any(_is_vector(part) for part in form.parts):
        return 0
    return 1 + max(_depth(part) for part in form.parts)


def interleave(lanes: Sequence[Form], local: Callable[[str], str]) -> list[Form] | None:
    """The expanded assignments `lanes` in step, with the variables that `local` gives for names of values.

    None where they are no chains of the same form, or one reads what another assigns. The variables that they assign
    must be their own, apart from the last one of each.
    """
    chains = []
    for lane in lanes:
        chain = _Chain()
        try:
            (value,) = chain.values(lane.parts)
        except (NotAChainError, ValueError):
            return None
        chain.steps.append((lane.words[1], value))
        chains.append(chain)
    targets = [lane.words[1] for lane in lanes]
    read = [{f.words[1] for _, v in c.steps for f in v.walk() if f.head == "local.get"} for c in chains]
    alike = len({tuple(_shape(v) for _, v in c.steps) for c in chains}) == 1
    mixed = any(t in names for i, names in enumerate(read) for j, t in enumerate(targets) if i != j)
    if mixed or not alike or len(set(targets)) < len(targets):
        return None
    columns = [_allocate(chain.steps, i, local) for i, chain in enumerate(chains)]
    return [step for row in zip(*columns) for step in row]


def _shape(form: Form) -> object:
    return (form.head, *(_shape(part) for part in form.parts))


def _allocate(steps: Sequence[tuple[str, Form]], lane: int, local: Callable[[str], str]) -> list[Form]:
    """Assignments of as few variables as there are values needed at a time."""
    last = {f.words[1]: i for i, (_, value) in enumerate(steps) for f in value.walk() if f.head == "local.get"}
    homes: dict[str, str] = {}
    free: list[str] = []
    made = 0
    assignments = []
    for i, (name, value) in enumerate(steps):
        value = _renamed(value, homes)
        free += [homes.pop(n) for n in list(homes) if last.get(n, -1) <= i]
        if name.startswith("#"):
            if not free:
                free.append(local(f"$abreast.{lane}.{made}"))
                made += 1
            homes[name] = name = free.pop()
        assignments.append(Form(("local.set", name), (value,), value.at))
    return assignments


def _renamed(form: Form, names: dict[str, str]) -> Form:
    words = ("local.get", names.get(form.words[1], form.words[1])) if form.head == "local.get" else form.words
    return Form(words, tuple(_renamed(part, names) for part in form.parts), form.at)
