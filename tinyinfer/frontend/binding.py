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


@dataclass(frozen=True)
class Bound:
    """Static types of inputs by name, and what stands in the way of a complete list.

    Inputs of types that are not supported are left out and in `refused`. `open` says what binds the dimensions that
    are still open; they are 1 in `types`, and the inputs that have them are in `doubtful`.
    """

    types: Mapping[str, TensorType]
    refused: Sequence[UnsupportedError]
    open: ShapeError | None
    doubtful: frozenset[str]

    def complete(self) -> Mapping[str, TensorType]:
        """The types where nothing stands in the way; otherwise that is raised."""
        for error in (*self.refused, self.open):
            if error is not None:
                raise error
        return self.types


def bind(inputs: Sequence[ValueInfoProto], shapes: Mapping[str, Sequence[int]], source: str) -> Bound:
    """Static types of `inputs`. `shapes` maps input names to full shapes. Raises ShapeError where they do not fit."""
    declared: dict[str, _Input] = {}
    refused = []
    for info in inputs:
        try:
            declared[info.name] = _declared(info, source)
        except UnsupportedError as error:
            refused.append(error)
    names = [info.name for info in inputs]
    unknown = sorted(set(shapes) - set(names))
    if unknown:
        listed = ", ".join(map(repr, names)) or "none"
        raise ShapeError(f"{source}: shapes given for {', '.join(map(repr, unknown))}; inputs of the model: {listed}")
    symbols: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in declared:
            continue
        _apply(declared[name], _numbers(name, shape, source), symbols, source)
    for item in declared.values():
        if item.dims and isinstance(item.dims[0], str):
            symbols.setdefault(item.dims[0], 1)
    for item in declared.values():
        if item.dims is not None:
            bound = [symbols.get(d, d) if isinstance(d, str) else d for d in item.dims]
            item.dims = [1 if i == 0 and d is None else d for i, d in enumerate(bound)]
    unbound = [
        item for item in declared.values() if item.dims is None or not all(isinstance(d, int) for d in item.dims)
    ]
    types = {
        name: TensorType(item.dtype, tuple(d if isinstance(d, int) else 1 for d in item.dims))
        for name, item in declared.items()
        if item.dims is not None
    }
    return Bound(types, refused, _what_to_bind(unbound, source), frozenset(item.name for item in unbound))


def open_dimensions(info: ValueInfoProto) -> str:
    """What an input leaves open and the option that binds it; empty where nothing is open."""
    tensor = info.type.tensor_type
    dims = [_dim(d) for d in tensor.shape.dim] if tensor.HasField("shape") else None
    if dims is not None and all(isinstance(d, int) for d in dims):
        return ""
    return _how_to_bind(_Input(info.name, DType.FLOAT, dims))


def _declared(info: ValueInfoProto, source: str) -> _Input:
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "no type").replace("_type", "")
        raise UnsupportedError(
            f"{source}: input {info.name!r} is declared as {what}; accepted: tensors; "
            "give its elements as inputs of their own"
        )
    tensor = info.type.tensor_type
    dtype = tensors.dtype_of(tensor.elem_type)
    if dtype is None:
        raise UnsupportedError(
            f"{source}: input {info.name!r} has element type {tensors.type_name(tensor.elem_type)}; "
            f"accepted: {tensors.ACCEPTED}; declare one of them, and remove or change the Cast after it"
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


def _what_to_bind(inputs: Sequence[_Input], source: str) -> ShapeError | None:
    lines = [_how_to_bind(item) for item in inputs]
    if not lines:
        return None
    return ShapeError("\n  ".join([f"{source}:", *lines]) if len(lines) > 1 else f"{source}: {lines[0]}")


def _how_to_bind(item: _Input) -> str:
    if item.dims is None:
        return f"input {item.name!r} declares no shape; give --shape {item.name}=…"
    wanted = "x".join(str(d) if isinstance(d, int) else "?" for d in item.dims)
    return (
        f"input {item.name!r} has open dimensions {_show(item.dims)}; "
        f"give --shape {item.name}={wanted} with a number for every ?"
    )


def _show(dims: Sequence[Dim]) -> str:
    return "[" + ", ".join("?" if d is None else str(d) for d in dims) + "]"
