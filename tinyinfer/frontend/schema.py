"""Checks one node against ONNX's own schema of its operator and reads its attributes, defaults filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import onnx.defs
from onnx import AttributeProto, NodeProto
from onnx.defs import OpSchema

from tinyinfer.frontend import contrib
from tinyinfer.types import DType

_A = AttributeProto
_READERS: dict[int, Callable[[AttributeProto], Any]] = {
    _A.FLOAT: lambda a: a.f,
    _A.INT: lambda a: a.i,
    _A.STRING: lambda a: a.s.decode("utf-8", "replace"),
    _A.TENSOR: lambda a: a.t,
    _A.GRAPH: lambda a: a.g,
    _A.SPARSE_TENSOR: lambda a: a.sparse_tensor,
    _A.TYPE_PROTO: lambda a: a.tp,
    _A.FLOATS: lambda a: tuple(a.floats),
    _A.INTS: lambda a: tuple(a.ints),
    _A.STRINGS: lambda a: tuple(s.decode("utf-8", "replace") for s in a.strings),
}
_OPTION = OpSchema.FormalParameterOption
_ONNX_NAMES = {DType.FLOAT: "float"}


@cache
def find(op: str, opset: int, domain: str = "") -> OpSchema | None:
    """The schema of `op` in this version of the default operator set, or of another domain's only version, or None."""
    if domain:
        return contrib.SCHEMAS.get(f"{domain}::{op}")
    try:
        return onnx.defs.get_schema(op, opset, "")
    except onnx.defs.SchemaError:
        return None


@cache
def operand_names(schema: OpSchema) -> tuple[str, ...]:
    """ONNX's names of the formal inputs."""
    return tuple(formal.name for formal in schema.inputs)


def attributes(node: NodeProto, schema: OpSchema) -> tuple[Mapping[str, Any], str]:
    """Attribute values by name, defaults filled in, and "" or what is wrong with the node."""
    problem = _arity(node, schema)
    declared, defaults, required = _declared(schema)
    values = dict(defaults)
    given: set[str] = set()
    for attribute in node.attribute:
        formal = declared.get(attribute.name)
        if formal is None:
            known = ", ".join(sorted(declared)) or "none"
            problem = problem or f"attribute {attribute.name} does not exist in this opset; attributes: {known}"
            continue
        kind = int(formal.type.value)
        if attribute.ref_attr_name or attribute.type not in (kind, _A.UNDEFINED) or kind not in _READERS:
            expected = formal.type.name.lower()
            problem = problem or f"attribute {attribute.name} has the wrong type; expected {expected}"
            continue
        given.add(attribute.name)
        values[attribute.name] = _READERS[kind](attribute)
    missing = sorted(required - given)
    if missing:
        problem = problem or f"attribute {missing[0]} is required"
    return values, problem


@cache
def _declared(schema: OpSchema) -> tuple[Mapping[str, Any], Mapping[str, Any], set[str]]:
    """The attributes of an operator: declarations and defaults by name, and the names of those that are required."""
    declared = dict(schema.attributes)
    defaults = {name: formal.default_value for name, formal in declared.items()}
    given = {name: _READERS[d.type](d) for name, d in defaults.items() if d.type != _A.UNDEFINED}
    return declared, given, {name for name, formal in declared.items() if formal.required}


def accepted(formal: OpSchema.FormalParameter) -> tuple[DType, ...]:
    """The element types of ours that an input or output may have."""
    return tuple(t for t in DType if f"tensor({_ONNX_NAMES.get(t, t.value)})" in formal.types)


@cache
def _formals(schema: OpSchema) -> tuple[tuple[OpSchema.FormalParameter, tuple[DType, ...]], ...]:
    """The formal inputs, and the element types of ours that each takes."""
    return tuple((formal, accepted(formal)) for formal in schema.inputs)


def type_problem(schema: OpSchema, inputs: Sequence[DType | None]) -> str:
    """Which input has an element type that the operator does not take, or not beside the others; empty if none."""
    chosen: dict[str, DType] = {}
    formals = _formals(schema)
    for i, dtype in enumerate(inputs):
        if dtype is None:
            continue
        formal, takes = formals[min(i, len(formals) - 1)]
        if dtype not in takes:
            names = ", ".join(t.value for t in takes) or "no type that TinyInfer has"
            return f"input {i} ({formal.name}) is {dtype.value}; accepted in this opset: {names}"
        if formal.is_homogeneous and chosen.setdefault(formal.type_str, dtype) is not dtype:
            return f"input {i} ({formal.name}) is {dtype.value}; expected {chosen[formal.type_str].value} as before it"
    return ""


_NUMPY_NAMES = {"float32": "float", "float64": "double"}


def constant_problem(schema: OpSchema, inputs: Sequence[str | None]) -> str:
    """`type_problem` for element types by NumPy's names, also of constants; operands that are absent are None."""
    chosen: dict[str, str] = {}
    for i, dtype in enumerate(inputs):
        if dtype is None:
            continue
        formal, name = schema.inputs[min(i, len(schema.inputs) - 1)], _NUMPY_NAMES.get(dtype, dtype)
        if f"tensor({name})" not in formal.types:
            return f"input {i} ({formal.name}) is {dtype}, which this opset does not accept"
        if formal.is_homogeneous and chosen.setdefault(formal.type_str, name) != name:
            return f"input {i} ({formal.name}) is {dtype}; expected {chosen[formal.type_str]} as before it"
    return ""


def _arity(node: NodeProto, schema: OpSchema) -> str:
    if not schema.min_input <= len(node.input) <= schema.max_input:
        return f"{len(node.input)} inputs; expected {_range(schema.min_input, schema.max_input)}"
    if not schema.min_output <= len(node.output) <= schema.max_output:
        return f"{len(node.output)} outputs; expected {_range(schema.min_output, schema.max_output)}"
    for i, name in enumerate(node.input):
        if name:
            continue
        formal = schema.inputs[min(i, len(schema.inputs) - 1)]
        if formal.option != _OPTION.Optional:
            return f"input {i} ({formal.name}) is required"
    return ""


def _range(least: int, most: int) -> str:
    if least == most:
        return str(least)
    return f"{least} or more" if most > 1 << 16 else f"{least} to {most}"
