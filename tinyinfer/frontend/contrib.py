"""Schemas of com.microsoft operators, which quantisers emit and the `onnx` package does not know.

Inputs, attributes and defaults follow ONNX Runtime's documentation of its contrib operators, version 1.
"""

from __future__ import annotations

from typing import Any

from onnx import helper
from onnx.defs import OpSchema

DOMAIN = "com.microsoft"

_BYTES = ["tensor(int8)", "tensor(uint8)"]
_FLOAT = ["tensor(float)"]
_BOOL = ["tensor(bool)"]
_SUMS = ["tensor(int32)"]
_QUANTIZED = [*_BYTES, *_SUMS]
_ANY = [*_FLOAT, *_QUANTIZED]
_OPTION = OpSchema.FormalParameterOption
_KINDS = {int: OpSchema.AttrType.INT, list: OpSchema.AttrType.INTS}


def _schema(name: str, inputs: str, **attributes: Any) -> OpSchema:
    """A schema with one output.

    `inputs`: names, each with its types (a key of `types`) and `?` if optional or `*` if repeated; they need not agree.
    An attribute is its default, its type if it is required, or None for optional integers.
    """
    types = {"b": _BOOL, "f": _FLOAT, "q": _BYTES, "i": _SUMS, "d": _QUANTIZED, "t": _ANY}
    options = {"?": _OPTION.Optional, "*": _OPTION.Variadic}
    formal: list[OpSchema.FormalParameter] = []
    for item in inputs.split():
        label, _, kind = item.partition(":")
        option = options.get(kind[1:], _OPTION.Single)
        formal.append(
            OpSchema.FormalParameter(
                label, f"T{len(formal)}", param_option=option, is_homogeneous=option != _OPTION.Variadic
            )
        )
    constraints = [(f"T{i}", types[item.partition(":")[2][0]], "") for i, item in enumerate(inputs.split())]
    declared = [
        OpSchema.Attribute(key, _KINDS[value], "", required=True)
        if isinstance(value, type)
        else OpSchema.Attribute(key, OpSchema.AttrType.INTS, "", required=False)
        if value is None
        else OpSchema.Attribute(key, helper.make_attribute(key, value))
        for key, value in attributes.items()
    ]
    return OpSchema(
        name,
        DOMAIN,
        1,
        inputs=formal,
        outputs=[OpSchema.FormalParameter("Y", "TY")],
        type_constraints=[*constraints, ("TY", _ANY, "")],
        attributes=declared,
    )


_UNARY = "X:q X_scale:f X_zero_point:q? Y_scale:f Y_zero_point:q?"
_BINARY = "A:q A_scale:f A_zero_point:q? B:q B_scale:f B_zero_point:q? C_scale:f C_zero_point:q?"
_POOL = "X:q x_scale:f x_zero_point:q? y_scale:f y_zero_point:q?"

_TABLE = [
    _schema("QuantizeLinear", "x:f y_scale:f y_zero_point:q?", axis=1),
    _schema("DequantizeLinear", "x:d x_scale:f x_zero_point:d?", axis=1),
    _schema("QLinearAdd", _BINARY),
    _schema("QLinearMul", _BINARY),
    _schema("QLinearSigmoid", _UNARY),
    _schema("QLinearLeakyRelu", _UNARY, alpha=0.01),
    _schema("QLinearSoftmax", _UNARY, axis=-1, opset=int),
    _schema("QLinearGlobalAveragePool", _POOL, channels_last=0),
    _schema(
        "QLinearAveragePool", _POOL, auto_pad="NOTSET", ceil_mode=0, channels_last=0, count_include_pad=0,
        kernel_shape=list, pads=None, strides=None,
    ),
    _schema(
        "QLinearWhere", "condition:b X:q x_scale:f x_zero_point:q Y:q y_scale:f y_zero_point:q z_scale:f z_zero_point:q"
    ),
    _schema("QLinearConcat", "Y_scale:f Y_zero_point:q inputs:t*", axis=int),
    _schema(
        "QGemm", "A:q a_scale:f a_zero_point:q B:q b_scale:f b_zero_point:q C:i? y_scale:f? y_zero_point:q?",
        alpha=1.0, transA=0, transB=0,
    ),
    _schema(
        "MatMulNBits", "A:f B:q scales:f zero_points:t? g_idx:i? bias:f?",
        K=int, N=int, bits=4, block_size=int, accuracy_level=0,
    ),
]  # fmt: skip

SCHEMAS: dict[str, OpSchema] = {f"{DOMAIN}::{schema.name}": schema for schema in _TABLE}
