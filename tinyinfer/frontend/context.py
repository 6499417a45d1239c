"""What a converter sees of the ONNX node it converts, and the table's types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import GraphProto, TensorProto

from tinyinfer import registry
from tinyinfer.errors import ModelError, ShapeError, TinyInferError, UnsupportedError
from tinyinfer.frontend.problems import OperandError
from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.types import Array, DType


@dataclass(frozen=True)
class Context:
    """One ONNX node during import: its operands as values, its attributes with ONNX's defaults filled in.

    Nodes added through `result` carry the names of the ONNX node and of its outputs; those added through `step` are
    auxiliary and named after them.
    """

    op: str
    name: str
    opset: int
    inputs: tuple[Value | None, ...]
    operand_names: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    builder: GraphBuilder
    source: str
    is_read: Callable[[str], bool]  # whether anything reads the tensor of this name
    inline: Callable[[GraphProto], tuple[Value, ...]]  # converts a subgraph in place
    tensor: Callable[[TensorProto], Array]
    way_out: Callable[[Value], str]  # how to make a value known when compiling

    # operands

    def input(self, index: int = 0) -> Value:
        """A required operand (the schema check has seen that it is present)."""
        value = self.inputs[index]
        assert value is not None
        return value

    def optional(self, index: int) -> Value | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int) -> Array | None:
        """The elements of an operand that has to be known when compiling; None where it is absent."""
        value = self.optional(index)
        if value is None:
            return None
        if value.data is None:
            name = self.operand_names[min(index, len(self.operand_names) - 1)]
            raise self.error(
                f"input {index} ({name}) is {value.name!r}, which is only known at run time; "
                f"accepted: constants and what follows from constants and shapes{self.way_out(value)}",
                OperandError,
            )
        return value.data

    def ints(self, index: int) -> tuple[int, ...] | None:
        """A constant operand of integers (shape, axes, pads, …), flattened."""
        data = self.constant(index)
        if data is None:
            return None
        if data.ndim > 1:
            name = self.operand_names[min(index, len(self.operand_names) - 1)]
            raise self.error(f"input {index} ({name}) has shape {list(data.shape)}; expected a list")
        return tuple(int(i) for i in data.reshape(-1))

    # attributes

    def attr(self, name: str) -> Any:
        """An attribute as given or by default; None where there is neither, or where this opset has no such one."""
        return self.attrs.get(name)

    def choice(self, name: str, *accepted: str) -> str:
        """A string attribute that must be one of `accepted`."""
        value = self.attr(name)
        if value not in accepted:
            raise self.rejected(name, value, " or ".join(accepted))
        return str(value)

    def flag(self, name: str) -> bool:
        """An integer attribute that stands for a boolean; absent counts as false."""
        return bool(self.attr(name) or 0)

    # canonical forms

    def axis(self, value: int, rank: int, what: str = "axis") -> int:
        """`value` as a non-negative axis of a tensor of `rank` dimensions."""
        if not -rank <= value < rank:
            raise self.error(f"{what} {value} is outside a tensor of rank {rank}", ShapeError)
        return value % rank

    def axes(self, values: Sequence[int], rank: int) -> tuple[int, ...]:
        """Distinct non-negative axes in the order given."""
        axes = tuple(self.axis(v, rank, "axes:") for v in values)
        if len(set(axes)) != len(axes):
            raise self.error(f"axes {tuple(values)} name an axis twice", ShapeError)
        return axes

    # building

    def result(self, op: str, *inputs: Value | None, **attrs: Any) -> Value:
        """The node that computes the only output, or the first of which the others are left out."""
        self._require_known(op)
        return self.builder.add1(op, *inputs, name=self.name, output=self.outputs[0], **attrs)

    def results(self, op: str, *inputs: Value | None, **attrs: Any) -> tuple[Value, ...]:
        """The node that computes all outputs, in ONNX's order."""
        self._require_known(op)
        return self.builder.add(op, *inputs, name=self.name, outputs=self.outputs, **attrs)

    def step(self, op: str, *inputs: Value | None, **attrs: Any) -> Value:
        """An auxiliary node with one output."""
        self._require_known(op)
        return self.builder.add1(op, *inputs, name=f"{self.name}/{op}", output=self._auxiliary(op), **attrs)

    def fixed(self, array: Array) -> Value:
        """A constant that is the output itself."""
        return self.builder.constant(array, self.outputs[0])

    def scalar(self, value: float, dtype: DType) -> Value:
        """An auxiliary constant of rank 0."""
        return self.builder.constant(np.asarray(value, dtype.numpy), self._auxiliary("const"))

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        """`x` under a new shape, as an auxiliary node where the shape differs."""
        return x if x.shape == shape else self.step("Reshape", x, shape=shape)

    def reshaped(self, x: Value, shape: tuple[int, ...]) -> Value:
        """`x` under a new shape, as the output."""
        return x if x.shape == shape else self.result("Reshape", x, shape=shape)

    def _auxiliary(self, what: str) -> str:
        return f"{next(filter(None, self.outputs), self.name)}/{what}"

    def _require_known(self, op: str) -> None:
        if op not in registry.OPERATORS:
            raise self.error(f"the operator {op} is not supported", UnsupportedError)

    # errors

    @property
    def where(self) -> str:
        """Which file, node and operator this is."""
        return f"{self.source}: node {self.name} ({self.op})"

    def error(self, message: str, kind: type[TinyInferError] = ModelError) -> TinyInferError:
        """An error that says which file, node and operator it is about."""
        return kind(f"{self.where}: {message}")

    def rejected(self, attribute: str, value: Any, accepted: str) -> TinyInferError:
        """An error about an attribute value that is valid ONNX but not supported."""
        return self.error(f"attribute {attribute} is {value!r}; accepted: {accepted}", UnsupportedError)


# A converter returns the node's outputs. Outputs it leaves out are not supported: reading them is an error.
Converter = Callable[[Context], "Value | tuple[Value, ...]"]
