"""Checks shared by the operator schemas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinyinfer import limits
from tinyinfer.errors import ShapeError, UnsupportedError
from tinyinfer.types import DType, TensorType

FLOAT = (DType.FLOAT,)
NUMERIC = (DType.FLOAT, DType.INT64, DType.INT32)
ANY = tuple(DType)


def require(condition: bool, message: str) -> None:
    """Raise ShapeError(message) unless `condition` holds."""
    if not condition:
        raise ShapeError(message)


def dtype(operand: TensorType, accepted: Iterable[DType], what: str) -> None:
    """Raise UnsupportedError unless the element type of operand `what` is one of `accepted`."""
    if operand.dtype not in accepted:
        names = ", ".join(t.value for t in accepted)
        raise UnsupportedError(f"{what} is {operand}; accepted element types: {names}")


def same_dtype(operands: Sequence[TensorType]) -> DType:
    """All operands share one element type, which is returned."""
    first = operands[0].dtype
    require(
        all(t.dtype is first for t in operands),
        f"operands differ in element type: {', '.join(map(str, operands))}",
    )
    return first


def window(name: str, values: Sequence[int], count: int, least: int) -> None:
    """An attribute of a sliding window: `count` integers from `least` to what a kernel takes."""
    require(len(values) == count, f"{name}={tuple(values)}: expected {count} values")
    require(min(values) >= least, f"{name}={tuple(values)}: must be ≥ {least}")
    require(max(values) <= limits.INTEGERS, f"{name}={tuple(values)}: must be ≤ {limits.INTEGERS}")


def axis(value: int, rank: int, what: str = "axis") -> int:
    """`value` as a canonical axis of a tensor of `rank` dimensions."""
    require(0 <= value < rank, f"{what} {value} is outside a tensor of rank {rank}")
    return value


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Multidirectional broadcasting (ONNX "Broadcasting"): dimensions align at the right; 1 stretches."""
    rank = max(map(len, shapes))
    out = []
    for dims in zip(*[(1,) * (rank - len(s)) + s for s in shapes], strict=True):
        wide = {d for d in dims if d != 1}
        require(
            len(wide) <= 1,
            f"shapes {' and '.join(map(str, shapes))} do not broadcast: dimensions must be equal or 1",
        )
        out.append(wide.pop() if wide else 1)
    return tuple(out)
