"""Types for the outputs of nodes that cannot be converted: as the model declares them, or guessed.

ONNX's own inference is not asked: it ends the process on some models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnx import ValueInfoProto
from onnx.defs import OpSchema

from tinyinfer.frontend import schema, tensors
from tinyinfer.types import TensorType


def declared(infos: Iterable[ValueInfoProto]) -> dict[str, TensorType]:
    """The tensors whose element type and rank the model declares, by name. Dimensions that are open are 1."""
    found = {}
    for info in infos:
        tensor = info.type.tensor_type
        dtype = tensors.dtype_of(tensor.elem_type)
        if dtype is not None and tensor.HasField("shape"):
            found[info.name] = TensorType(dtype, tuple(max(d.dim_value, 0) or 1 for d in tensor.shape.dim))
    return found


def guessed(formal: OpSchema, index: int, operands: Sequence[TensorType | None]) -> TensorType | None:
    """Output `index` of an operator: of the operand's type that it shares, or of its only type; shaped as the operand.

    None where the operator's schema leaves the type open, or has no outputs or no inputs at all.
    """
    if not formal.outputs or not formal.inputs:
        return None
    output = formal.outputs[min(index, len(formal.outputs) - 1)]
    dtypes = schema.accepted(output)
    for i, operand in enumerate(operands):
        if operand is None:
            continue
        if formal.inputs[min(i, len(formal.inputs) - 1)].type_str == output.type_str:
            return operand
        if len(dtypes) == len(output.types) == 1:
            return TensorType(dtypes[0], operand.shape)
    return None
