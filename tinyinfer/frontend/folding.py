"""Nodes with operands of element types that values do not have: folded exactly, or converted on what stands for them.

`wide` says what constants of these types are, `carried` what may be done with them at run time.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from onnx import NodeProto, TensorProto
from onnx.defs import OpSchema

from tinyinfer.errors import ModelError, ShapeError, UnsupportedError
from tinyinfer.frontend import carried, schema, tensors, wide, wide_functions
from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.types import Array

WAY_OUT = "values at run time are " + tensors.ACCEPTED + "; cast it to one of them in the model"


class Tensors(Protocol):
    """The tensors of the model that is imported."""

    def initializer(self, name: str) -> TensorProto | None:
        """The initializer of this name, unless it has been read or is not known."""

    def array(self, tensor: TensorProto, reader: str) -> Array:
        """The elements of a tensor."""

    def operand(self, name: str, reader: str) -> Value:
        """The value of a tensor of a type that values have."""

    def define(self, name: str, value: Value, where: str) -> None:
        """Give a tensor its value."""

    def require_new(self, name: str, where: str) -> None:
        """Raise ModelError where a tensor of this name exists."""


# Converts the node on these values, or on those of its own operands where that is empty.
Convert = Callable[[NodeProto, Mapping[int, Value]], Sequence[Value]]


@dataclass
class Folding:
    """The tensors of such types by name: constants with their elements, others as the values that stand for them."""

    tensors: Tensors
    builder: GraphBuilder
    source: str
    opset: int
    constants: MutableMapping[str, Array] = field(default_factory=dict)
    values: MutableMapping[str, Value] = field(default_factory=dict)
    kinds: MutableMapping[str, str] = field(default_factory=dict)  # of `values`: the element types stood for

    @contextmanager
    def scope(self) -> Iterator[None]:
        """A subgraph, whose tensors are not seen around it."""
        around = (self.constants, self.values, self.kinds)
        self.constants, self.values = ChainMap({}, self.constants), ChainMap({}, self.values)
        self.kinds = ChainMap({}, self.kinds)
        try:
            yield
        finally:
            self.constants, self.values, self.kinds = around

    def kind(self, name: str, reader: str) -> str | None:
        """The element type of a tensor, if it is one that values do not have."""
        tensor = None if name in self.constants or name in self.values else self.tensors.initializer(name)
        if tensor is not None:
            if tensor.data_type == TensorProto.BFLOAT16:
                self._carry(name, self.builder.constant(self.tensors.array(tensor, reader), name), "bfloat16")
            elif tensors.numpy_of(tensor.data_type) in wide.DTYPES:
                self.constants[name] = self.tensors.array(tensor, reader)
        return self.constants[name].dtype.name if name in self.constants else self.kinds.get(name)

    def has(self, name: str) -> bool:
        return name in self.constants or name in self.values

    def refused(self, name: str) -> str:
        """What such a tensor is, for a message that it is not accepted."""
        if name in self.constants:
            return f"a constant of {self.constants[name].dtype}; {WAY_OUT}"
        return f"which would be {self.kinds[name]} at run time; {WAY_OUT}"

    def take(self, node: NodeProto, formal: OpSchema, attrs: Mapping[str, Any], where: str, convert: Convert) -> bool:
        """Define the outputs of a node with operands or results of such types; whether it was one."""
        reader = where.removeprefix(f"{self.source}: ")
        kinds = {k: kind for k, name in enumerate(node.input) if name and (kind := self.kind(name, reader))}
        if not kinds:
            return self._make(node, attrs, reader)
        operands = [None if not name or k in kinds else self.tensors.operand(name, reader) for k, name in
                    enumerate(node.input)]  # fmt: skip
        named = [kinds.get(k) or (None if v is None else v.dtype.value) for k, v in enumerate(operands)]
        arrays = [self.constants.get(name) if k in kinds else None if (v := operands[k]) is None else v.data
                  for k, name in enumerate(node.input)]  # fmt: skip
        known = all(array is not None for name, array in zip(node.input, arrays, strict=True) if name)
        problem = schema.constant_problem(formal, named)
        if self._is_rounded(node, kinds) and not (problem and wide_functions.has(node.op_type)):
            return False
        if problem and (known or wide.moves(node.op_type, self.opset)):
            raise ModelError(f"{where}: {problem}")
        if node.op_type in ("Cast", "CastLike"):
            self._cast(node, attrs, arrays[0], named, where, convert)
        elif wide.moves(node.op_type, self.opset) and known:
            self._move(node, kinds, where, convert)
        elif known and wide_functions.has(node.op_type):
            call = wide_functions.Call(node.op_type, tuple(arrays), attrs, self.opset)
            result = self._located(lambda: wide_functions.apply(call, self._spend))
            self._define_constant(node.output[0], result, where)
        elif not problem and carried.is_exact(
            node.op_type, set(kinds.values()), attrs, self.opset, sum(map(bool, node.input))
        ):
            self._convert_carried(node, formal, kinds, where, convert)
        else:
            k, kind = next(iter(kinds.items()))
            what = "a constant of " if node.input[k] in self.constants else ""
            raise UnsupportedError(
                f"{where}: input {k} ({node.input[k]!r}) is {what}{kind}, in which nothing is computed at run time; "
                f"{WAY_OUT}"
            )
        return True

    def rounded(self, name: str) -> Value:
        """A constant, or what stands for one, for an operator that rounds it to float32."""
        if name in self.values:
            return self.values[name]
        with np.errstate(all="ignore"):
            return self.builder.constant(self.constants[name].astype(np.float32), name)

    def _is_rounded(self, node: NodeProto, kinds: Mapping[int, str]) -> bool:
        """Whether the operator takes its operands of such types as float32, beside float32."""
        return set(kinds) <= wide.ROUNDED.get(node.op_type, set())

    def _carry(self, name: str, value: Value, kind: str) -> None:
        if name:
            self.values[name], self.kinds[name] = value, kind

    def _stand_in(self, name: str) -> Value:
        if name in self.values:
            return self.values[name]
        array = self.constants[name]
        with np.errstate(all="ignore"):
            return self.builder.constant(array.astype(carried.CARRIERS[array.dtype.name].dtype.numpy), name)

    def _convert_carried(
        self, node: NodeProto, formal: OpSchema, kinds: Mapping[int, str], where: str, convert: Convert
    ) -> None:
        """Convert the node on what stands for its operands; results of their type are stood for too."""
        values = convert(node, {k: self._stand_in(node.input[k]) for k in kinds})
        of = {formal.inputs[min(k, len(formal.inputs) - 1)].type_str: kind for k, kind in kinds.items()}
        for k, (name, value) in enumerate(zip(node.output, values, strict=False)):
            kind = of.get(formal.outputs[min(k, len(formal.outputs) - 1)].type_str)
            if kind is None:
                self.tensors.define(name, value, where)
            elif name:
                self.tensors.require_new(name, where)
                self._carry(name, value, kind)

    def _cast(
        self, node: NodeProto, attrs: Mapping[str, Any], array: Array | None, kinds: Sequence[str | None], where: str,
        convert: Convert,
    ) -> None:  # fmt: skip
        source, to = node.input[0], _cast_to(attrs["to"]) if node.op_type == "Cast" else kinds[1]
        numpy = None if to in (None, "bfloat16") else np.dtype(to)
        if array is not None and numpy is not None:
            self._define_constant(node.output[0], wide.cast(array, numpy), where)
        elif to is not None and to == kinds[0]:
            self.tensors.require_new(node.output[0], where)
            self._carry(node.output[0], self.values[source], to)
        elif (kind := kinds[0]) in carried.CARRIERS and kind and to in {t.value for t in carried.CARRIERS[kind].casts}:
            self.tensors.define(node.output[0], convert(node, {0: self._stand_in(source)})[0], where)
        else:
            wanted = to or tensors.type_name(attrs["to"])
            raise UnsupportedError(
                f"{where}: a Cast from {kinds[0]} to {wanted} at run time is not supported; {WAY_OUT}"
            )

    def _make(self, node: NodeProto, attrs: Mapping[str, Any], reader: str) -> bool:
        """Define the output of a node that makes a constant of such a type out of others."""
        where = f"{self.source}: {reader}"
        tensor = attrs.get("value")
        if node.op_type in ("Constant", "ConstantOfShape") and isinstance(tensor, TensorProto):
            return self._make_tensor(node, tensor, reader, where)
        if node.op_type != "Cast":
            return False
        array, to = self.tensors.operand(node.input[0], reader).data, tensors.numpy_of(attrs["to"])
        if array is None or to not in wide.DTYPES or to is None:
            return False
        self._define_constant(node.output[0], wide.cast(array, to), where)
        return True

    def _make_tensor(self, node: NodeProto, tensor: TensorProto, reader: str, where: str) -> bool:
        """Constant or ConstantOfShape with the attribute value."""
        narrow = tensor.data_type == TensorProto.BFLOAT16
        if not narrow and tensors.numpy_of(tensor.data_type) not in wide.DTYPES:
            return False
        array = self.tensors.array(tensor, reader)
        if node.op_type == "ConstantOfShape":
            dims = self.tensors.operand(node.input[0], reader).data
            if dims is None or tensor.dims not in ([], [1]):
                return False
            array = self._located(lambda: wide.full(tuple(map(int, dims)), array, self._spend))
        if not narrow:
            self._define_constant(node.output[0], array, where)
            return True
        self.tensors.require_new(node.output[0], where)
        self._carry(node.output[0], self.builder.constant(array, node.output[0]), "bfloat16")
        return True

    def _move(self, node: NodeProto, kinds: Mapping[int, str], where: str, convert: Convert) -> None:
        """Let the ordinary converter move the bits of constants."""
        dtype = np.dtype(next(iter(kinds.values())))
        values = convert(node, {k: self._bits(node.input[k]) for k in kinds})
        for name, value in zip(node.output, values, strict=False):
            if node.op_type in wide.WITHOUT_ELEMENTS:
                self.tensors.define(name, value, where)
            elif value.data is None:  # too large to be a constant
                raise UnsupportedError(f"{where}: its result would be {dtype.name} at run time; {WAY_OUT}")
            else:
                self._define_constant(name, wide.from_bits(value.data, dtype), where)

    def _bits(self, name: str) -> Value:
        return self.builder.constant(wide.bits(self.constants[name]), name)

    def _define_constant(self, name: str, array: Array, where: str) -> None:
        if array.dtype not in wide.DTYPES:
            self.tensors.define(name, self.builder.constant(array, name), where)
        elif name:
            self.tensors.require_new(name, where)
            self.constants[name] = array

    def _spend(self, count: int, item_size: int) -> None:
        self.builder.compute(count * item_size, count, "")

    def _located(self, compute: Callable[[], Array]) -> Array:
        where = f"{self.source}: {self.builder.subject}"
        try:
            return compute()
        except ModelError as error:
            raise type(error)(f"{where}: {error}") from None
        except ValueError as error:  # shapes that do not fit
            raise ShapeError(f"{where}: {error}") from None


def _cast_to(data_type: int) -> str | None:
    """An element type by NumPy's name; None where constants do not have it."""
    if data_type == TensorProto.BFLOAT16:
        return "bfloat16"
    dtype = tensors.numpy_of(data_type)
    return None if dtype is None else dtype.name
