"""What is known about folded instructions, and the few simplifications that expanded macros call for.

Everything here preserves meaning exactly, traps included; engines do the real optimisation.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence

from tinyinfer.wasm_backend.wat import BRANCHES, SHAPES, VALUE_TYPES, Form, Function, Place

ASSIGNMENTS = frozenset({"local.set", "local.tee"})
TYPES = SHAPES | VALUE_TYPES
# Integer division and the conversions that are not saturating trap; memory accesses are classed on their own.
IMPURE = re.compile(r"load|store|div_[su]|rem_[su]|trunc_f")


def is_pure(form: Form) -> bool:
    """Whether the instruction itself only computes one value of operands and variables, without trapping."""
    kind, _, name = form.head.partition(".")
    return form.head in ("local.get", "select") or (kind in TYPES and not IMPURE.match(name))


def is_load(form: Form) -> bool:
    """Whether the instruction reads linear memory, and has no other effect than a possible trap."""
    kind, _, name = form.head.partition(".")
    return kind in TYPES and name.startswith("load")


def is_constant(form: Form) -> bool:
    """Whether this is a `const` instruction."""
    return form.head.endswith(".const")


def assigned(forms: Iterable[Form]) -> frozenset[str]:
    """The variables that some instruction of `forms` assigns."""
    return frozenset(f.words[1] for form in forms for f in form.walk() if f.head in ASSIGNMENTS)


def zero(type_name: str, at: Place) -> Form:
    """The zero of a value type."""
    words = ("v128.const", "i64x2", "0", "0") if type_name == "v128" else (f"{type_name}.const", "0")
    return Form(words, (), at)


# --- Variables of a macro that need the zero they start with ------------------------------------------------


def read_before_assigned(macro: Function) -> frozenset[str]:
    """The macro's local variables that may be read before the body assigns them."""
    early: set[str] = set()
    _assigned_after(macro.body, set(), early)
    return frozenset(early) & {variable.name for variable in macro.locals}


def _assigned_after(forms: Iterable[Form], known: set[str], early: set[str]) -> set[str]:
    """The variables surely assigned after `forms`, of which `known` are before.

    Adds to `early` those that are read where they may not have been assigned.
    """
    for form in forms:
        if form.head == "if":
            branches = {part.head: part.parts for part in form.parts if part.head in ("then", "else")}
            condition = [part for part in form.parts if part.head not in ("then", "else")]
            known = _assigned_after(condition, known, early)
            inside = [_assigned_after(branches.get(head, ()), set(known), early) for head in ("then", "else")]
            known = known if _is_target(form) else known | (inside[0] & inside[1])
        elif form.head in ("block", "loop"):
            inner = _assigned_after(form.parts, set(known), early)
            # A branch to a loop's label goes back, so its end is only reached through all of its body.
            known = inner if form.head == "loop" or not _is_target(form) else known
        else:
            known = _assigned_after(form.parts, known, early)
            if form.head in ASSIGNMENTS:
                known = known | {form.words[1]}
            elif form.head == "local.get" and form.words[1] not in known:
                early.add(form.words[1])
    return known


def _is_target(form: Form) -> bool:
    """Whether a branch inside names the label of this block."""
    label = set(form.words[1:])
    return any(part.head in BRANCHES and not label.isdisjoint(part.words[1:]) for part in form.walk())


# --- Arguments used once ------------------------------------------------------------------------------------


def forward(
    bound: Sequence[tuple[str, list[Form]]], body: list[Form]
) -> tuple[list[tuple[str, list[Form]]], list[Form]]:
    """Move arguments that a body reads once, outside of loops, to that place; drop those it ignores.

    `bound` are locals and their arguments, evaluated in this order before the body. An argument moves only if
    nothing it reads can change in between: its variables are assigned neither by the body nor by another
    argument; and if it loads from memory, the body and the other arguments only compute, load and assign
    variables, so that it is loaded in any case.
    """
    kept = list(bound)
    for name, value in bound:
        others = [form for other, forms in kept if other != name for form in forms]
        around = [*others, *body]
        if len(value) == 1 and _may_move(name, value[0], around, body):
            body = [_substitute(form, name, value[0]) for form in body]
            kept = [(other, forms) for other, forms in kept if other != name]
    return kept, body


def _may_move(name: str, value: Form, around: Sequence[Form], body: Sequence[Form]) -> bool:
    inside = list(value.walk())
    loads = any(is_load(form) for form in inside)
    loops = [form for part in body for form in part.walk() if form.head == "loop"]
    if _reads(name, body) > 1 or _reads(name, loops) or (loads and not _reads(name, body)):
        return False
    if not all(is_pure(form) or is_load(form) for form in inside):
        return False
    changed = assigned(around)
    if name in changed or any(form.words[1] in changed for form in inside if form.head == "local.get"):
        return False
    return not loads or all(is_pure(f) or is_load(f) or f.head in ASSIGNMENTS for form in around for f in form.walk())


def _reads(name: str, forms: Iterable[Form]) -> int:
    return sum(f.words == ("local.get", name) for form in forms for f in form.walk())


def _substitute(form: Form, name: str, value: Form) -> Form:
    if form.words == ("local.get", name):
        return value
    parts = tuple(_substitute(part, name, value) for part in form.parts)
    return form if all(a is b for a, b in zip(parts, form.parts)) else Form(form.words, parts, form.at)


# --- Constant operands --------------------------------------------------------------------------------------


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


# On the unsigned 32-bit values of the operands; results are reduced modulo 2^32.
I32: dict[str, Callable[[int, int], int]] = {
    "i32.add": operator.add,
    "i32.sub": operator.sub,
    "i32.mul": operator.mul,
    "i32.and": operator.and_,
    "i32.or": operator.or_,
    "i32.xor": operator.xor,
    "i32.shl": lambda a, b: a << (b & 31),
    "i32.shr_u": lambda a, b: a >> (b & 31),
    "i32.shr_s": lambda a, b: _signed(a) >> (b & 31),
    "i32.eq": operator.eq,
    "i32.ne": operator.ne,
    "i32.lt_u": operator.lt,
    "i32.le_u": operator.le,
    "i32.gt_u": operator.gt,
    "i32.ge_u": operator.ge,
    "i32.lt_s": lambda a, b: _signed(a) < _signed(b),
    "i32.le_s": lambda a, b: _signed(a) <= _signed(b),
    "i32.gt_s": lambda a, b: _signed(a) > _signed(b),
    "i32.ge_s": lambda a, b: _signed(a) >= _signed(b),
}
RIGHT_IDENTITY = {
    "i32.add": 0,
    "i32.sub": 0,
    "i32.mul": 1,
    "i32.or": 0,
    "i32.xor": 0,
    "i32.shl": 0,
    "i32.shr_u": 0,
    "i32.shr_s": 0,
}
COMMUTATIVE = frozenset({"i32.add", "i32.mul", "i32.or", "i32.xor"})


def simplify(form: Form) -> list[Form]:
    """The instruction, or the shorter sequence that means the same because an operand is constant."""
    if form.head in I32 and len(form.parts) == 2:  # not when an operand is a sequence of instructions
        return [_binary(form, *form.parts)]
    last = _constant(form.parts[-1]) if form.parts else None
    if form.head == "i32.eqz" and len(form.parts) == 1 and last is not None:
        return [_i32(int(last == 0), form.at)]
    if form.head == "br_if" and last == 0:
        return list(form.parts[:-1])
    if form.head == "if":
        return _if(form)
    return [form]


def _binary(form: Form, left: Form, right: Form) -> Form:
    a, b = _constant(left), _constant(right)
    if a is not None and b is not None:
        return _i32(I32[form.head](a, b), form.at)
    identity = RIGHT_IDENTITY.get(form.head)
    if identity is not None and b == identity and _is_one_value(left):
        return left
    if identity is not None and a == identity and form.head in COMMUTATIVE and _is_one_value(right):
        return right
    if form.head == "i32.and" and a == 0 and right.head == "local.get":
        return left
    return form


def _if(form: Form) -> list[Form]:
    """Replace an `if` of constant condition by the branch it takes."""
    branches = {part.head: part.parts for part in form.parts if part.head in ("then", "else")}
    condition = [part for part in form.parts if part.head not in ("then", "else", "result")]
    value = _constant(condition[0]) if len(condition) == 1 else None
    if value is None:
        return [form]
    taken = branches.get("then" if value else "else", ())
    if not _is_target(form):
        return list(taken)
    results = tuple(part for part in form.parts if part.head == "result")
    return [Form(("block", *form.words[1:]), (*results, *taken), form.at)]


def _is_one_value(form: Form) -> bool:
    return is_pure(form) or is_load(form) or form.head == "local.tee"


def _constant(form: Form) -> int | None:
    return int(form.words[1].replace("_", ""), 0) % (1 << 32) if form.head == "i32.const" else None


def _i32(value: int, at: Place) -> Form:
    return Form(("i32.const", str(_signed(value % (1 << 32)))), (), at)
