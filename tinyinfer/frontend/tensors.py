"""TensorProto → array, from the model itself or from external data beside it, in the element type that it has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from tinyinfer.errors import ModelError, UnsupportedError
from tinyinfer.types import Array, DType

# TensorProto.DataType → (little-endian NumPy type, the typed field that may hold the elements).
_STORAGE: dict[int, tuple[str, str]] = {
    TensorProto.FLOAT: ("<f4", "float_data"),
    TensorProto.DOUBLE: ("<f8", "double_data"),
    TensorProto.FLOAT16: ("<f2", "int32_data"),
    TensorProto.BFLOAT16: ("<u2", "int32_data"),
    TensorProto.INT64: ("<i8", "int64_data"),
    TensorProto.INT32: ("<i4", "int32_data"),
    TensorProto.UINT8: ("|u1", "int32_data"),
    TensorProto.INT8: ("|i1", "int32_data"),
    TensorProto.BOOL: ("|u1", "int32_data"),
    TensorProto.UINT64: ("<u8", "uint64_data"),
    TensorProto.UINT32: ("<u4", "uint64_data"),
    TensorProto.INT16: ("<i2", "int32_data"),
    TensorProto.UINT16: ("<u2", "int32_data"),
}
_DTYPES: dict[int, DType] = {
    TensorProto.FLOAT: DType.FLOAT,
    TensorProto.INT64: DType.INT64,
    TensorProto.INT32: DType.INT32,
    TensorProto.UINT8: DType.UINT8,
    TensorProto.INT8: DType.INT8,
    TensorProto.BOOL: DType.BOOL,
}
MAX_RANK = 32  # NumPy's limit before version 2
MAX_DIM = 1 << 31
ACCEPTED = ", ".join(t.value for t in DType)


def type_name(data_type: int) -> str:
    """TensorProto.DataType's name in lower case, for messages."""
    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(data_type).lower() if data_type in known else f"number {data_type}"


def item_size(data_type: int) -> int:
    """Bytes per element; 0 where that is not known."""
    return np.dtype(_STORAGE[data_type][0]).itemsize if data_type in _STORAGE else 0


def numpy_of(data_type: int) -> np.dtype[Any] | None:
    """The NumPy type of constants, or None where there is none; float32 holds every bfloat16."""
    if data_type == TensorProto.BOOL:
        return np.dtype(np.bool_)
    if data_type == TensorProto.BFLOAT16:
        return np.dtype(np.float32)
    return np.dtype(_STORAGE[data_type][0]).newbyteorder("=") if data_type in _STORAGE else None


def dtype_of(data_type: int) -> DType | None:
    """The element type of values at run time, or None where there is none."""
    return _DTYPES.get(data_type)


def require_supported(tensor: TensorProto) -> None:
    """Raise UnsupportedError where constants of this element type cannot be read."""
    if tensor.data_type not in _STORAGE:
        raise UnsupportedError(
            f"tensor {tensor.name!r} has element type {type_name(tensor.data_type)}; "
            f"accepted: {ACCEPTED} (and bfloat16, float16, float64, int16, uint16, uint32, uint64 as constants)"
        )


def to_array(tensor: TensorProto, folder: Path | None) -> Array:
    """The elements of `tensor`. Errors say what is wrong with it; the caller adds where."""
    require_supported(tensor)
    shape = tuple(tensor.dims)
    if any(not 0 <= d < MAX_DIM for d in shape) or len(shape) > MAX_RANK:
        raise ModelError(
            f"tensor {tensor.name!r} has the dimensions {list(shape)}; "
            f"accepted: at most {MAX_RANK} dimensions from 0 to {MAX_DIM - 1}"
        )
    code, typed_field = _STORAGE[tensor.data_type]
    if tensor.data_location == TensorProto.EXTERNAL:
        elements = np.frombuffer(_external(tensor, folder, math.prod(shape) * np.dtype(code).itemsize), code)
    elif tensor.HasField("raw_data"):
        whole = len(tensor.raw_data) // np.dtype(code).itemsize * np.dtype(code).itemsize
        if whole != len(tensor.raw_data):
            raise ModelError(f"tensor {tensor.name!r} has {len(tensor.raw_data)} bytes, not a multiple of {code}")
        elements = np.frombuffer(tensor.raw_data, code)
    elif tensor.data_type == TensorProto.FLOAT16:
        elements = np.array(tensor.int32_data, np.int32).astype("<u2").view("<f2")
    else:
        wide = {
            "float_data": np.float32,
            "double_data": np.float64,
            "int64_data": np.int64,
            "uint64_data": np.uint64,
        }.get(typed_field, np.int32)
        elements = np.array(getattr(tensor, typed_field), wide).astype(code)
    if elements.size != math.prod(shape):
        raise ModelError(f"tensor {tensor.name!r} has {elements.size} elements, its shape {list(shape)} another number")
    return _to_runtime(elements.reshape(shape), tensor.data_type)


def _to_runtime(elements: Array, data_type: int) -> Array:
    if data_type == TensorProto.BOOL:
        return np.asarray(elements != 0)
    if data_type == TensorProto.BFLOAT16:  # the upper half of a float32
        return (elements.astype(np.uint32) << 16).view(np.float32)
    return elements.astype(elements.dtype.newbyteorder("="))


def _external(tensor: TensorProto, folder: Path | None, nbytes: int) -> bytes:
    """`nbytes` bytes of the external file of `tensor`, which must lie inside the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    what = f"tensor {tensor.name!r}"
    location = entries.get("location", "")
    if folder is None:
        raise ModelError(f"{what} has external data in {location!r}: load the model from its path, not from memory")
    path = _inside(folder, location, what)
    offset, length = (_number(entries, key, what) for key in ("offset", "length"))
    if length is not None and length != nbytes:
        raise ModelError(f"{what}: its external data has {length} bytes, its shape and element type need {nbytes}")
    try:
        size = path.stat().st_size
        if (offset or 0) + nbytes > size:
            raise ModelError(
                f"{what} needs {nbytes} bytes of external data at offset {offset or 0}, but {path} has {size} bytes"
            )
        with path.open("rb") as file:
            file.seek(offset or 0)
            return file.read(nbytes)
    except OSError as error:
        raise ModelError(f"{what}: external data {path} cannot be read: {error}") from None


def _inside(folder: Path, location: str, what: str) -> Path:
    """The file `location` names, refused when it leaves `folder`, by `..`, an absolute path or a symbolic link."""
    try:
        root = folder.resolve()
        path = (root / location).resolve()
        if not location or not path.is_relative_to(root):
            raise ModelError(f"{what}: external data {location!r} is not a path inside the model's folder")
        if not path.is_file():
            raise ModelError(f"{what}: its external data file {path} is missing")
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL, a name too long
        raise ModelError(f"{what}: external data {location!r} is not a usable path: {error}") from None
    return path


def _number(entries: dict[str, str], key: str, what: str) -> int | None:
    text = entries.get(key)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 20:  # Python reads no more than some thousand digits
        raise ModelError(f"{what}: external data has {key} {text[:40]!r}; expected a number of bytes")
    return int(text)
