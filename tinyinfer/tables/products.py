"""Convolutions and products of matrices."""

from __future__ import annotations

from dataclasses import replace

from tinyinfer.ops import conv, linear
from tinyinfer.ref import conv as ref_conv
from tinyinfer.ref import linear as ref_linear
from tinyinfer.tables.row import Operator
from tinyinfer.traits import Accuracy, Loops, Traits, Writes
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import conv as lower_conv
from tinyinfer.wasm_backend.lower import conv_transpose as lower_conv_transpose
from tinyinfer.wasm_backend.lower import linear as lower_linear
from tinyinfer.wasm_backend.lower import matmul_nbits as lower_matmul_nbits

CONVOLUTION = Traits(
    elementwise=False,
    overwritable=("residual",),  # windows overlap
    view=False,
    whole=False,
    writes=Writes.ROWS,
    commutative=False,
    moves=False,
    tabulated=False,
    conversion=False,
    filter_axis=0,
    foldable=True,
    loops=Loops.TAPS,
    accuracy=Accuracy.SUM,
)
TRANSPOSED = replace(CONVOLUTION, overwritable=(), writes=Writes.DENSE, filter_axis=1)
PRODUCT = replace(
    CONVOLUTION, writes=Writes.COLUMNS, filter_axis=-1, loops=Loops.PRODUCT
)  # a row is read again for other columns

# fmt: off
ROWS = [
    Operator("Conv", conv.conv, ref_conv.conv, lower_conv.conv, layout.pixels, CONVOLUTION),
    Operator("ConvTranspose", conv.conv_transpose, ref_conv.conv_transpose, lower_conv_transpose.conv_transpose, layout.nhwc, TRANSPOSED),
    Operator("MatMul", linear.matmul, ref_linear.matmul, lower_linear.matmul, layout.rows_as_read, PRODUCT),
    Operator("MatMulNBits", linear.matmul_nbits, ref_linear.matmul_nbits, lower_matmul_nbits.matmul_nbits, layout.row_major, replace(PRODUCT, writes=Writes.DENSE)),
]
# fmt: on
