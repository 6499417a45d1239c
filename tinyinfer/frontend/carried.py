"""Tensors at run time whose element type values do not have: a value of another type stands for each.

The value holds the same numbers, so what moves, compares or selects elements is computed exactly, and so is a Cast
to a type that values have. Arithmetic would round as ONNX's type does and is not done. A float64 is rounded to
float32 at once: it is only moved, and then cast to float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto

from tinyinfer.frontend import wide
from tinyinfer.types import DType

# Operators whose results hold elements of their operands, or say how these compare.
COMPARING = frozenset({"ArgMax", "ArgMin", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
SELECTING = frozenset({"GlobalMaxPool", "Max", "MaxPool", "Min", "ReduceMax", "ReduceMin"})
# Operators whose results for floats are floats of the same type, whatever that is.
EXACT_ON_FLOATS = frozenset({"Abs", "Ceil", "Floor", "IsNaN", "Neg", "Relu", "Round"})

INTEGERS = frozenset({DType.INT64, DType.INT32, DType.INT8, DType.UINT8, DType.BOOL})
ANY = frozenset(DType)


@dataclass(frozen=True)
class Carrier:
    """What stands for an element type: a type of values, what may be done with it, and what it may be cast to."""

    dtype: DType
    operators: frozenset[str]
    casts: frozenset[DType]


_FLOAT = Carrier(DType.FLOAT, COMPARING | SELECTING | EXACT_ON_FLOATS, ANY)
_SHORT = Carrier(DType.INT32, COMPARING | SELECTING, ANY)
CARRIERS: Mapping[str, Carrier] = {
    "float16": _FLOAT,
    "bfloat16": _FLOAT,
    "float64": Carrier(DType.FLOAT, frozenset(), frozenset({DType.FLOAT})),
    "int16": _SHORT,
    "uint16": _SHORT,
    "uint32": Carrier(DType.INT64, COMPARING | SELECTING, ANY),
    "uint64": Carrier(DType.INT64, frozenset({"Equal"}), INTEGERS),
}


def is_exact(op: str, kinds: set[str], attrs: Mapping[str, Any], opset: int, operands: int) -> bool:
    """Whether a node with operands of these types gives on their carriers what ONNX defines."""
    if wide.moves(op, opset) or all(op in CARRIERS[kind].operators for kind in kinds):
        return True
    floats = kinds <= {"float16", "bfloat16"}
    if op == "Clip":  # an absent bound is an end of the type
        return floats and opset >= 11 and operands == 3
    if op == "DequantizeLinear":  # a product of at most 9 + 11 bits
        return floats and attrs.get("output_dtype") == TensorProto.FLOAT
    return op == "QuantizeLinear" and floats and attrs.get("precision") == TensorProto.FLOAT
