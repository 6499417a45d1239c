"""Traits: what the rest of the compiler may ask of an operator, beside what it computes.

Placement, memory planning, rewriting, quantisation and tests ask these instead of keeping lists of operators. No trait
has a default, so that the row of a new operator has to answer all of them; rows of one kind share an instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Writes(Enum):
    """Where the kernels of an operator can put a result, beside memory of its own.

    Strides are those of a part of a larger tensor, in the layout that was chosen for the result.
    """

    DENSE = "dense bytes only"
    NEST = "two loops at most, dense inside"
    ROWS = "dense rows, equally far apart"
    COLUMNS = "any strides with dense columns, unless a residual is added"
    BLOCKS = "dense from the last resampled axis on"
    ANY = "any strides"


class Accuracy(Enum):
    """How near a float32 result is to the exact one. `docs/semantics.md` states the bounds; tests keep them."""

    EXACT = "the exact result, rounded once at most"
    ULP = "a bound in units in the last place, found by trying all arguments"
    SUM = "γ(k) of the sum of the absolute terms"
    COMPOSED = "a bound made of those of its parts"
    QUANTUM = "one quantum, or the very integers"


class Loops(Enum):
    """What the reference loops over in Python, which decides how long it takes."""

    NONE = "nothing: whole arrays"
    TAPS = "the taps and channels of a convolution"
    PRODUCT = "the inner dimension of a product, for each entry of a batch"
    WINDOW = "the taps of a pooling window"
    AXES = "elements along axes"
    RESAMPLED = "the rows of a resampled axis"


EVERY = ("*",)
"""All operands, in `Traits.overwritable`."""


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The traits of one operator."""

    elementwise: bool
    """Each element of the result depends on the (broadcast) elements at its own place only: the result may be computed
    on top of an operand of its type that has the same strides."""

    overwritable: tuple[str, ...]
    """Operands on which a result of the same size may lie, as far as the order of reading goes: none of their elements
    is read again once the result at its place is stored. `EVERY` for all."""

    view: bool
    """Outputs are where the operand is, if strides can say so."""

    whole: bool
    """Operands are parts of the output, written there by whoever makes them, if strides can say so."""

    writes: Writes

    commutative: bool
    """Two operands may change places without a change of bits."""

    moves: bool
    """Every element of the result is one of the first operand, unchanged: it may as well be moved as a byte, before it
    is dequantised or after it has been quantised."""

    tabulated: bool
    """A float function of one number where all other operands are constant numbers: on bytes it is a table."""

    conversion: bool
    """Turns floats into bytes or bytes into floats."""

    filter_axis: int | None
    """The axis of the second operand that counts filters, each of which makes a channel of the result; else None."""

    foldable: bool
    """Computed when its operands are constants. Otherwise rewrites look for it first and fold what is left."""

    loops: Loops

    accuracy: Accuracy

    def may_lie_on(self, operand: str) -> bool:
        """Whether the result may take the bytes of `operand` (a name of the schema), read for the last time."""
        return self.overwritable == EVERY or operand in self.overwritable


class Facts(Protocol):
    """What parts that do not see the operator table are told of it."""

    def traits(self, op: str) -> Traits: ...

    def operands(self, op: str) -> tuple[str, ...]:
        """The names of an operator's operands in order."""
        ...
