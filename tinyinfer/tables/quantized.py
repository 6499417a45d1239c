"""Quantised operators and conversions."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import quantized
from tinyinfer.ref import quantized as ref_quantized
from tinyinfer.tables.row import Operator
from tinyinfer.traits import EVERY, Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import integer as lower_integer
from tinyinfer.wasm_backend.lower import quantized as lower_quantized

BYTES = Traits(
    elementwise=False,
    overwritable=EVERY,
    view=False,
    whole=False,
    writes=Writes.DENSE,
    commutative=False,
    moves=False,
    tabulated=False,
    conversion=False,
    filter_axis=None,
    foldable=True,
    loops=Loops.NONE,
    accuracy=Accuracy.QUANTUM,
)
CONVERSION = replace(BYTES, conversion=True)
CONVOLUTION = replace(BYTES, overwritable=(), filter_axis=0, loops=Loops.TAPS)
PRODUCT = replace(CONVOLUTION, filter_axis=-1, loops=Loops.PRODUCT)

# fmt: off
ROWS = [
    Operator("QuantizeLinear", quantized.quantize_linear, ref_quantized.quantize_linear, lower_quantized.quantize_linear, layout.pictures, CONVERSION),
    Operator("DequantizeLinear", quantized.dequantize_linear, ref_quantized.dequantize_linear, lower_quantized.dequantize_linear, layout.follow, replace(CONVERSION, foldable=False, accuracy=Accuracy.EXACT)),
    Operator("DynamicQuantizeLinear", quantized.dynamic_quantize_linear, ref_quantized.dynamic_quantize_linear, lower_quantized.dynamic_quantize_linear, layout.pictures, CONVERSION),
    Operator("DequantizeSums", quantized.dequantize_sums, ref_quantized.dequantize_sums, lower_quantized.dequantize_sums, layout.innermost, CONVERSION),
    Operator("Lookup", quantized.lookup, ref_quantized.lookup, lower_quantized.lookup, layout.follow, BYTES),
    Operator("QLinearSoftmax", quantized.qlinear_softmax, ref_quantized.qlinear_softmax, lower_quantized.qlinear_softmax, layout.follow, replace(BYTES, loops=Loops.AXES)),
    Operator("ConvInteger", quantized.conv_integer, ref_quantized.conv_integer, lower_integer.conv, layout.nhwc, CONVOLUTION),
    Operator("QLinearConv", quantized.qlinear_conv, ref_quantized.qlinear_conv, lower_integer.conv, layout.nhwc, CONVOLUTION),
    Operator("MatMulInteger", quantized.matmul_integer, ref_quantized.matmul_integer, lower_integer.matmul, layout.row_major, PRODUCT),
    Operator("QLinearMatMul", quantized.qlinear_matmul, ref_quantized.qlinear_matmul, lower_integer.matmul, layout.row_major, PRODUCT),
    Operator("QLinearAdd", quantized.qlinear_add, ref_quantized.qlinear_add, lower_quantized.qlinear_add, layout.follow, BYTES),
    Operator("QLinearMul", quantized.qlinear_mul, ref_quantized.qlinear_mul, lower_quantized.qlinear_mul, layout.follow, BYTES),
]
# fmt: on
