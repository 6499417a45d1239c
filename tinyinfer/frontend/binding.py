"""Binding open dimensions: declared input types and the shapes a user gives → static types.

A symbolic dimension bound for one input holds for every input that names it. An open first dimension (the batch)
that nobody binds is 1; any other open dimension is an error that says what to give.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import TensorShapeProto, ValueInfoProto

from tinyinfer.errors import ShapeError, UnsupportedError
from tinyinfer.frontend import tensors
from tinyinfer.types import DType, TensorType

# A dimension: a number, a symbol shared by all inputs, or None (open, without a name).
Dim = int | str | None


@dataclass
class _Input:
    name: str
    dtype: DType
    dims: list[Dim] | None  # None: not even the rank is declared


def bind(inputs: Sequence[ValueInfoProto], shapes: Mapping[str, Sequence[int]], source: str) -> dict[str, TensorType]:
    """Static types of `inputs`. `shapes` maps input names to full shapes. Raises ShapeError or UnsupportedError."""
    declared = {info.name: _declared(info, source) for info in inputs}
    unknown = sorted(set(shapes) - set(declared))
    if unknown:
        names = ", ".join(map(repr, declared)) or "none"
        raise ShapeError(f"{source}: shapes given for {', '.join(map(repr, unknown))}; inputs of the model: {names}")
    symbols: dict[str, int] = {}
    for name, shape in shapes.items():
        _apply(declared[name], _numbers(name, shape, source), symbols, source)
    for item in declared.values():
        if item.dims and isinstance(item.dims[0], str):
            symbols.setdefault(item.dims[0], 1)
    for item in declared.values():
        if item.dims is not None:
            bound = [symbols.get(d, d) if isinstance(d, str) else d for d in item.dims]
            item.dims = [1 if i == 0 and d is None else d for i, d in enumerate(bound)]
    _require_bound(list(declared.values()), source)
    return {
        name: TensorType(item.dtype, tuple(d for d in item.dims or () if isinstance(d, int)))
        for name, item in declared.items()
    }


def _declared(info: ValueInfoProto, source: str) -> _Input:
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "no type").replace("_type", "")
        raise UnsupportedError(f"{source}: input {info.name!r} is declared as {what}; accepted: tensors")
    tensor = info.type.tensor_type
    dtype = tensors.dtype_of(tensor.elem_type)
    if dtype is None:
        raise UnsupportedError(
            f"{source}: input {info.name!r} has element type {tensors.type_name(tensor.elem_type)}; "
            f"accepted: {tensors.ACCEPTED}"
        )
    return _Input(info.name, dtype, [_dim(d) for d in tensor.shape.dim] if tensor.HasField("shape") else None)


def _dim(dim: TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value >= 0 else None  # some exporters write -1 for an open dimension
    return dim.dim_param if dim.dim_param not in ("", "?") else None


def _numbers(name: str, shape: Sequence[int], source: str) -> tuple[int, ...]:
    try:
        numbers = tuple(operator.index(d) for d in shape)
    except TypeError:
        numbers = (-1,)
    if any(d < 0 for d in numbers):
        raise ShapeError(f"{source}: the shape given for input {name!r} is {shape!r}; expected non-negative integers")
    return numbers


def _apply(item: _Input, given: tuple[int, ...], symbols: dict[str, int], source: str) -> None:
    """Replace the dimensions of `item` by the given ones, which must agree with what the file fixes."""
    declared = item.dims if item.dims is not None else [None] * len(given)
    where = f"{source}: the shape given for input {item.name!r} is {'x'.join(map(str, given)) or 'empty'}"
    if len(declared) != len(given):
        raise ShapeError(f"{where}, of rank {len(given)}; expected rank {len(declared)}: {_show(declared)}")
    for axis, (dim, number) in enumerate(zip(declared, given, strict=True)):
        if isinstance(dim, int) and dim != number:
            raise ShapeError(f"{where}; the file fixes dimension {axis} at {dim}: {_show(declared)}")
        if isinstance(dim, str) and symbols.setdefault(dim, number) != number:
            raise ShapeError(f"{where}; dimension {axis} ({dim}) is bound to {symbols[dim]} already")
    item.dims = list(given)


def _require_bound(inputs: Sequence[_Input], source: str) -> None:
    lines = []
    for item in inputs:
        if item.dims is None:
            lines.append(f"input {item.name!r} declares no shape; give --shape {item.name}=…")
        elif any(not isinstance(d, int) for d in item.dims):
            wanted = "x".join(str(d) if isinstance(d, int) else "?" for d in item.dims)
            lines.append(
                f"input {item.name!r} has open dimensions {_show(item.dims)}; "
                f"give --shape {item.name}={wanted} with a number for every ?"
            )
    if lines:
        raise ShapeError("\n  ".join([f"{source}:", *lines]) if len(lines) > 1 else f"{source}: {lines[0]}")


def _show(dims: Sequence[Dim]) -> str:
    return "[" + ", ".join("?" if d is None else str(d) for d in dims) + "]"
