"""How much a model may ask for while it is compiled: a file of some bytes can stand for work or memory without end.

Each limit can be raised by the environment variable `TINYINFER_MAX_` and its name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from tinyinfer.errors import LimitError, TinyInferError


@dataclass(frozen=True)
class Limit:
    """At most `default` of `what`, unless the environment says otherwise."""

    name: str
    default: int
    what: str

    @property
    def variable(self) -> str:
        return f"TINYINFER_MAX_{self.name}"

    @property
    def value(self) -> int:
        """TinyInferError where the variable holds no number."""
        text = os.environ.get(self.variable, "")
        if text and not (text.isascii() and text.isdigit()):
            raise TinyInferError(f"{self.variable}={text!r}; expected a whole number, the {self.what} to accept")
        return int(text or self.default)

    def check(self, number: int, where: str = "", more: int = 0) -> None:
        """LimitError if there are more than the limit and `more`, which a model is allowed for what it holds."""
        accepted = self.value + more
        if number > accepted:
            raise LimitError(
                f"{where}{': ' if where else ''}{number:,} {self.what}; accepted: {accepted:,} "
                f"(to raise the limit, set {self.variable})"
            )


NODES = Limit("NODES", 1 << 20, "nodes in the graph, those of subgraphs included")
FUNCTION_NODES = Limit("FUNCTION_NODES", 10_000, "nodes that calls of the model's functions stand for")
FUNCTION_BYTES = Limit("FUNCTION_BYTES", 1 << 26, "bytes of nodes that calls of the model's functions stand for")
NESTING = Limit("NESTING", 64, "levels of functions or subgraphs inside each other")

CONSTANT_BYTES = Limit("CONSTANT_BYTES", 1 << 26, "bytes of constants computed from others")
"""Beyond eight for each byte of the file's constants. What would fold beyond that is computed when running."""
CONSTANT_WORK = Limit("CONSTANT_WORK", 1 << 28, "steps of computing constants from others")
"""Of some nanoseconds each, beyond sixteen for each element of the file's constants. Then as `CONSTANT_BYTES`."""

TABLE_ELEMENTS = Limit("TABLE_ELEMENTS", 1 << 21, "elements of tables for resampling, pooling and padding")
NODE_CALLS = Limit("NODE_CALLS", 1 << 14, "kernel calls for one node")
"""Beyond sixteen for each operand and result."""
PLAN_CALLS = Limit("PLAN_CALLS", 1 << 18, "kernel calls in a plan")
"""Beyond sixteen for each node, operand and result."""

ALL = [
    NODES, FUNCTION_NODES, FUNCTION_BYTES, NESTING, CONSTANT_BYTES, CONSTANT_WORK, TABLE_ELEMENTS, NODE_CALLS,
    PLAN_CALLS,
]  # fmt: skip

ADDRESSES = 1 << 32
"""Bytes that a WebAssembly memory can have."""
INTEGERS = (1 << 31) - 1
"""The largest number that a kernel takes."""
