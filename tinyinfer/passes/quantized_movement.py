"""Functions of one byte become tables; what is moved between two quantisations is moved as bytes. Both are exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyinfer import scales
from tinyinfer.graph import GraphBuilder, Node, Value
from tinyinfer.passes.quantized_patterns import (
    again,
    byte_input,
    data,
    dequantized,
    quantized,
    real,
    requantized,
    rescaled,
    single,
)
from tinyinfer.registry import named
from tinyinfer.rewrite import Example, Match, P, Rule, Target, rule
from tinyinfer.types import DType, TensorType

UNARY = named(lambda row: row.traits.tabulated and len(row.operands) == 1)
BINARY = named(lambda row: row.traits.tabulated and len(row.operands) == 2)
"""Functions of one value where the other operand is a constant number."""

MOVEMENT = named(lambda row: row.traits.moves)


def _bytes(b: GraphBuilder) -> Value:
    return real(b, byte_input(b, "x", 3, 40))


def _number(b: GraphBuilder) -> Value:
    return b.constant(np.asarray([0.75], np.float32), "number")


# ── functions of one value ───────────────────────────────────────────────────────────────────────────────────────────


def function_of_bytes(m: Match, to: Target) -> Value | None:
    """What varies is x alone; its place among the operands is None."""
    node = m.node("inner")
    numbers = [v.data if v.is_constant else None for v in node.operands]
    if any(a is not None and a.size != 1 for a in numbers) or node.output.shape != m["x"].shape:
        return None
    return _tabulated(m, to, node, lambda r: scales.evaluate(
        node.op, *(r if a is None else a.reshape(()) for a in numbers), **node.attrs
    ))  # fmt: skip


@rule(
    "Quantize(Dequantize(x)) → x, or Lookup(x)",
    quantized(dequantized("x")),
    lambda b: again(b, _bytes(b)),
)
def requantization(m: Match, to: Target) -> Value | None:
    return to.value(m["x"]) if _kept(m) else _tabulated(m, to, m.node("q"), lambda r: r)


def _kept(m: Match) -> bool:
    """Whether type, scale and zero point of the result are those of x, whose numbers are all finite."""
    return _is_finite(m) and all(
        m[f"x_{what}"].dtype is m[f"y_{what}"].dtype and np.array_equal(data(m, f"x_{what}"), data(m, f"y_{what}"))
        for what in ("scale", "zero")
    )


def _is_finite(m: Match) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(data(m, "x_scale") * np.float32(255)).all())


def _tabulated(m: Match, to: Target, like: Node, function: scales.Function) -> Value | None:
    if not single(m, "x"):
        return None
    x = data(m, "x_scale").reshape(()), data(m, "x_zero").reshape(())
    y = data(m, "y_scale").reshape(()), data(m, "y_zero").reshape(())
    table = scales.table(m["x"].dtype, *x, *y, function)
    return to.add("Lookup", m["x"], to.constant(table, f"{like.output.name}/table"), like=like)


def _function(title: str, pattern: P, example: Example) -> Rule:
    return Rule(
        f"Quantize({title}) → Lookup(x)", quantized(pattern), function_of_bytes, lambda b: again(b, example(b), 1 / 256)
    )


FUNCTIONS: list[Rule] = [
    requantization,
    _function("f(Dequantize(x))", P(UNARY, (dequantized("x"),), "inner"), lambda b: b.add1("Sigmoid", _bytes(b))),
    _function(
        "f(Dequantize(x), c)",
        P(BINARY, (dequantized("x"), "c!"), "inner"),
        lambda b: b.add1("Add", _bytes(b), _number(b)),
    ),
    _function(
        "f(c, Dequantize(x))",
        P("Sub|Div|Pow", ("c!", dequantized("x")), "inner"),
        lambda b: b.add1("Sub", _number(b), _bytes(b)),
    ),
]


# ── movement ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@rule(
    "Quantize(move(x)) → move(Quantize(x))",
    quantized(P(MOVEMENT, ("x",), "move")),
    lambda b: again(b, b.add1("Transpose", b.input("x", TensorType(DType.FLOAT, (3, 40))), perm=(1, 0))),
)
def quantize_before_movement(m: Match, to: Target) -> Value:
    """Bytes move faster than floats, and meet the dequantisation before them."""
    node = m.node("move")
    return to.replace(node, (requantized(m, to, m["x"]), *node.inputs[1:]))


@rule(
    "Quantize(Concat(x…)) → Concat(Quantize(x)…)",
    quantized(P("Concat", (), "move")),
    lambda b: again(b, b.add1("Concat", *(real(b, byte_input(b, n, 3, 8)) for n in "xz"), axis=1)),
)
def quantize_before_concatenation(m: Match, to: Target) -> Value:
    node = m.node("move")
    return to.replace(node, [requantized(m, to, v) for v in node.operands])


@rule(
    "Quantize(Split(x)…) → Slice(Quantize(x))",
    quantized(P("Split", ("x",), "split")),
    lambda b: again(b, b.add("Split", real(b, byte_input(b, "x", 3, 8)), axis=1, split=(3, 5))[1]),
)
def quantize_before_split(m: Match, to: Target) -> Value:
    """Each part is quantised by itself, and is no copy as a Slice either."""
    node, x = m.node("split"), m["x"]
    axis, lengths = node.attrs["axis"], node.attrs["split"]
    (part,) = (i for i, v in enumerate(node.outputs) if v is m.node("q").inputs[0])
    starts = tuple(sum(lengths[:part]) if i == axis else 0 for i in range(x.type.rank))
    attrs = {"starts": starts, "sizes": node.outputs[part].shape, "steps": (1,) * x.type.rank}
    return to.add("Slice", requantized(m, to, x), like=node, **attrs)


def _selected(*operands: P | str) -> Rule:
    def example(b: GraphBuilder) -> Value:
        a, c = (_number(b) if isinstance(p, str) else real(b, byte_input(b, n, 3, 8)) for p, n in zip(operands, "xz"))
        return again(b, b.add1("Where", b.input("c", TensorType(DType.BOOL, (3, 1))), a, c))

    def apply(m: Match, to: Target) -> Value:
        condition, *values = m.node("where").operands
        return to.replace(m.node("where"), (condition, *(requantized(m, to, v) for v in values)))

    shown = ", ".join("c" if isinstance(p, str) else "Dequantize(x)" for p in operands)
    title = f"Quantize(Where({shown})) → Where(Quantize(x)…)"
    return Rule(title, quantized(P("Where", ("condition", *operands), "where")), apply, example)


@rule(
    "ArgMax(Dequantize(x)) → ArgMax(x)",
    P("ArgMax|ArgMin", (dequantized("x"),), "arg"),
    lambda b: b.add1("ArgMax", _bytes(b), axis=1, keepdims=True, select_last_index=False),
)
def place_of_largest_byte(m: Match, to: Target) -> Value | None:
    """Different bytes are different numbers as long as these are finite."""
    if not single(m, "x") or not _is_finite(m):
        return None
    return to.replace(m.node("arg"), (to.add("Cast", m["x"], like=m.node("x_dq"), to=DType.INT32),))


@rule(
    "Quantize(Pad(Dequantize(x))) → Pad(x requantised)",
    quantized(P("Pad", (dequantized("x"),), "pad")),
    lambda b: again(b, b.add1("Pad", real(b, byte_input(b, "x", 3, 5)), pads=(0, 1, 2, 0), value=0.5)),
)
def padding_of_bytes(m: Match, to: Target) -> Value | None:
    """The value that is padded with becomes a byte of the result."""
    if not single(m, "x"):
        return None
    value = np.asarray(m.node("pad").attrs.get("value", 0.0), np.float32)
    padded = int(scales.evaluate("QuantizeLinear", value, data(m, "y_scale"), data(m, "y_zero")))
    return to.replace(m.node("pad"), (rescaled(m, to, m["x"]),), value=padded)


DOUBLED: dict[str, Any] = {
    "sizes": (1, 2, 6, 6), "scales": (1.0, 1.0, 2.0, 2.0), "mode": "nearest", "roi": (), "nearest_mode": "floor",
    "coordinate_transformation_mode": "asymmetric", "cubic_coeff_a": -0.75, "exclude_outside": False,
    "extrapolation_value": 0.0,
}  # fmt: skip


@rule(
    "Quantize(Resize{nearest}(x)) → Resize(Quantize(x))",
    quantized(P("Resize", ("x",), "resize")),
    lambda b: again(b, b.add1("Resize", real(b, byte_input(b, "x", 1, 2, 3, 3)), **DOUBLED)),
)
def quantize_before_resize(m: Match, to: Target) -> Value | None:
    node = m.node("resize")
    return to.replace(node, (requantized(m, to, m["x"]),)) if _samples(node, "nearest") else None


@rule(
    "Quantize(Resize{linear}(Dequantize(x))) → Resize(x) where the scale is kept",
    quantized(P("Resize", (dequantized("x"),), "resize")),
    lambda b: again(
        b,
        b.add1("Resize", real(b, byte_input(b, "x", 1, 2, 3, 3), 0.05, 7), **{**DOUBLED, "mode": "linear"}),
    ),
    quanta=1,
)
def resizing_of_bytes(m: Match, to: Target) -> Value | None:
    """Each axis rounds to bytes: within one quantum for two of them."""
    node = m.node("resize")
    axes = sum(n != size for n, size in zip(m["x"].shape, node.attrs["sizes"]))
    return (
        to.replace(node, (m["x"],)) if _samples(node, "linear") and single(m, "x") and _kept(m) and axes < 3 else None
    )


def _samples(node: Node, mode: str) -> bool:
    """Whether the node resizes in this mode, without extrapolation."""
    return bool(node.attrs["mode"] == mode and node.attrs["coordinate_transformation_mode"] != "tf_crop_and_resize")


RULES: list[Rule] = [
    place_of_largest_byte,
    quantize_before_movement,
    quantize_before_concatenation,
    quantize_before_split,
    _selected(dequantized("a"), dequantized("b")),
    _selected(dequantized("a"), "b!"),
    _selected("a!", dequantized("b")),
    padding_of_bytes,
    quantize_before_resize,
    resizing_of_bytes,
]
