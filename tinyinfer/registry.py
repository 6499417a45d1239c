"""OPERATORS: the table. One row ties an operator's schema, reference semantics, lowering, layout policy and traits.

The rows are in `tinyinfer/tables`, the only modules that see both `ref` and `wasm_backend`; neither of them sees the
other, or the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinyinfer.graph import GraphBuilder
from tinyinfer.ops import work
from tinyinfer.ref import arith, interpreter
from tinyinfer.tables import elementwise, functions, movement, normalization, pooling, products, quantized, reduction
from tinyinfer.tables.row import Operator, joined
from tinyinfer.traits import Traits
from tinyinfer.types import Array, TensorType
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lowering import LowerFunction

OPERATORS: dict[str, Operator] = joined(
    products.ROWS,
    pooling.ROWS,
    normalization.ROWS,
    elementwise.ROWS,
    functions.ROWS,
    reduction.ROWS,
    movement.ROWS,
    quantized.ROWS,
)


class _Table:
    """The table as `GraphBuilder` wants it (`Semantics`), and what else may be known of it (`Facts`)."""

    def infer(self, op: str, inputs: Sequence[TensorType | None], attrs: Mapping[str, Any]) -> tuple[TensorType, ...]:
        types = OPERATORS[op].infer(*inputs, **attrs)
        return types if isinstance(types, tuple) else (types,)

    def steps(
        self, op: str, inputs: Sequence[TensorType | None], outputs: Sequence[TensorType], attrs: Mapping[str, Any]
    ) -> int:
        return work.steps(OPERATORS[op].traits.loops, inputs, outputs, attrs)

    def evaluate(self, op: str, inputs: Sequence[Array | None], attrs: Mapping[str, Any]) -> tuple[Array, ...]:
        with arith.tier("simd128"):  # constants are the same for all tiers
            return interpreter.apply(OPERATORS[op].reference, list(inputs), attrs)

    def traits(self, op: str) -> Traits:
        return OPERATORS[op].traits

    def operands(self, op: str) -> tuple[str, ...]:
        return OPERATORS[op].operands


SEMANTICS = _Table()


def builder(name: str = "graph", source: str = "") -> GraphBuilder:
    """A builder that types and folds with this table."""
    return GraphBuilder(SEMANTICS, name, source)


def reference_of(op: str) -> interpreter.Reference:
    return OPERATORS[op].reference


def lower_of(op: str) -> LowerFunction:
    return OPERATORS[op].lower


def layout_of(op: str) -> layout.Policy:
    return OPERATORS[op].layout


def named(asked: Callable[[Operator], bool]) -> str:
    """The names of all operators of which that is true, as patterns list them: `"Slice|Split"`."""
    return "|".join(name for name, row in OPERATORS.items() if asked(row))
