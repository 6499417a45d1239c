"""What a model has and TinyInfer does not run: collected while a model is imported, then reported at once."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from tinyinfer.errors import TinyInferError, UnsupportedError
from tinyinfer.graph import GraphBuilder, Value

# Kinds of problems listed; a file of a million different ones gets a message that can be read.
MAX_LINES = 100
# Inputs named as the source of a value.
MAX_ORIGINS = 4
OPERATORS_WAY_OUT = "Export the model without them, or end it before them; docs/operators.md lists what is supported."


class OperandError(UnsupportedError):
    """Not supported because of what an operand holds, or because only a run tells what it holds."""


class FollowingError(UnsupportedError):
    """Follows from a problem that has been reported."""


@dataclass
class Problems:
    """The problems of one model. Operators are counted by type, others by what is wrong apart from names."""

    source: str
    _operators: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, str] = field(default_factory=dict)
    _others: dict[str, list[str]] = field(default_factory=dict)

    def operator(self, label: str, node: str) -> None:
        """An operator that has no converter."""
        self._operators[label] += 1
        self._examples.setdefault(label, node)

    def add(self, error: TinyInferError) -> None:
        """Anything else, as the error that says it. What only follows from other problems is left out."""
        if not isinstance(error, FollowingError):
            text = str(error).removeprefix(f"{self.source}: ")
            self._others.setdefault(_kind(text), []).append(text)

    def report(self) -> None:
        """Raise UnsupportedError with all of them, if there are any."""
        lines = [texts[0] + _more(len(texts)) for texts in self._others.values()]
        if len(lines) == 1 and not self._operators:
            raise UnsupportedError(f"{self.source}: {lines[0]}")
        parts = []
        if self._operators:
            plural = "operator is" if len(self._operators) == 1 else "operators are"
            counts = self._operators.most_common()
            listed = [f"{label} ×{n}, for example node {self._examples[label]}" for label, n in counts]
            parts += [f"{len(counts)} {plural} not supported:", *_indented(listed), f"  {OPERATORS_WAY_OUT}"]
        if lines:
            parts += [f"{len(lines)} other {'thing is' if len(lines) == 1 else 'things are'} not supported:"]
            parts += _indented(lines)
        if parts:
            raise UnsupportedError(f"{self.source}: " + "\n".join(parts))


def _kind(text: str) -> str:
    """A message without the names, numbers and shapes in it."""
    return re.sub(r"node .*? \((?=\S+\):)|'[^']*'|\[[^]]*\]|\d+", "", text)


def _more(count: int) -> str:
    return f" (and {count - 1} more of this kind)" if count > 1 else ""


def _indented(lines: list[str]) -> list[str]:
    left = len(lines) - MAX_LINES
    return [f"  {line}" for line in lines[:MAX_LINES]] + ([f"  … and {left} more"] if left > 0 else [])


class Origins:
    """Which inputs of the graph a value is computed from; each node is looked at once."""

    def __init__(self, builder: GraphBuilder) -> None:
        self._builder = builder
        self._of: dict[Value, tuple[str, ...]] = {}
        self._seen = 0

    def way_out(self, value: Value) -> str:
        """What to do so that `value` is known when compiling."""
        inputs = self._inputs(value)
        if not inputs:
            return ""
        listed = ", ".join(map(repr, inputs))
        if all(self._builder.inputs[name].type.size <= 1 for name in inputs):
            return f"; freeze input {listed} to a constant: make it an initializer of the model"
        return f"; it follows from input {listed}: make that a constant, or end the model before this node"

    def _inputs(self, value: Value) -> tuple[str, ...]:
        for name, source in self._builder.inputs.items():
            self._of.setdefault(source, (name,))
        for node in self._builder.nodes[self._seen :]:
            found = dict.fromkeys(name for v in node.operands for name in self._of.get(v, ()))
            self._of.update(dict.fromkeys(node.outputs, tuple(found)[:MAX_ORIGINS]))
        self._seen = len(self._builder.nodes)
        return self._of.get(value, ())
