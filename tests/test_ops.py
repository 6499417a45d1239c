"""Operator schemas: the signature of the semantics, errors that say what is wrong, empty tensors and scalars."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from tests.differential import Case, check_case
from tests.strategies import tensor
from tinyinfer.errors import ModelError, ShapeError, UnsupportedError
from tinyinfer.registry import OPERATORS, builder
from tinyinfer.types import Clamp, DType, Quantized, TensorType

PREFIXES = {"f": DType.FLOAT, "l": DType.INT64, "i": DType.INT32, "u": DType.UINT8, "c": DType.INT8, "b": DType.BOOL}


def typed(text):
    """`f2x3` is float32[2×3], `l` an int64 scalar; f, l, i, u, c (int8), b."""
    return TensorType(PREFIXES[text[0]], tuple(int(d) for d in text[1:].split("x") if d))


def group(*schemas):
    """The operators with one of these schemas."""
    return [name for name, operator in OPERATORS.items() if operator.infer.__name__ in schemas]


UNARY = group("unary_float", "unary_numeric")
ARITHMETIC = [*group("arithmetic"), "Pow"]
COMPARISONS = group("comparison", "equal")
CONNECTIVES = group("connective")
BY_ALPHA = group("scaled")
REDUCTIONS = group("reduce", "reduce_float")
ARGS = group("arg")
POOLS = group("max_pool", "average_pool")
SOFTMAXES = group("softmax")

WINDOW = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}
POOL = {**WINDOW, "kernel_shape": (2, 2)}
TRANSPOSE = {**WINDOW, "output_padding": (0, 0)}
SLICE = {"sizes": (2, 1), "starts": (0, 0), "steps": (1, 1)}
Y = {"y": Quantized(DType.UINT8, 128, 0, 255)}
POINTS = {"a_zero_point": 3, "b_zero_point": 5}
LRN = {"size": 3, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}


def resize(shape, **changed):
    return {
        "sizes": shape, "scales": (1.0,) * len(shape), "mode": "linear", "roi": (), "nearest_mode": "floor",
        "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75, "exclude_outside": False,
        "extrapolation_value": 0.0, **changed,
    }  # fmt: skip


def parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("op", OPERATORS)
def test_schema_and_semantics_have_one_signature(op):
    """Names, order and defaults; operands are positional, attributes keyword-only."""
    schema = parameters(OPERATORS[op].infer)
    assert schema == parameters(OPERATORS[op].reference)
    operands = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    assert {kind for _, kind, _ in schema} <= operands | {inspect.Parameter.KEYWORD_ONLY}


# --- Errors -------------------------------------------------------------------------------------------------

# Operator, operands, attributes, and what the error says after naming the node.
REJECTED = [
    *((op, ["u2"], {}, "X is uint8[2]; accepted element types: float32") for op in UNARY),
    *((op, ["l2"], {"alpha": 1.0}, "X is int64[2]; accepted element types: float32") for op in BY_ALPHA),
    ("Clip", ["l2"], {"clamp": Clamp(0)}, "X is int64[2]; accepted element types: float32"),
    ("HardSigmoid", ["i2"], {"alpha": 0.2, "beta": 0.5}, "X is int32[2]; accepted element types: float32"),
    ("Gelu", ["f2"], {"approximate": "fast"}, 'approximate="fast"; accepted: "none", "tanh"'),
    ("PRelu", ["f2", "f3x2"], {}, "slope float32[3×2] does not broadcast to the shape of X float32[2]"),
    *((op, ["f2", "f3"], {}, "shapes (2,) and (3,) do not broadcast") for op in [*ARITHMETIC, *COMPARISONS]),
    *((op, ["f2", "l2"], {}, "int64[2]") for op in [*ARITHMETIC, *COMPARISONS]),
    *((op, ["u2", "u2"], {}, "is uint8[2]; accepted element types: float32") for op in ARITHMETIC),
    *((op, ["b2", "b2"], {}, "A is bool[2]; accepted element types: float32, int64") for op in group("comparison")),
    *((op, ["b2", "u2"], {}, "B is uint8[2]; accepted element types: bool") for op in CONNECTIVES),
    ("Not", ["u2"], {}, "X is uint8[2]; accepted element types: bool"),
    ("Where", ["u2", "f2", "f2"], {}, "condition is uint8[2]; accepted element types: bool"),
    ("Where", ["b2", "f2", "l2"], {}, "operands differ in element type: float32[2], int64[2]"),
    ("Where", ["b2", "f3", "f3"], {}, "shapes (2,) and (3,) and (3,) do not broadcast"),
    ("Conv", ["f1x3x5x5", "f4x2x3x3"], WINDOW, "X has 3 channels, W is float32[4×2×3×3], group=1"),
    ("Conv", ["f1x3x2x2", "f4x3x3x3"], WINDOW, "X float32[1×3×2×2] is smaller than the kernel (3, 3)"),
    ("Conv", ["f1x3x5x5", "f4x3x3x3", "f3"], WINDOW, "B is float32[3]; expected one value for each of 4 filters"),
    ("ConvTranspose", ["f1x3x5x5", "f4x2x3x3"], TRANSPOSE, "X has 3 channels, W is float32[4×2×3×3], group=1"),
    ("MatMul", ["f2x3", "f4x5"], {}, "A is float32[2×3], B is float32[4×5]: inner dimensions must be equal"),
    ("MatMul", ["f3", "f3x5"], {}, "A is float32[3]; expected rank ≥ 2"),
    ("MatMul", ["f2x3", "f3x5", "f2"], {}, "bias is float32[2]; expected [5]"),
    ("MatMulNBits", ["f2x3", "u3x5", "f1x5", "u1x5"], {"block_size": 4}, "B is uint8[3×5]; expected [K, N], K even"),
    ("MatMulNBits", ["f2x4", "u4x5", "f1x5", "u1x5"], {"block_size": 3}, "block_size is 3; expected an even number"),
    ("MatMulNBits", ["f2x4", "u4x5", "f1x5", "u1x5"], {"block_size": 2}, "scales are float32[1×5]; expected [2, 5]"),
    ("MatMulNBits", ["f2x6", "u4x5", "f1x5", "u1x5"], {"block_size": 4}, "inner dimensions must be equal"),
    *((op, ["f1x2x1x1"], POOL, "X float32[1×2×1×1] is smaller than the window (2, 2)") for op in POOLS),
    *((op, ["f2x2"], {"axis": 2}, "axis 2 is outside a tensor of rank 2") for op in [*SOFTMAXES, *ARGS]),
    *((op, ["f2x0"], {"axis": 1}, "X float32[2×0] has no element along axis 1 to choose") for op in ARGS),
    *((op, ["f2x2"], {"axes": (1, 1)}, "axes=(1, 1) are not distinct axes of X float32[2×2]") for op in REDUCTIONS),
    ("BatchNormalization", ["f1x2x3", "f2", "f2", "f3", "f2"], {"epsilon": 1e-5}, "input_mean is float32[3]"),
    ("InstanceNormalization", ["f1x2", "f2", "f2"], {"epsilon": 1e-5}, "X is float32[1×2]; expected rank ≥ 3"),
    ("LayerNormalization", ["f2x3", "f2"], {"axis": 1, "epsilon": 1e-5}, "Scale is float32[2]; expected shape (3,)"),
    ("LRN", ["f1x3x2"], {**LRN, "size": 0}, "size=0: must be ≥ 1"),
    ("Resize", ["u1x2"], resize((1, 2), mode="cubic"), "X is uint8[1×2]: cubic, half_pixel is for float32 only"),
    ("Resize", ["f1x2"], resize((1, 2), mode="area"), "mode='area' is not one of nearest, linear, cubic"),
    ("Reshape", ["f2x3"], {"shape": (4, 2)}, "X float32[2×3] has 6 elements; shape (4, 2) has 8"),
    ("Transpose", ["f2x3"], {"perm": (0, 0)}, "perm=(0, 0) does not permute the axes of X float32[2×3]"),
    ("Concat", ["f2x3", "f3x2"], {"axis": 0}, "inputs float32[2×3], float32[3×2] differ in more than axis 0"),
    ("Concat", ["f2", "l2"], {"axis": 0}, "operands differ in element type: float32[2], int64[2]"),
    ("Concat", [], {"axis": 0}, "expected at least one input"),
    ("Split", ["f5"], {"axis": 0, "split": (2, 2)}, "split=(2, 2) does not add up to dimension 0 of X float32[5]"),
    ("Slice", ["f2x3"], {**SLICE, "starts": (0, 3)}, "axis 1 of X float32[2×3]: start 3, size 1, step 1"),
    ("Slice", ["f2x3"], {**SLICE, "steps": (2, 1)}, "axis 0 of X float32[2×3]: start 0, size 2, step 2"),
    ("Slice", ["f2"], SLICE, "starts=(0, 0): expected one value for each axis of X float32[2]"),
    ("Expand", ["f2x3"], {"shape": (2, 1)}, "X float32[2×3] does not broadcast to shape (2, 1)"),
    ("Tile", ["f2x3"], {"repeats": (2,)}, "repeats=(2,): expected one value ≥ 0 for each axis of X float32[2×3]"),
    ("Pad", ["f2"], {"pads": (1, -1)}, "pads=(1, -1): expected 2 values ≥ 0, all begins, then all ends"),
    ("Pad", ["f2"], {"pads": (1, 1), "mode": "mirror"}, "mode='mirror'; accepted: constant, reflect, edge, wrap"),
    ("Pad", ["f0"], {"pads": (1, 1), "mode": "edge"}, "X float32[0]: mode edge has nothing to repeat on axis 0"),
    ("Pad", ["u2"], {"pads": (1, 1), "value": 256}, "value=256 is not a uint8, the element type of X"),
    ("Pad", ["i2"], {"pads": (1, 1), "value": 0.5}, "value=0.5 is not a int32, the element type of X"),
    ("Gather", ["f2", "f2"], {"axis": 0}, "indices is float32[2]; accepted element types: int64, int32"),
    ("Gather", ["f0", "l2"], {"axis": 0}, "X float32[0] has no element on axis 0 for indices int64[2]"),
    ("MaxPool", ["u1x2x1x1"], POOL, "X uint8[1×2×1×1] is smaller than the window (2, 2)"),
    ("AveragePool", ["u1x2x3x3"], POOL, "X is uint8[1×2×3×3]; accepted element types: float32"),
    ("QuantizeLinear", ["f2", "f2", "u2"], {}, "scale is float32[2]; expected one value"),
    ("QuantizeLinear", ["f2", "f", "i"], {}, "zero point is int32[]; accepted element types: int8, uint8"),
    ("DequantizeLinear", ["u2x3", "f2", "u2"], {"axis": 1}, "scale is float32[2]; expected one value or 3"),
    ("DequantizeLinear", ["u4x3", "f1x3", "u1x3"], {"block_size": 2}, "scale is float32[1×3]; expected [2, 3]"),
    ("DequantizeLinear", ["u2", "f", "c"], {}, "operands differ in element type: uint8[2], int8[]"),
    ("DynamicQuantizeLinear", ["u2"], {}, "X is uint8[2]; accepted element types: float32"),
    ("DequantizeSums", ["i2x3", "f2"], {"axis": 1}, "scale is float32[2]; expected one value or 3"),
    ("Lookup", ["u2", "u255"], {}, "table is uint8[255]; expected 256 values"),
    ("ConvInteger", ["u1x2x3x3", "c4x2x3x3", "c", "c"], WINDOW, "differ in element type: uint8[1×2×3×3], int8[]"),
    ("QLinearConv", ["u1x2x3x3", "c4x2x3x3", "u", "c", "f3"], {**WINDOW, **Y}, "multiplier is float32[3]; expected"),
    ("QLinearConv", ["u1x2x3x3", "c4x2x3x3", "u", "c3", "f"], {**WINDOW, **Y}, "zero point is int8[3]; expected one"),
    ("MatMulInteger", ["u2x3", "c4x5", "u", "c"], {}, "inner dimensions must be equal"),
    ("QLinearMatMul", ["u2x3", "c3x5", "u", "c", "f", "i4"], Y, "bias is int32[4]; expected [5]"),
    ("QLinearAdd", ["u2", "u3"], {"a_ratio": 1.0, "b_ratio": 1.0, **POINTS, **Y}, "do not broadcast"),
    ("QLinearMul", ["u2", "f2"], {"ratio": 1.0, **POINTS, **Y}, "B is float32[2]; accepted element types: int8, uint8"),
    ("QLinearSoftmax", ["u2x3", "f255"], {"axis": 1, "ratio": 256.0, **Y}, "table is float32[255]; expected 256"),
    ("QLinearSoftmax", ["u2x3", "f256"], {"axis": 1, "ratio": 1e7, **Y}, "must be above 0 and below 2^22"),
    ("QLinearAveragePool", ["f1x2x3x3"], {**POOL, "ratio": 1.0, "x_zero_point": 0, **Y}, "X is float32[1×2×3×3]; acc"),
    ("DepthToSpace", ["f1x6x2x2"], {"blocksize": 2}, "6 channels do not divide into blocks of 2×2"),
    ("DepthToSpace", ["f1x4x2x2"], {"blocksize": 2, "mode": "RDC"}, "mode='RDC'; accepted: DCR, CRD"),
    ("SpaceToDepth", ["f1x1x3x2"], {"blocksize": 2}, "height and width do not divide into blocks of 2×2"),
]  # fmt: skip


def id_of(row):
    return f"{row[0]}({','.join(row[1])})"


@pytest.mark.parametrize(("op", "operands", "attrs", "message"), REJECTED, ids=map(id_of, REJECTED))
def test_what_does_not_fit_is_refused(op, operands, attrs, message):
    graph = builder("g", "model.onnx")
    values = [graph.input(f"x{i}", typed(text)) for i, text in enumerate(operands)]
    where = re.escape(f"model.onnx: node layer1 ({op}): ")
    with pytest.raises(ModelError, match=f"^{where}.*{re.escape(message)}") as caught:
        graph.add(op, *values, name="layer1", **attrs)
    expected = UnsupportedError if "accepted element types" in str(caught.value) else ShapeError
    assert type(caught.value) is expected


def test_every_operator_rejects_something():
    assert {op for op, *_ in REJECTED} == set(OPERATORS) - {"Cast"}


# --- Empty tensors and scalars --------------------------------------------------------------------------------

EMPTY = [
    *((op, ["f0x3"], {}) for op in UNARY),
    *((op, ["f0x3"], {"alpha": 0.5}) for op in BY_ALPHA),
    ("Clip", ["f2x0"], {"clamp": Clamp(0)}),
    ("HardSigmoid", ["f0"], {"alpha": 0.2, "beta": 0.5}),
    ("Gelu", ["f0"], {"approximate": "tanh"}),
    ("PRelu", ["f0x3", "f3"], {}),
    *((op, ["f0x3", "f3"], {}) for op in [*ARITHMETIC, *COMPARISONS]),
    *((op, ["f2x0", "f1"], {}) for op in ARITHMETIC),
    *((op, ["b0", "b1"], {}) for op in CONNECTIVES),
    ("Not", ["b0"], {}),
    ("Where", ["b1x3", "f0x1", "f"], {}),
    *(("Cast", ["f0"], {"to": to}) for to in DType),
    ("Conv", ["f0x2x3x3", "f4x2x3x3", "f4"], WINDOW),
    ("ConvTranspose", ["f0x2x3x3", "f2x4x3x3", "f4"], TRANSPOSE),
    ("MatMul", ["f0x3", "f3x4"], {}),
    ("MatMul", ["f2x3", "f3x0"], {}),
    ("MatMul", ["f0x2x3", "f3x4"], {}),
    ("MatMul", ["f2x0", "f0x4", "f4"], {}),
    ("MatMulNBits", ["f0x4", "u4x5", "f1x5", "u1x5"], {"block_size": 4}),
    ("MatMulNBits", ["f2x4", "u4x0", "f1x0", "u1x0"], {"block_size": 4}),
    *((op, ["f0x2x3x3"], POOL) for op in POOLS),
    *((op, ["f0x3"], {"axis": 1}) for op in [*SOFTMAXES, *ARGS]),
    *((op, ["f3x0"], {"axis": 1}) for op in SOFTMAXES),
    *((op, ["f0x3"], {"axes": (1,)}) for op in REDUCTIONS),
    ("ReduceSum", ["f3x0"], {"axes": (1,)}),
    ("BatchNormalization", ["f0x2x3", "f2", "f2", "f2", "f2"], {"epsilon": 1e-5}),
    ("InstanceNormalization", ["f0x2x3", "f2", "f2"], {"epsilon": 1e-5}),
    ("LayerNormalization", ["f0x3", "f3", "f3"], {"axis": 1, "epsilon": 1e-5}),
    ("LRN", ["f0x3x2"], LRN),
    ("Resize", ["f0x2"], resize((0, 2))),
    ("Reshape", ["f0x3"], {"shape": (5, 0)}),
    ("Transpose", ["f0x3"], {"perm": (1, 0)}),
    ("Concat", ["f2x0", "f2x3", "f2x0"], {"axis": 1}),
    ("Split", ["f2x0"], {"axis": 1, "split": (0, 0)}),
    ("Split", ["f2x3"], {"axis": 1, "split": (0, 3, 0)}),
    ("Slice", ["f2x3"], {"starts": (0, 5), "sizes": (2, 0), "steps": (1, 1)}),
    ("Expand", ["f1x3"], {"shape": (0, 3)}),
    ("Tile", ["f2x3"], {"repeats": (2, 0)}),
    ("Tile", ["f0x3"], {"repeats": (2, 2)}),
    ("Pad", ["f0x2"], {"pads": (1, 0, 2, 0), "value": 7}),
    ("Pad", ["f0x2"], {"pads": (0, 1, 0, 1), "mode": "edge"}),
    ("Gather", ["f2x3", "l0"], {"axis": 1}),
    ("Gather", ["f2x0", "l2"], {"axis": 0}),
    ("Gather", ["f0", "l0x2"], {"axis": 0}),
    ("DepthToSpace", ["f0x4x2x2"], {"blocksize": 2}),
    ("SpaceToDepth", ["f1x1x0x2"], {"blocksize": 2}),
    ("QuantizeLinear", ["f0x3", "f", "u"], {}),
    ("DequantizeLinear", ["u0x3", "f", "u"], {"axis": 0}),
    ("DynamicQuantizeLinear", ["f0x3"], {}),
    ("DequantizeSums", ["i0x3", "f3"], {"axis": 1}),
    ("DequantizeSums", ["i3x0", "f"], {"axis": 1}),
    ("Lookup", ["u0", "c256"], {}),
    ("ConvInteger", ["u0x2x3x3", "c4x2x3x3", "u", "c"], WINDOW),
    ("QLinearConv", ["u0x2x3x3", "c4x2x3x3", "u", "c", "f"], {**WINDOW, **Y}),
    ("MatMulInteger", ["u2x0", "c0x5", "u", "c"], {}),
    ("MatMulInteger", ["u0x2x3", "c3x5", "u", "c"], {}),
    ("QLinearMatMul", ["u2x3", "c3x0", "u", "c", "f"], Y),
    ("QLinearMatMul", ["u2x0", "c0x5", "u", "c", "f", "i5"], Y),
    ("QLinearAdd", ["u0x3", "u3"], {"a_ratio": 1.0, "b_ratio": 1.0, **POINTS, **Y}),
    ("QLinearMul", ["u0x3", "u3"], {"ratio": 1.0, **POINTS, **Y}),
    ("QLinearSoftmax", ["u0x3", "f256"], {"axis": 1, "ratio": 256.0, **Y}),
    ("QLinearAveragePool", ["u0x2x3x3"], {**POOL, "ratio": 1.0, "x_zero_point": 0, **Y}),
]  # fmt: skip

SCALAR = [
    *((op, ["f"], {}) for op in UNARY),
    *((op, ["f"], {"alpha": 0.5}) for op in BY_ALPHA),
    ("Clip", ["f"], {"clamp": Clamp(0)}),
    ("HardSigmoid", ["f"], {"alpha": 0.2, "beta": 0.5}),
    ("Gelu", ["f"], {"approximate": "none"}),
    ("PRelu", ["f", "f"], {}),
    *((op, ["f", "f"], {}) for op in [*ARITHMETIC, *COMPARISONS]),
    *((op, ["l", "l"], {}) for op in [*group("arithmetic"), *COMPARISONS]),
    *((op, ["b", "b"], {}) for op in CONNECTIVES),
    ("Not", ["b"], {}),
    ("Where", ["b", "f", "f"], {}),
    *(("Cast", ["f"], {"to": to}) for to in DType),
    *((op, ["f3"], {"axes": (0,), "keepdims": False}) for op in REDUCTIONS),
    *((op, ["f3"], {"axis": 0, "keepdims": False}) for op in ARGS),
    ("Reshape", ["f1x1"], {"shape": ()}),
    ("Transpose", ["f"], {"perm": ()}),
    ("Slice", ["f"], {"starts": (), "sizes": (), "steps": ()}),
    ("Expand", ["f"], {"shape": ()}),
    ("Tile", ["f"], {"repeats": ()}),
    ("Pad", ["f"], {"pads": ()}),
    ("Gather", ["f3", "l"], {"axis": 0}),
    ("Resize", ["f"], resize(())),
]


@pytest.mark.parametrize(("op", "operands", "attrs"), EMPTY + SCALAR, ids=map(id_of, EMPTY + SCALAR))
def test_empty_tensors_and_scalars(op, operands, attrs, engine):
    """Weights are constants, so that every lowering can take them."""
    types = [typed(text) for text in operands]
    arrays = tuple(tensor(i, t.shape, t.dtype.numpy) for i, t in enumerate(types))
    weights = "Conv" in op or "MatMul" in op or op.endswith("Normalization")
    check_case(Case(op, arrays, attrs, frozenset(range(1, len(arrays))) if weights else frozenset()), engine)


def test_every_operator_takes_empty_tensors():
    assert {op for op, *_ in EMPTY} == set(OPERATORS)


def test_a_sum_of_nothing_is_zero_and_its_mean_is_not_a_number():
    x = np.zeros((3, 0), np.float32)
    assert OPERATORS["ReduceSum"].reference(x, axes=(1,)).tolist() == [[0.0]] * 3
    with np.errstate(all="ignore"):
        assert np.isnan(OPERATORS["ReduceMean"].reference(x, axes=(1,))).all()
