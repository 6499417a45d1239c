"""Element types and tensor types: the vocabulary every layer shares."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class DType(enum.Enum):
    """Element type. The value is the NumPy name; `onnx` is TensorProto.DataType's name."""

    FLOAT = "float32"
    INT64 = "int64"
    INT32 = "int32"
    UINT8 = "uint8"
    INT8 = "int8"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype[Any]:
        return _NUMPY[self]

    @property
    def size(self) -> int:
        """Bytes per element."""
        return _NUMPY[self].itemsize

    @property
    def prefix(self) -> str:
        """How kernel names spell the type: `f32`, `i64`, `i32`, `u8`, `i8`; booleans are `u8` 0 or 1."""
        return _PREFIX[self]

    @property
    def is_float(self) -> bool:
        return self is DType.FLOAT

    @staticmethod
    def of(dtype: Any) -> DType:
        """The DType of a NumPy dtype; ValueError when the runtime has no such element type."""
        name = np.dtype(dtype).name
        try:
            return DType(name)
        except ValueError:
            supported = ", ".join(t.value for t in DType)
            raise ValueError(f"element type {name} is not supported; supported: {supported}") from None


_NUMPY: dict[DType, np.dtype[Any]] = {dtype: np.dtype(dtype.value) for dtype in DType}
_PREFIX = {
    DType.FLOAT: "f32",
    DType.INT64: "i64",
    DType.INT32: "i32",
    DType.UINT8: "u8",
    DType.INT8: "i8",
    DType.BOOL: "u8",
}


@dataclass(frozen=True)
class TensorType:
    """Element type and static shape of a value."""

    dtype: DType
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.size

    def with_shape(self, shape: tuple[int, ...]) -> TensorType:
        return TensorType(self.dtype, shape)

    def __str__(self) -> str:
        return f"{self.dtype.value}[{'×'.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Clamp:
    """The closed interval a result is clamped to; ±inf where a side is open.

    clamp(x) = min(max(x, lo), hi) with both comparisons written so that NaN and -0 pass unchanged:
    `t = lo if x < lo else x; y = hi if hi < t else t`.
    """

    lo: float = -math.inf
    hi: float = math.inf

    @property
    def is_open(self) -> bool:
        return self.lo == -math.inf and self.hi == math.inf

    def then(self, outer: Clamp) -> Clamp | None:
        """The one clamp equal to this one followed by `outer`, bit for bit, or None where there is none."""
        lo, hi = max(self.lo, outer.lo), min(self.hi, outer.hi)
        bounds = (self.lo, self.hi, outer.lo, outer.hi)
        has_negative_zero = any(b == 0 and math.copysign(1, b) < 0 for b in bounds)
        return None if has_negative_zero or not lo <= hi else Clamp(lo, hi)

    def __str__(self) -> str:
        return f"[{self.lo:g}, {self.hi:g}]"


@dataclass(frozen=True)
class Quantized:
    """Eight-bit results: a number r becomes round(r) + zero_point, saturated to [lo, hi] in the range of `dtype`."""

    dtype: DType
    zero_point: int
    lo: int
    hi: int

    @staticmethod
    def full(dtype: DType, zero_point: int) -> Quantized:
        """All of the range of `dtype`."""
        info = np.iinfo(dtype.numpy)
        return Quantized(dtype, zero_point, int(info.min), int(info.max))

    def within(self, lo: int, hi: int) -> Quantized:
        """The part of the range that [lo, hi] leaves."""
        return Quantized(self.dtype, self.zero_point, max(self.lo, lo), min(self.hi, hi))

    def __str__(self) -> str:
        return f"{self.dtype.value}[{self.lo}…{self.hi}] about {self.zero_point}"
