"""Dequantise, compute, quantise: patterns that become operators on integers, and bytes that are moved as bytes.

Operators that add or multiply round differently from the float graph, by at most one quantum of their result; tables
and movement give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyinfer import registry, rewrite, scales
from tinyinfer.graph import Graph, GraphBuilder, Node, Translate, Value, rebuild
from tinyinfer.passes import bias as biases
from tinyinfer.passes import integer_range, weight_only
from tinyinfer.passes import quantized_movement as movement
from tinyinfer.passes import quantized_pooling as pooling
from tinyinfer.passes import quantized_transposed as transposed
from tinyinfer.passes.examples import PLAIN, given, weights
from tinyinfer.passes.quantized_patterns import (
    Computing,
    again,
    along,
    byte_input,
    byte_weights,
    data,
    dequantized,
    factors,
    products,
    quantized,
    real,
    result,
    single,
)
from tinyinfer.rewrite import Apply, Example, Match, P, Rule, Target, rule
from tinyinfer.types import Clamp, DType, TensorType

# ── examples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _convolution(b: GraphBuilder) -> Value:
    x, w = real(b, byte_input(b, "x", 1, 3, 6, 6)), byte_weights(b, 5, 3, 3, 3, axis=0)
    bias = b.constant(np.linspace(-1, 1, 5, dtype=np.float32), "bias")
    return b.add1("Conv", x, w, bias, **PLAIN)


def _product(b: GraphBuilder) -> Value:
    x, w = real(b, byte_input(b, "x", 4, 6, dtype=DType.INT8), zero=-3), byte_weights(b, 6, 7, axis=1)
    return b.add1("MatMul", x, w)


def _pair(op: str) -> Example:
    def example(b: GraphBuilder) -> Value:
        return b.add1(op, real(b, byte_input(b, "x", 3, 40)), real(b, byte_input(b, "z", 3, 40), 0.03, 90))

    return example


# ── operators that compute ───────────────────────────────────────────────────────────────────────────────────────────


def _weighted(m: Match, to: Target, op: str, axis: int, bias: Value | None) -> Value | None:
    """A convolution or product of integers that takes the place of the node `inner`."""
    found, node = products(m, axis, bias), m.node("inner")
    if found is None:
        return None
    sums = None if found.bias is None else to.constant(found.bias, f"{node.output.name}/bias")
    attrs = {key: value for key, value in node.attrs.items() if key != "clamp"}
    multiplier = to.constant(found.multiplier, f"{node.output.name}/multiplier")
    return to.add(op, m["x"], m["w"], m["x_zero"], m["w_zero"], multiplier, sums, like=node, **attrs, y=found.y)


def _bias(node: Node) -> tuple[bool, Value | None]:
    """Whether the node has no residual, and its bias."""
    operands = (*node.inputs, None, None)[:4]
    return operands[3] is None, operands[2]


def _conv(m: Match, to: Target) -> Value | None:
    plain, bias = _bias(m.node("inner"))
    return _weighted(m, to, "QLinearConv", 0, bias) if plain and m["w"].is_constant else None


def _matmul(m: Match, to: Target) -> Value | None:
    plain, bias = _bias(m.node("inner"))
    return _weighted(m, to, "QLinearMatMul", m["w"].type.rank - 1, bias) if plain else None


def _add(m: Match, to: Target) -> Value | None:
    """A difference is a sum with a negative ratio."""
    found, node = result(m), m.node("inner")
    if found is None or not (single(m, "a") and single(m, "b")):
        return None
    scale, y = found
    left, right = (scales.ratio(data(m, f"{name}_scale"), scale) for name in "ab")
    if left is None or right is None or left + right > integer_range.MOST_RATIOS:
        return None
    attrs = {**_points(m), "a_ratio": left, "b_ratio": -right if node.op == "Sub" else right, "y": y}
    return to.add("QLinearAdd", m["a"], m["b"], like=node, **attrs)


def _mul(m: Match, to: Target) -> Value | None:
    found = result(m)
    if found is None or not (single(m, "a") and single(m, "b")):
        return None
    scale, y = found
    factor = scales.multiplier(data(m, "a_scale").reshape(()), data(m, "b_scale").reshape(()), scale)
    if factor is None:
        return None
    return to.add("QLinearMul", m["a"], m["b"], like=m.node("inner"), ratio=float(factor), **_points(m), y=y)


def _points(m: Match) -> dict[str, int]:
    return {f"{name}_zero_point": int(data(m, f"{name}_zero").reshape(())) for name in "ab"}


@rule(
    "Quantize(Softmax(Dequantize…)) → Softmax of integers",
    quantized(P("Softmax", (dequantized("x"),), "inner")),
    lambda b: again(b, b.add1("Softmax", real(b, byte_input(b, "x", 3, 9)), axis=1), 1 / 256, 0),
    quanta=1,
)
def softmax_of_bytes(m: Match, to: Target) -> Value | None:
    """Differences of bytes take the place of those of floats."""
    found, node = result(m), m.node("inner")
    if found is None or not single(m, "x"):
        return None
    scale, y = found
    ratio = scales.softmax_ratio(scale)
    if ratio is None:
        return None
    table = to.constant(scales.exponentials(data(m, "x_scale")), f"{node.output.name}/table")
    return to.add("QLinearSoftmax", m["x"], table, like=node, axis=node.attrs["axis"], ratio=ratio, y=y)


def _sum(op: str) -> P:
    return P(op, (dequantized("a"), dequantized("b")), "inner")


_COMPUTING: list[Computing] = [
    ("Conv", P("Conv", (dequantized("x"), dequantized("w")), "inner"), _conv, _convolution),
    ("MatMul", P("MatMul", (dequantized("x"), dequantized("w")), "inner"), _matmul, _product),
    ("Add", _sum("Add"), _add, _pair("Add")),
    ("Sub", _sum("Sub"), _add, _pair("Sub")),
    ("Mul", _sum("Mul"), _mul, _pair("Mul")),
    *pooling.COMPUTING,
    *transposed.COMPUTING,
]


def _plain(op: str, pattern: P, apply: Apply, example: Example) -> Rule:
    return Rule(
        f"Quantize({op}(Dequantize…)) → {op} of integers", quantized(pattern), apply,
        lambda b: again(b, example(b)), quanta=1,
    )  # fmt: skip


def _clipped(op: str, pattern: P, apply: Apply, example: Example) -> Rule:
    """With a clamp before the quantisation."""
    return Rule(
        f"Quantize(Clip({op}(Dequantize…))) → {op} of integers", quantized(P("Clip", (pattern,), "clip")), apply,
        lambda b: again(b, b.add1("Clip", example(b), clamp=Clamp(0.0, 6.0))), quanta=1,
    )  # fmt: skip


@rule(
    "move(Dequantize(constant)) → Dequantize(moved constant)",
    P("Reshape|Transpose", (P("DequantizeLinear", ("x!", "x_scale!", "x_zero!"), "x_dq", shared=True),), "move"),
    lambda b: b.add1("MatMul", given(b, 4, 6), b.add1("Transpose", byte_weights(b, 7, 6, axis=0), perm=(1, 0))),
)
def moved_weights(m: Match, to: Target) -> Value | None:
    """So that weights that are transposed for a product are recognised."""
    move, axis, several = m.node("move"), m.node("x_dq").attrs["axis"], m["x_scale"].type.size > 1
    block = m.node("x_dq").attrs.get("block_size", 0)
    if (several or block) and move.op != "Transpose":
        return None
    moved = to.replace(move, (m["x"],))
    if block:
        perm = move.attrs["perm"]
        parameters = (to.constant(data(m, f"x_{v}").transpose(perm), m[f"x_{v}"].name) for v in ("scale", "zero"))
        attrs = {"axis": perm.index(axis), "block_size": block}
        return to.add("DequantizeLinear", moved, *parameters, like=m.node("x_dq"), **attrs)
    place = move.attrs["perm"].index(axis) if several else 0
    return to.add("DequantizeLinear", moved, m["x_scale"], m["x_zero"], like=m.node("x_dq"), axis=place)


@rule(
    "Add(MatMul(Dequantize…), c[N]) → MatMul(Dequantize…, bias=c)",
    P("Add", (P("MatMul", (dequantized("x"), dequantized("w")), "inner"), "c!")),
    lambda b: b.add1("Add", _product(b), weights(b, 7, seed=4)),
    tolerance=1e-6,
)
def bias_of_product(m: Match, to: Target) -> Value | None:
    """So that a product whose bias is a node of its own, as of tensors of rank 3, is recognised."""
    return biases.add_to_matmul.apply(m, to)


RULES: list[Rule] = [
    moved_weights,
    bias_of_product,
    *movement.FUNCTIONS,
    *(form(*row) for row in _COMPUTING for form in (_plain, _clipped)),
    softmax_of_bytes,
    *pooling.RULES,
    *movement.RULES,
]


@rule(
    "MatMul(Dequantize(x), Dequantize(w)) + b → Cast(MatMulInteger(x, w))·scales + b",
    P("MatMul", (dequantized("x"), dequantized("w")), "inner"),
    _product,
    tolerance=1e-5,
)
def float_of_integer_sums(m: Match, to: Target) -> Value | None:
    """A product whose result stays float: its weights are bytes all the same, and its sums exact."""
    node, w = m.node("inner"), m["w"]
    plain, bias = _bias(node)
    if not plain or not w.is_constant or not single(m, "x") or not along(m, "w", w.type.rank - 1):
        return None
    found = factors(m, w.type.rank - 1)
    if found.obstacle() or not scales.is_normal(found.unit).all() or not node.attrs.get("clamp", Clamp()).is_open:
        return None
    sums = to.add("MatMulInteger", m["x"], w, m["x_zero"], m["w_zero"], like=node)
    unit = to.constant(found.unit.astype(np.float32), f"{node.output.name}/scale")
    scaled = to.add("Mul", to.add("Cast", sums, like=node, to=DType.FLOAT), unit, like=node)
    return scaled if bias is None else to.add("Add", scaled, bias, like=node)


def _integer_sums(b: GraphBuilder) -> Value:
    """A product of integers with scales that are known at run time."""
    x, zero = byte_input(b, "x", 4, 6), b.constant(np.asarray(100, np.uint8), "zero")
    w = b.constant(np.random.default_rng(6).integers(-128, 128, (6, 7)).astype(np.int8), "w")
    found = b.add1("MatMulInteger", x, w, zero, b.constant(np.zeros((), np.int8), "w_zero"))
    scale = b.input("scale", TensorType(DType.FLOAT, (1, 7)))
    return b.add1("Mul", b.add1("Cast", found, to=DType.FLOAT), scale)


def _scaled_sums(b: GraphBuilder) -> Value:
    scale = b.input("scale", TensorType(DType.FLOAT, (7,)))
    return b.add1("DequantizeSums", b.input("x", TensorType(DType.INT32, (4, 7))), scale, axis=1)


def _channel_constants(value: Value, like: Value, axis: int) -> int | None:
    """How many values of `like`'s channels `value` holds: 1, or one for each; None where it varies otherwise."""
    dims = (1,) * (like.type.rank - value.type.rank) + value.shape
    count = like.shape[axis]
    alone = len(dims) == like.type.rank and all(d == 1 or (i == axis and d == count) for i, d in enumerate(dims))
    return value.type.size if alone else None


@rule(
    "Cast(ConvInteger or MatMulInteger)·scale → DequantizeSums",
    P("Mul", (P("Cast", (P("ConvInteger|MatMulInteger", name="sums"),), "cast"), "scale"), "mul"),
    _integer_sums,
)
def scaled_sums(m: Match, to: Target) -> Value | None:
    node, scale = m.node("sums"), m["scale"]
    axis = 1 if node.op == "ConvInteger" else node.output.type.rank - 1
    count = _channel_constants(scale, node.output, axis)
    if m.node("cast").attrs["to"] is not DType.FLOAT or count is None:
        return None
    flat = scale if scale.type.rank < 2 else to.add("Reshape", scale, like=m.node("mul"), shape=(count,))
    return to.add("DequantizeSums", node.output, flat, like=m.node("mul"), axis=axis)


@rule(
    "DequantizeSums(x) + c → DequantizeSums{bias: c}(x)",
    P("Add", (P("DequantizeSums", name="inner"), "c!"), "add"),
    lambda b: b.add1("Add", _scaled_sums(b), weights(b, 7, seed=4)),
)
def bias_of_sums(m: Match, to: Target) -> Value | None:
    node, axis = m.node("inner"), m.node("inner").attrs["axis"]
    taken = len(node.operands) > 2 or not node.attrs.get("clamp", Clamp()).is_open
    if taken or _channel_constants(m["c"], node.output, axis) is None:
        return None
    bias = np.broadcast_to(data(m, "c").reshape(-1), (node.output.shape[axis],))
    return to.replace(node, (*node.operands, to.constant(np.array(bias), m["c"].name)))


@rule(
    "Clip(DequantizeSums(x)) → DequantizeSums{clamp}(x)",
    P("Clip", (P("DequantizeSums", name="inner"),), "clip"),
    lambda b: b.add1("Clip", _scaled_sums(b), clamp=Clamp(0.0, 6.0)),
)
def clamp_of_sums(m: Match, to: Target) -> Value | None:
    node = m.node("inner")
    clamp = node.attrs.get("clamp", Clamp()).then(m.node("clip").attrs["clamp"])
    return None if clamp is None else to.replace(node, clamp=clamp)


INTEGER_FORMS = rewrite.operators(rule.pattern for rule in RULES) | rewrite.operators(
    operand for rule in RULES if rule.pattern.ops == "QuantizeLinear" for operand in rule.pattern.operands
)
"""Operators that have a form on bytes: these rules know them, most of them before a quantisation."""

OF_ONE_VALUE = rewrite.operators([P(movement.BINARY)]) - {op for op, *_ in _COMPUTING}
"""Those of two operands that have it only where one of them is a constant number."""

SUMS: list[Rule] = [float_of_integer_sums, scaled_sums, bias_of_sums, clamp_of_sums]
"""Applied after RULES: what they have not taken up."""


def fold(graph: Graph) -> Graph:
    """Dequantise the constants that no integer operator has taken up, but for the weights of products."""
    kept = weight_only.of_products(graph)

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        if node.op != "DequantizeLinear" or node.output in kept:
            return None
        return builder.fold(node, translate)

    return rebuild(graph, registry.SEMANTICS, emit)
