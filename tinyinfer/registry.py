"""OPERATORS: the table. One row ties an operator's schema, reference semantics, lowering and layout policy together.

This is the only module that sees both `ref` and `wasm_backend`; neither of them sees the other, or this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinyinfer.graph import GraphBuilder
from tinyinfer.ops import (
    conv,
    elementwise,
    functions,
    linear,
    logic,
    movement,
    normalization,
    pooling,
    quantized,
    reduction,
    resize,
)
from tinyinfer.ref import arith, interpreter
from tinyinfer.ref import conv as ref_conv
from tinyinfer.ref import elementary as ref_elementary
from tinyinfer.ref import elementwise as ref_elementwise
from tinyinfer.ref import functions as ref_functions
from tinyinfer.ref import linear as ref_linear
from tinyinfer.ref import logic as ref_logic
from tinyinfer.ref import movement as ref_movement
from tinyinfer.ref import normalization as ref_normalization
from tinyinfer.ref import pooling as ref_pooling
from tinyinfer.ref import power as ref_power
from tinyinfer.ref import quantized as ref_quantized
from tinyinfer.ref import reduction as ref_reduction
from tinyinfer.ref import resize as ref_resize
from tinyinfer.ref import softmax as ref_softmax
from tinyinfer.types import Array, TensorType
from tinyinfer.wasm_backend import layout
from tinyinfer.wasm_backend.lower import conv as lower_conv
from tinyinfer.wasm_backend.lower import conv_transpose as lower_conv_transpose
from tinyinfer.wasm_backend.lower import elementwise as lower_elementwise
from tinyinfer.wasm_backend.lower import functions as lower_functions
from tinyinfer.wasm_backend.lower import integer as lower_integer
from tinyinfer.wasm_backend.lower import linear as lower_linear
from tinyinfer.wasm_backend.lower import logic as lower_logic
from tinyinfer.wasm_backend.lower import matmul_nbits as lower_matmul_nbits
from tinyinfer.wasm_backend.lower import movement as lower_movement
from tinyinfer.wasm_backend.lower import normalization as lower_normalization
from tinyinfer.wasm_backend.lower import pooling as lower_pooling
from tinyinfer.wasm_backend.lower import quantized as lower_quantized
from tinyinfer.wasm_backend.lower import reduction as lower_reduction
from tinyinfer.wasm_backend.lower import resize as lower_resize
from tinyinfer.wasm_backend.lowering import LowerFunction


@dataclass(frozen=True)
class Operator:
    """One operator: schema and shape inference, normative semantics, lowering, and where its outputs' axes lie."""

    name: str
    infer: Callable[..., TensorType | tuple[TensorType, ...]]
    reference: interpreter.Reference
    lower: LowerFunction
    layout: layout.Policy = layout.row_major


# fmt: off
_TABLE = [
    # convolution and products
    Operator("Conv", conv.conv, ref_conv.conv, lower_conv.conv, layout.pixels),
    Operator("ConvTranspose", conv.conv_transpose, ref_conv.conv_transpose, lower_conv_transpose.conv_transpose, layout.nhwc),
    Operator("MatMul", linear.matmul, ref_linear.matmul, lower_linear.matmul, layout.rows_as_read),
    Operator("MatMulNBits", linear.matmul_nbits, ref_linear.matmul_nbits, lower_matmul_nbits.matmul_nbits),
    # pooling
    Operator("MaxPool", pooling.max_pool, ref_pooling.max_pool, lower_pooling.max_pool, layout.nhwc),
    Operator("AveragePool", pooling.average_pool, ref_pooling.average_pool, lower_pooling.average_pool, layout.nhwc),
    Operator("QLinearAveragePool", pooling.qlinear_average_pool, ref_pooling.qlinear_average_pool, lower_pooling.qlinear_average_pool, layout.nhwc),
    # normalisation
    Operator("BatchNormalization", normalization.batch_normalization, ref_normalization.batch_normalization, lower_normalization.batch_normalization, layout.follow),
    Operator("InstanceNormalization", normalization.instance_normalization, ref_normalization.instance_normalization, lower_normalization.instance_normalization, layout.follow),
    Operator("LayerNormalization", normalization.layer_normalization, ref_normalization.layer_normalization, lower_normalization.layer_normalization),
    Operator("LRN", normalization.lrn, ref_normalization.lrn, lower_normalization.lrn, layout.nhwc),
    # resampling
    Operator("Resize", resize.resize, ref_resize.resize, lower_resize.resize, layout.follow),
    # element-wise
    Operator("Clip", elementwise.clip, ref_elementwise.clip, lower_elementwise.clip, layout.follow),
    Operator("Add", elementwise.arithmetic, ref_elementwise.add, lower_elementwise.binary("add"), layout.follow),
    Operator("Sub", elementwise.arithmetic, ref_elementwise.sub, lower_elementwise.binary("sub"), layout.follow),
    Operator("Mul", elementwise.arithmetic, ref_elementwise.mul, lower_elementwise.binary("mul"), layout.follow),
    Operator("Div", elementwise.arithmetic, ref_elementwise.div, lower_elementwise.binary("div"), layout.follow),
    Operator("Min", elementwise.arithmetic, ref_elementwise.minimum, lower_elementwise.binary("min"), layout.follow),
    Operator("Max", elementwise.arithmetic, ref_elementwise.maximum, lower_elementwise.binary("max"), layout.follow),
    Operator("Neg", elementwise.unary_numeric, ref_elementwise.neg, lower_elementwise.unary("neg"), layout.follow),
    Operator("Abs", elementwise.unary_numeric, ref_elementwise.abs_, lower_elementwise.unary("abs"), layout.follow),
    Operator("Floor", elementwise.unary_float, ref_elementwise.floor, lower_elementwise.unary("floor"), layout.follow),
    Operator("Ceil", elementwise.unary_float, ref_elementwise.ceil, lower_elementwise.unary("ceil"), layout.follow),
    Operator("Round", elementwise.unary_float, ref_elementwise.round_, lower_elementwise.unary("round"), layout.follow),
    # comparison, logic, selection, conversion
    Operator("Equal", logic.equal, ref_logic.equal, lower_elementwise.binary("equal"), layout.follow),
    Operator("Less", logic.comparison, ref_logic.less, lower_elementwise.binary("less"), layout.follow),
    Operator("LessOrEqual", logic.comparison, ref_logic.less_or_equal, lower_elementwise.binary("less_or_equal"), layout.follow),
    Operator("And", logic.connective, ref_logic.and_, lower_elementwise.binary("and"), layout.follow),
    Operator("Or", logic.connective, ref_logic.or_, lower_elementwise.binary("or"), layout.follow),
    Operator("Xor", logic.connective, ref_logic.xor, lower_elementwise.binary("xor"), layout.follow),
    Operator("Not", logic.not_, ref_logic.not_, lower_elementwise.unary("not"), layout.follow),
    Operator("Where", logic.where, ref_logic.where, lower_logic.where, layout.follow),
    Operator("Cast", logic.cast, ref_logic.cast, lower_logic.cast, layout.follow),
    # functions
    Operator("Exp", elementwise.unary_float, ref_elementary.exp, lower_elementwise.unary("exp"), layout.follow),
    Operator("Log", elementwise.unary_float, ref_elementary.log, lower_elementwise.unary("log"), layout.follow),
    Operator("Sigmoid", elementwise.unary_float, ref_elementary.sigmoid, lower_elementwise.unary("sigmoid"), layout.follow),
    Operator("Tanh", elementwise.unary_float, ref_elementary.tanh, lower_elementwise.unary("tanh"), layout.follow),
    Operator("Erf", elementwise.unary_float, ref_elementary.erf, lower_elementwise.unary("erf"), layout.follow),
    Operator("Gelu", functions.gelu, ref_functions.gelu, lower_functions.gelu, layout.follow),
    Operator("Softplus", elementwise.unary_float, ref_functions.softplus, lower_elementwise.unary("softplus"), layout.follow),
    Operator("Mish", elementwise.unary_float, ref_functions.mish, lower_elementwise.unary("mish"), layout.follow),
    Operator("Elu", functions.scaled, ref_functions.elu, lower_functions.scalars("elu"), layout.follow),
    Operator("Swish", elementwise.unary_float, ref_functions.swish, lower_elementwise.unary("swish"), layout.follow),
    Operator("HardSigmoid", functions.hard_sigmoid, ref_functions.hard_sigmoid, lower_functions.scalars("hard_sigmoid"), layout.follow),
    Operator("HardSwish", elementwise.unary_float, ref_functions.hard_swish, lower_elementwise.unary("hard_swish"), layout.follow),
    Operator("LeakyRelu", functions.scaled, ref_functions.leaky_relu, lower_functions.scalars("leaky_relu"), layout.follow),
    Operator("PRelu", functions.prelu, ref_functions.prelu, lower_elementwise.binary("prelu"), layout.follow),
    Operator("Pow", functions.power, ref_power.power, lower_elementwise.binary("pow"), layout.follow),
    Operator("Sqrt", elementwise.unary_float, ref_functions.sqrt, lower_elementwise.unary("sqrt"), layout.follow),
    Operator("Reciprocal", elementwise.unary_float, ref_functions.reciprocal, lower_elementwise.unary("reciprocal"), layout.follow),
    Operator("Softmax", functions.softmax, ref_softmax.softmax, lower_functions.softmax("softmax"), layout.follow),
    Operator("LogSoftmax", functions.softmax, ref_softmax.log_softmax, lower_functions.softmax("log_softmax"), layout.follow),
    # reductions
    Operator("ReduceSum", reduction.reduce, ref_reduction.reduce_sum, lower_reduction.reduce("reduce_sum"), layout.follow),
    Operator("ReduceMean", reduction.reduce_float, ref_reduction.reduce_mean, lower_reduction.reduce_mean, layout.follow),
    Operator("ReduceMax", reduction.reduce, ref_reduction.reduce_max, lower_reduction.reduce("reduce_max"), layout.follow),
    Operator("ReduceMin", reduction.reduce, ref_reduction.reduce_min, lower_reduction.reduce("reduce_min"), layout.follow),
    Operator("ArgMax", reduction.arg, ref_reduction.arg_max, lower_reduction.arg("argmax"), layout.follow),
    Operator("ArgMin", reduction.arg, ref_reduction.arg_min, lower_reduction.arg("argmin"), layout.follow),
    # movement
    Operator("Reshape", movement.reshape, ref_movement.reshape, lower_movement.reshape, layout.regrouped),
    Operator("Transpose", movement.transpose, ref_movement.transpose, lower_movement.transpose, layout.permuted),
    Operator("Concat", movement.concat, ref_movement.concat, lower_movement.concat, layout.follow),
    Operator("Split", movement.split, ref_movement.split, lower_movement.split, layout.follow),
    Operator("Slice", movement.slice_, ref_movement.slice_, lower_movement.slice_, layout.follow),
    Operator("Expand", movement.expand, ref_movement.expand, lower_movement.expand, layout.follow),
    Operator("Tile", movement.tile, ref_movement.tile, lower_movement.tile, layout.follow),
    Operator("Pad", movement.pad, ref_movement.pad, lower_movement.pad, layout.follow),
    Operator("Gather", movement.gather, ref_movement.gather, lower_movement.gather, layout.as_read),
    Operator("DepthToSpace", movement.depth_to_space, ref_movement.depth_to_space, lower_movement.depth_to_space, layout.follow),
    Operator("SpaceToDepth", movement.space_to_depth, ref_movement.space_to_depth, lower_movement.space_to_depth, layout.follow),
    # quantised
    Operator("QuantizeLinear", quantized.quantize_linear, ref_quantized.quantize_linear, lower_quantized.quantize_linear, layout.pictures),
    Operator("DequantizeLinear", quantized.dequantize_linear, ref_quantized.dequantize_linear, lower_quantized.dequantize_linear, layout.follow),
    Operator("DynamicQuantizeLinear", quantized.dynamic_quantize_linear, ref_quantized.dynamic_quantize_linear, lower_quantized.dynamic_quantize_linear, layout.pictures),
    Operator("DequantizeSums", quantized.dequantize_sums, ref_quantized.dequantize_sums, lower_quantized.dequantize_sums, layout.innermost),
    Operator("Lookup", quantized.lookup, ref_quantized.lookup, lower_quantized.lookup, layout.follow),
    Operator("QLinearSoftmax", quantized.qlinear_softmax, ref_quantized.qlinear_softmax, lower_quantized.qlinear_softmax, layout.follow),
    Operator("ConvInteger", quantized.conv_integer, ref_quantized.conv_integer, lower_integer.conv, layout.nhwc),
    Operator("QLinearConv", quantized.qlinear_conv, ref_quantized.qlinear_conv, lower_integer.conv, layout.nhwc),
    Operator("MatMulInteger", quantized.matmul_integer, ref_quantized.matmul_integer, lower_integer.matmul),
    Operator("QLinearMatMul", quantized.qlinear_matmul, ref_quantized.qlinear_matmul, lower_integer.matmul),
    Operator("QLinearAdd", quantized.qlinear_add, ref_quantized.qlinear_add, lower_quantized.qlinear_add, layout.follow),
    Operator("QLinearMul", quantized.qlinear_mul, ref_quantized.qlinear_mul, lower_quantized.qlinear_mul, layout.follow),
]
# fmt: on

OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _TABLE}


class _Table:
    """The table as `GraphBuilder` wants it."""

    def infer(self, op: str, inputs: Sequence[TensorType | None], attrs: Mapping[str, Any]) -> tuple[TensorType, ...]:
        types = OPERATORS[op].infer(*inputs, **attrs)
        return types if isinstance(types, tuple) else (types,)

    def evaluate(self, op: str, inputs: Sequence[Array | None], attrs: Mapping[str, Any]) -> tuple[Array, ...]:
        with arith.tier("simd128"):  # constants are the same for all tiers
            return interpreter.apply(OPERATORS[op].reference, list(inputs), attrs)


SEMANTICS = _Table()


def builder(name: str = "graph", source: str = "") -> GraphBuilder:
    """A builder that types and folds with this table."""
    return GraphBuilder(SEMANTICS, name, source)


def reference_of(op: str) -> interpreter.Reference:
    return OPERATORS[op].reference


def lower_of(op: str) -> LowerFunction:
    return OPERATORS[op].lower


def layout_of(op: str) -> layout.Policy:
    return OPERATORS[op].layout
