"""Every folded instruction of a source contains exactly its operands, so that expansion can move them around.

Standard text lets an instruction take operands that earlier ones left on the stack; kernel sources do not.
Types are the validator's business; here it is only counted how many values come and go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tinyinfer.wasm_backend.wat import SHAPES, VALUE_TYPES, Form, Module, fail

# Instructions on numbers and memory by the part of their name after the dot; the others have two operands.
OPERANDS = {
    0: re.compile("const"),
    1: re.compile(
        "eqz|clz|ctz|popcnt|abs|neg|sqrt|ceil|floor|nearest|not|any_true|all_true|bitmask|splat"
        "|(trunc|extend|extadd|convert|wrap|reinterpret|promote|demote|extract_lane|relaxed_trunc).*"
        "|load(?!.*_lane).*"
    ),
    3: re.compile("bitselect|relaxed_(n?madd|laneselect|dot.*_add).*"),
}

# Operands and results of the other instructions with fixed numbers.
FIXED = {
    "local.get": (0, 1),
    "global.get": (0, 1),
    "ref.func": (0, 1),
    "nop": (0, 0),
    "local.tee": (1, 1),
    "select": (3, 1),
    "memory.size": (0, 1),
    "memory.grow": (1, 1),
    "memory.copy": (3, 0),
    "memory.fill": (3, 0),
}
# Instructions that take the last value and leave the others, so that several results are assigned one by one.
TAKES_LAST = frozenset({"local.set", "global.set", "drop", "br_if"})
NEVER_CONTINUES = frozenset({"br", "br_table", "return", "unreachable"})


def check(module: Module) -> None:
    """Raise `WatError` for an instruction that does not contain its operands, in unused macros too."""
    for function in module.functions.values():
        checker = _Checker(module)
        found = total(checker.values(form) for form in function.body)
        if found not in (len(function.results), None):
            fail(function.field.at, f"{function.name} leaves {found} of {counted(len(function.results))}")


class _Checker:
    """Counts values; None stands for an instruction that never comes to its end."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def values(self, form: Form) -> int | None:
        """How many values one instruction leaves, having checked it and its parts."""
        if form.head in ("block", "loop", "if"):
            return self.structured(form)
        counts = [self.values(part) for part in form.parts if part.head != "result"]
        given = total(counts)
        if form.head in NEVER_CONTINUES:
            return None
        if form.head in TAKES_LAST:
            if given == 0:
                fail(form.at, f"{form.head} contains no operand")
            return None if given is None else given - 1
        taken, left = self.signature(form)
        if given not in (taken, None):
            fail(form.at, f"{' '.join(form.words[:2])} takes {counted(taken)}, but contains {given}")
        if form.head == "call_ref" or (form.head == "call" and form.words[1].endswith("!")):
            for part, count in zip(form.parts, counts):
                if count not in (1, None):
                    fail(part.at, f"each argument of a macro is one value, this leaves {count}")
        return left

    def structured(self, form: Form) -> int:
        """`values` of a block, loop or if."""
        results = sum(len(part.words) - 1 for part in form.parts if part.head == "result")
        inside = [part for part in form.parts if part.head not in ("result", "then", "else")]
        branches = [part for part in form.parts if part.head in ("then", "else")]
        if form.head == "if":
            found = total(self.values(part) for part in inside)
            if found not in (1, None):
                fail(form.at, f"the condition of an if is one value, not {found}")
        for part, body in [(part, part.parts) for part in branches] or [(form, tuple(inside))]:
            found = total(self.values(instruction) for instruction in body)
            if found not in (results, None):
                fail(part.at, f"this {part.head} leaves {found} of {counted(results)}")
        return results

    def signature(self, form: Form) -> tuple[int, int]:
        """How many operands an instruction takes and how many values it leaves."""
        if form.head in FIXED:
            return FIXED[form.head]
        if form.head == "call":
            if form.words[1] not in self.module.functions:
                fail(form.at, f"unknown func {form.words[1]}")
            function = self.module.functions[form.words[1]]
            return len(function.params), len(function.results)
        if form.head == "call_ref":
            if form.words[1] not in self.module.types:
                fail(form.at, f"unknown type {form.words[1]}")
            type_, _ = self.module.types[form.words[1]]
            return len(type_.params) + 1, len(type_.results)
        kind, _, name = form.head.partition(".")
        if kind not in SHAPES | VALUE_TYPES:
            fail(form.at, f"{form.head!r} is not an instruction that kernels use")
        operands = next((count for count, names in OPERANDS.items() if names.fullmatch(name)), 2)
        return operands, 0 if name.startswith("store") else 1


def total(counts: Iterable[int | None]) -> int | None:
    """The sum, or None when one of the counts is."""
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)


def counted(count: int) -> str:
    """`1 value`, `2 values`."""
    return f"{count} value{'' if count == 1 else 's'}"
