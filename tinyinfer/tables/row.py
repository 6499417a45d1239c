"""What a row of the operator table says, and how it is checked when the table is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from tinyinfer.ref import interpreter
from tinyinfer.traits import EVERY, Traits, Writes
from tinyinfer.types import TensorType
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lowering import LowerFunction


@dataclass(frozen=True)
class Operator:
    """One operator: schema and type inference, normative semantics, lowering, where its outputs' axes lie, traits."""

    name: str
    infer: Callable[..., TensorType | tuple[TensorType, ...]]
    reference: interpreter.Reference
    lower: LowerFunction
    layout: layout.Policy
    traits: Traits

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """The names of its operands in order; a last one that begins with `*` stands for any number."""
        kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD: "", inspect.Parameter.VAR_POSITIONAL: "*"}
        parameters = inspect.signature(self.infer).parameters.values()
        return tuple(kinds[p.kind] + p.name for p in parameters if p.kind in kinds)


def joined(*families: Iterable[Operator]) -> dict[str, Operator]:
    """The rows of all families by name; ValueError says which row contradicts itself or another."""
    table: dict[str, Operator] = {}
    for row in (row for family in families for row in family):
        problem = "is there twice" if row.name in table else _problem(row)
        if problem:
            raise ValueError(f"operator table: {row.name} {problem}")
        table[row.name] = row
    return table


def _problem(row: Operator) -> str:
    """What is wrong with a row; empty where nothing is."""
    traits = row.traits
    schema, semantics = (inspect.signature(f).parameters.values() for f in (row.infer, row.reference))
    if [(p.name, p.kind) for p in schema] != [(p.name, p.kind) for p in semantics]:
        return "has a schema and semantics of different signatures"
    unknown = set(traits.overwritable) - set(row.operands) - set(EVERY)
    if unknown:
        return f"may overwrite {', '.join(sorted(unknown))}, which are no operands of it"
    if traits.commutative and len(row.operands) != 2:
        return f"is commutative, but has the operands {', '.join(row.operands)}"
    if traits.elementwise and traits.overwritable != EVERY:
        return "is element-wise, so its result may lie on any operand"
    if (traits.view or traits.whole) and traits.writes is not Writes.ANY:
        return "is a view or a whole, so its place is up to others: it has to write anywhere"
    if traits.conversion and traits.tabulated:
        return "converts between floats and bytes, so it is no function of floats"
    return ""
