"""What kernels demand of their arguments, as conditions in the words of their headers.

    ns > 0                      a comparison with a number
    ks = 4 or ns = 4            one of several
    ldy = 4 where inner = 1     only where another one holds

Names are parameters, and `size`, the bytes of an element by the kernel's prefix. Addresses are never compared.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"=": operator.eq, ">": operator.gt, "≥": operator.ge}
_CLAUSE = re.compile(r"(\w+) ([=>≥]) (\d+|size)")


@dataclass(frozen=True)
class Demand:
    """A condition: any of `clauses`, if there is no `where` or it holds. A clause is (name, comparison, value)."""

    clauses: tuple[tuple[str, str, str], ...]
    where: tuple[str, str, str] | None = None

    @property
    def names(self) -> set[str]:
        """The parameters that it is about."""
        return {name for name, _, _ in (*self.clauses, *filter(None, [self.where]))}

    def holds(self, args: Mapping[str, Any], size: int) -> bool:
        def true(clause: tuple[str, str, str]) -> bool:
            name, comparison, value = clause
            return _COMPARISONS[comparison](args[name], size if value == "size" else int(value))

        return (self.where is not None and not true(self.where)) or any(map(true, self.clauses))


@cache
def parse(text: str) -> Demand | None:
    """The condition that `text` is; None for prose."""
    rule, _, condition = text.partition(" where ")
    clauses = [_CLAUSE.fullmatch(clause) for clause in rule.split(" or ")]
    where = _CLAUSE.fullmatch(condition) if condition else None
    if not all(clauses) or (condition and where is None):
        return None
    found = tuple((m[1], m[2], m[3]) for m in clauses if m is not None)
    return Demand(found, None if where is None else (where[1], where[2], where[3]))


def unmet(demands: tuple[str, ...], args: Mapping[str, Any], size: int) -> str | None:
    """The first of `demands` that `args` do not meet, with the arguments that it is about."""
    for text in demands:
        demand = parse(text)
        assert demand is not None, text
        if not demand.holds(args, size):
            given = ", ".join(f"{name} = {args[name]}" for name in sorted(demand.names))
            return f"{text}, but {given}"
    return None
