"""Dequantise, compute, quantise: patterns that become operators on integers, and bytes that are moved as bytes.

Operators that add or multiply round differently from the float graph, by at most one quantum of their result; tables
and movement give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyinfer import registry, scales
from tinyinfer.graph import Graph, GraphBuilder, Node, Translate, Value, rebuild
from tinyinfer.passes import bias as biases
from tinyinfer.passes import weight_only
from tinyinfer.passes.examples import PLAIN, given, weights
from tinyinfer.rewrite import Apply, Example, Match, P, Rule, Target, rule
from tinyinfer.types import Array, Clamp, DType, Quantized, TensorType

BYTES = (DType.INT8, DType.UINT8)
QUANTUM = 1 / 64
"""Tolerance of the rules that round: the results of the examples reach that many quanta."""


def dequantized(name: str) -> P:
    """The dequantisation of `name`, with scale and zero point `name`_scale and `name`_zero."""
    return P("DequantizeLinear", (name, f"{name}_scale!", f"{name}_zero!"), f"{name}_dq", shared=True)


def quantized(inner: P | str) -> P:
    return P("QuantizeLinear", (inner, "y_scale!", "y_zero!"), "q")


# ── examples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bytes(b: GraphBuilder, name: str, *shape: int, dtype: DType = DType.UINT8) -> Value:
    return b.input(name, TensorType(dtype, shape))


def _real(b: GraphBuilder, x: Value, scale: float = 0.02, zero: int = 100) -> Value:
    return b.add1("DequantizeLinear", x, *_parameters(b, x.dtype, scale, zero), axis=0)


def _parameters(b: GraphBuilder, dtype: DType, scale: float, zero: int) -> tuple[Value, Value]:
    return b.constant(np.asarray(scale, np.float32), "scale"), b.constant(np.asarray(zero, dtype.numpy), "zero")


def _again(b: GraphBuilder, x: Value, scale: float = 0.05, zero: int = 7, dtype: DType = DType.UINT8) -> Value:
    """Quantised, and dequantised so that the example's result is float."""
    parameters = _parameters(b, dtype, scale, zero)
    return b.add1("DequantizeLinear", b.add1("QuantizeLinear", x, *parameters), *parameters, axis=0)


def _weights(b: GraphBuilder, *shape: int, axis: int) -> Value:
    rng = np.random.default_rng(5)
    scales = rng.uniform(0.005, 0.02, shape[axis]).astype(np.float32)
    return b.add1(
        "DequantizeLinear",
        b.constant(rng.integers(-128, 128, shape).astype(np.int8), "w"),
        b.constant(scales, "w_scale"),
        b.constant(np.zeros(shape[axis], np.int8), "w_zero"),
        axis=axis,
    )


def _convolution(b: GraphBuilder) -> Value:
    x, w = _real(b, _bytes(b, "x", 1, 3, 6, 6)), _weights(b, 5, 3, 3, 3, axis=0)
    bias = b.constant(np.linspace(-1, 1, 5, dtype=np.float32), "bias")
    return b.add1("Conv", x, w, bias, **PLAIN)


def _product(b: GraphBuilder) -> Value:
    x, w = _real(b, _bytes(b, "x", 4, 6, dtype=DType.INT8), zero=-3), _weights(b, 6, 7, axis=1)
    return b.add1("MatMul", x, w)


def _pair(op: str) -> Example:
    def example(b: GraphBuilder) -> Value:
        return b.add1(op, _real(b, _bytes(b, "x", 3, 40)), _real(b, _bytes(b, "z", 3, 40), 0.03, 90))

    return example


def _pooled(b: GraphBuilder) -> Value:
    return b.add1("ReduceMean", _real(b, _bytes(b, "x", 2, 9, 3, 3)), axes=(2, 3), keepdims=True)


DOUBLED: dict[str, Any] = {
    "sizes": (1, 2, 6, 6), "scales": (1.0, 1.0, 2.0, 2.0), "mode": "nearest", "roi": (), "nearest_mode": "floor",
    "coordinate_transformation_mode": "asymmetric", "cubic_coeff_a": -0.75, "exclude_outside": False,
    "extrapolation_value": 0.0,
}  # fmt: skip


# ── operators that compute ───────────────────────────────────────────────────────────────────────────────────────────


def _y(m: Match) -> tuple[Array, Quantized] | None:
    """Scale and type of the result, its range cut by a clamp between the operator and its quantisation."""
    scale, zero = m["y_scale"].data, m["y_zero"].data
    assert scale is not None
    assert zero is not None
    if scale.size != 1:
        return None
    y = Quantized.full(m["y_zero"].dtype, int(zero.reshape(())))
    for name in ("clip", "inner"):
        clamp = m.nodes[name].attrs.get("clamp") if name in m.nodes else None
        y = scales.clamped(y, scale, clamp) if clamp is not None else y
    return (scale.reshape(()), y) if y.lo <= y.hi else None


def _data(m: Match, name: str) -> Array:
    data = m[name].data
    assert data is not None
    return data


def _scalar(m: Match, name: str) -> bool:
    """Whether the dequantised operand is bytes with one scale."""
    return m[name].dtype in BYTES and m[f"{name}_scale"].type.size == m[f"{name}_zero"].type.size == 1


def _along(m: Match, name: str, axis: int) -> bool:
    """Whether the dequantised operand is constant bytes with one scale, or one for each slice of `axis`."""
    several = m[f"{name}_scale"].type.size > 1
    attrs = m.node(f"{name}_dq").attrs
    return m[name].dtype in BYTES and (not several or (attrs["axis"] == axis and not attrs.get("block_size")))


def _weighted(m: Match, to: Target, op: str, axis: int, bias: Value | None) -> Value | None:
    """A convolution or product of integers that takes the place of the node `inner`."""
    found, node = _y(m), m.node("inner")
    if found is None or not _scalar(m, "x") or not _along(m, "w", axis) or (bias is not None and bias.data is None):
        return None
    scale, y = found
    x_scale, w_scale = _data(m, "x_scale").reshape(()), _data(m, "w_scale")
    factor = scales.multiplier(x_scale, w_scale, scale)
    if factor is None:
        return None
    sums = None
    if bias is not None and bias.data is not None:
        sums = to.constant(scales.sums_of_bias(bias.data, x_scale, w_scale), bias.name)
    attrs = {key: value for key, value in node.attrs.items() if key != "clamp"}
    multiplier = to.constant(factor, f"{node.output.name}/multiplier")
    return to.add(op, m["x"], m["w"], m["x_zero"], m["w_zero"], multiplier, sums, like=node, **attrs, y=y)


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
    found = _y(m)
    if found is None or not (_scalar(m, "a") and _scalar(m, "b")):
        return None
    scale, y = found
    ratios = [scales.ratio(_data(m, f"{name}_scale"), scale) for name in "ab"]
    if None in ratios:
        return None
    return to.add(
        "QLinearAdd", m["a"], m["b"], like=m.node("inner"), a_ratio=ratios[0], b_ratio=ratios[1], **_points(m), y=y
    )


def _mul(m: Match, to: Target) -> Value | None:
    found = _y(m)
    if found is None or not (_scalar(m, "a") and _scalar(m, "b")):
        return None
    scale, y = found
    factor = scales.multiplier(_data(m, "a_scale").reshape(()), _data(m, "b_scale").reshape(()), scale)
    if factor is None:
        return None
    return to.add("QLinearMul", m["a"], m["b"], like=m.node("inner"), ratio=float(factor), **_points(m), y=y)


def _points(m: Match) -> dict[str, int]:
    return {f"{name}_zero_point": int(_data(m, f"{name}_zero").reshape(())) for name in "ab"}


def _mean(m: Match, to: Target) -> Value | None:
    """The mean over all spatial axes."""
    found, node, x = _y(m), m.node("inner"), m["x"]
    if found is None or not _scalar(m, "x") or x.type.rank < 3 or node.attrs["axes"] != tuple(range(2, x.type.rank)):
        return None
    scale, y = found
    pixels = int(np.prod(x.shape[2:]))
    ratio = scales.ratio(_data(m, "x_scale"), scale, pixels)
    if ratio is None or not pixels:
        return None
    pooled = to.add(
        "QLinearGlobalAveragePool", x, like=node, ratio=ratio, x_zero_point=int(_data(m, "x_zero").reshape(())), y=y
    )
    return pooled if node.attrs["keepdims"] else to.add("Reshape", pooled, like=node, shape=node.output.shape)


def _sum(op: str) -> P:
    return P(op, (dequantized("a"), dequantized("b")), "inner")


_COMPUTING: list[tuple[str, P, Apply, Example]] = [
    ("Conv", P("Conv", (dequantized("x"), dequantized("w")), "inner"), _conv, _convolution),
    ("MatMul", P("MatMul", (dequantized("x"), dequantized("w")), "inner"), _matmul, _product),
    ("Add", _sum("Add"), _add, _pair("Add")),
    ("Mul", _sum("Mul"), _mul, _pair("Mul")),
    ("ReduceMean", P("ReduceMean", (dequantized("x"),), "inner"), _mean, _pooled),
]


def _plain(op: str, pattern: P, apply: Apply, example: Example) -> Rule:
    return Rule(
        f"Quantize({op}(Dequantize…)) → {op} of integers", quantized(pattern), apply,
        lambda b: _again(b, example(b)), QUANTUM,
    )  # fmt: skip


def _clipped(op: str, pattern: P, apply: Apply, example: Example) -> Rule:
    """With a clamp before the quantisation."""
    return Rule(
        f"Quantize(Clip({op}(Dequantize…))) → {op} of integers", quantized(P("Clip", (pattern,), "clip")), apply,
        lambda b: _again(b, b.add1("Clip", example(b), clamp=Clamp(0.0, 6.0))), QUANTUM,
    )  # fmt: skip


# ── functions of one value, and movement ─────────────────────────────────────────────────────────────────────────────

UNARY = (
    "Clip|Sigmoid|Tanh|HardSigmoid|HardSwish|Swish|Gelu|Elu|LeakyRelu|Softplus|Mish|Exp|Log|Sqrt|Erf|Abs|Neg|Reciprocal|Floor|"
    "Ceil|Round"
)


MOVEMENT = "Reshape|Transpose|Slice|Expand|Tile|DepthToSpace|SpaceToDepth"


@rule(
    "Quantize(f(Dequantize(x))) → Lookup(x)",
    quantized(P(UNARY, (dequantized("x"),), "inner")),
    lambda b: _again(b, b.add1("Sigmoid", _real(b, _bytes(b, "x", 3, 40))), 1 / 256),
)
def function_of_bytes(m: Match, to: Target) -> Value | None:
    node = m.node("inner")
    return _tabulated(m, to, node, node.op, node.attrs)


@rule(
    "Quantize(Dequantize(x)) → x, or Lookup(x)",
    quantized(dequantized("x")),
    lambda b: _again(b, _real(b, _bytes(b, "x", 3, 40))),
)
def requantization(m: Match, to: Target) -> Value | None:
    same = all(
        m[f"x_{what}"].dtype is m[f"y_{what}"].dtype and np.array_equal(_data(m, f"x_{what}"), _data(m, f"y_{what}"))
        for what in ("scale", "zero")
    )
    return to.value(m["x"]) if same else _tabulated(m, to, m.node("q"), "", {})


def _tabulated(m: Match, to: Target, like: Node, op: str, attrs: Mapping[str, Any]) -> Value | None:
    if not _scalar(m, "x"):
        return None
    x_scale, x_zero, y_scale, y_zero = (
        _data(m, name).reshape(()) for name in ("x_scale", "x_zero", "y_scale", "y_zero")
    )
    table = scales.table(m["x"].dtype, x_scale, x_zero, y_scale, y_zero, op, attrs)
    return to.add("Lookup", m["x"], to.constant(table, f"{like.output.name}/table"), like=like)


@rule(
    "Quantize(move(x)) → move(Quantize(x))",
    quantized(P(MOVEMENT, ("x",), "move")),
    lambda b: _again(b, b.add1("Transpose", b.input("x", TensorType(DType.FLOAT, (3, 40))), perm=(1, 0))),
)
def quantize_before_movement(m: Match, to: Target) -> Value:
    """Bytes move faster than floats, and meet the dequantisation before them."""
    return to.replace(m.node("move"), (_quantize(m, to, m["x"]),))


@rule(
    "Quantize(Concat(x…)) → Concat(Quantize(x)…)",
    quantized(P("Concat", (), "move")),
    lambda b: _again(b, b.add1("Concat", *(_real(b, _bytes(b, n, 3, 8)) for n in "xz"), axis=1)),
)
def quantize_before_concatenation(m: Match, to: Target) -> Value:
    node = m.node("move")
    return to.replace(node, [_quantize(m, to, v) for v in node.operands])


@rule(
    "Quantize(MaxPool(Dequantize(x))) → MaxPool(x), requantised",
    quantized(P("MaxPool", (dequantized("x"),), "pool")),
    lambda b: _again(
        b,
        b.add1("MaxPool", _real(b, _bytes(b, "x", 1, 3, 6, 6)), kernel_shape=(2, 2), ceil_mode=False, **PLAIN),
    ),
)  # fmt: skip
def maximum_of_bytes(m: Match, to: Target) -> Value | None:
    """Dequantising keeps the order of numbers."""
    if not _scalar(m, "x"):
        return None
    pooled = to.replace(m.node("pool"), (m["x"],))
    real = to.add("DequantizeLinear", pooled, m["x_scale"], m["x_zero"], like=m.node("x_dq"), axis=0)
    return _quantize(m, to, real)


@rule(
    "Quantize(Pad(Dequantize(x))) → Pad(x), requantised",
    quantized(P("Pad", (dequantized("x"),), "pad")),
    lambda b: _again(b, b.add1("Pad", _real(b, _bytes(b, "x", 3, 5)), pads=(0, 1, 2, 0), value=0.5)),
    QUANTUM,
)
def padding_of_bytes(m: Match, to: Target) -> Value | None:
    """The value that is padded with is rounded to a quantum of x first; 0 is one."""
    if not _scalar(m, "x"):
        return None
    value = np.asarray(m.node("pad").attrs.get("value", 0.0), np.float32)
    padded = int(scales.evaluate("QuantizeLinear", value, _data(m, "x_scale"), _data(m, "x_zero")))
    pad = to.replace(m.node("pad"), (m["x"],), value=padded)
    return _quantize(m, to, to.add("DequantizeLinear", pad, m["x_scale"], m["x_zero"], like=m.node("x_dq"), axis=0))


@rule(
    "Quantize(Resize(x)) → Expand(Quantize(x)) where elements are repeated",
    quantized(P("Resize", ("x",), "move")),
    lambda b: _again(b, b.add1("Resize", _real(b, _bytes(b, "x", 1, 2, 3, 3)), **DOUBLED)),
)
def repetition_of_bytes(m: Match, to: Target) -> Value | None:
    """nearest by whole factors."""
    node, x = m.node("move"), m["x"]
    sizes: tuple[int, ...] = node.attrs["sizes"]
    if node.attrs["mode"] != "nearest" or any(to % of for to, of in zip(sizes, x.shape)) or 0 in sizes:
        return None
    factors = [to // of for to, of in zip(sizes, x.shape)]
    for axis, (n, factor) in enumerate(zip(x.shape, factors)):
        line = np.arange(n, dtype=np.float32).reshape([n if i == axis else 1 for i in range(len(sizes))])
        along = tuple(n * factor if i == axis else 1 for i in range(len(sizes)))
        ratios = tuple(s if i == axis else 1.0 for i, s in enumerate(node.attrs["scales"]))
        attrs = {**node.attrs, "sizes": along, "scales": ratios}
        if node.attrs["roi"] or not np.array_equal(
            scales.evaluate("Resize", line, **attrs).reshape(-1), np.repeat(line.reshape(-1), factor)
        ):
            return None
    apart = tuple(d for n in x.shape for d in (n, 1))
    wide = tuple(d for pair in zip(x.shape, factors) for d in pair)
    bytes_ = to.add("Reshape", _quantize(m, to, x), like=node, shape=apart)
    return to.add("Reshape", to.add("Expand", bytes_, like=node, shape=wide), like=node, shape=sizes)


def _quantize(m: Match, to: Target, x: Value) -> Value:
    return to.add("QuantizeLinear", x, m["y_scale"], m["y_zero"], like=m.node("q"))


@rule(
    "move(Dequantize(constant)) → Dequantize(moved constant)",
    P("Reshape|Transpose", (P("DequantizeLinear", ("x!", "x_scale!", "x_zero!"), "x_dq", shared=True),), "move"),
    lambda b: b.add1("MatMul", given(b, 4, 6), b.add1("Transpose", _weights(b, 7, 6, axis=0), perm=(1, 0))),
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
        parameters = (to.constant(_data(m, f"x_{v}").transpose(perm), m[f"x_{v}"].name) for v in ("scale", "zero"))
        attrs = {"axis": perm.index(axis), "block_size": block}
        return to.add("DequantizeLinear", moved, *parameters, like=m.node("x_dq"), **attrs)
    place = move.attrs["perm"].index(axis) if several else 0
    return to.add("DequantizeLinear", moved, m["x_scale"], m["x_zero"], like=m.node("x_dq"), axis=place)


INTEGER_FORMS = frozenset(
    {*(op for op, *_ in _COMPUTING), *UNARY.split("|"), *MOVEMENT.split("|"), "Concat", "MaxPool", "Pad", "Resize"}
)
"""Operators that have a form on bytes."""


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
    requantization,
    *(form(*row) for row in _COMPUTING for form in (_plain, _clipped)),
    function_of_bytes,
    maximum_of_bytes,
    quantize_before_movement,
    quantize_before_concatenation,
    padding_of_bytes,
    repetition_of_bytes,
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
    if not plain or not w.is_constant or not _scalar(m, "x") or not _along(m, "w", w.type.rank - 1):
        return None
    if not node.attrs.get("clamp", Clamp()).is_open:
        return None
    sums = to.add("MatMulInteger", m["x"], w, m["x_zero"], m["w_zero"], like=node)
    unit = to.constant(_data(m, "x_scale").reshape(()) * _data(m, "w_scale"), f"{node.output.name}/scale")
    scaled = to.add("Mul", to.add("Cast", sums, like=node, to=DType.FLOAT), unit, like=node)
    return scaled if bias is None else to.add("Add", scaled, bias, like=node)


def _integer_sums(b: GraphBuilder) -> Value:
    """A product of integers with scales that are known at run time."""
    x, zero = _bytes(b, "x", 4, 6), b.constant(np.asarray(100, np.uint8), "zero")
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
    bias = np.broadcast_to(_data(m, "c").reshape(-1), (node.output.shape[axis],))
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


SUMS: list[Rule] = [float_of_integer_sums, scaled_sums, bias_of_sums, clamp_of_sums]
"""Applied after RULES: what they have not taken up."""


def fold(graph: Graph) -> Graph:
    """Dequantise the constants that no integer operator has taken up, but for the weights of products."""
    kept = weight_only.of_products(graph)

    def emit(builder: GraphBuilder, node: Node, translate: Translate) -> Sequence[Value] | None:
        arrays = [translate(v).data for v in node.operands]
        if node.op != "DequantizeLinear" or node.output in kept or any(a is None for a in arrays):
            return None
        return [builder.constant(a, node.output.name) for a in registry.SEMANTICS.evaluate(node.op, arrays, node.attrs)]

    return rebuild(graph, registry.SEMANTICS, emit)
