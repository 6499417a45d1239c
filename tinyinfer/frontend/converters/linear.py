"""Matrix products."""

from __future__ import annotations

from typing import Any

from tinyinfer.errors import ShapeError
from tinyinfer.frontend.context import Context, Converter
from tinyinfer.graph import Value


def matmul(ctx: Context) -> Value:
    return product(ctx, "MatMul", ctx.input(0), ctx.input(1))


def product(ctx: Context, op: str, a: Value, b: Value, *others: Value | None, **attrs: Any) -> Value:
    """Operands of rank 1 get a unit dimension, which the result loses again (numpy.matmul)."""
    if not a.type.rank or not b.type.rank:
        raise ctx.error(f"A is {a.type}, B is {b.type}; expected rank ≥ 1", ShapeError)
    row, column = a.type.rank == 1, b.type.rank == 1
    if not row and not column:
        return ctx.result(op, a, b, *others, **attrs)
    left = ctx.reshape(a, (1, *a.shape)) if row else a
    right = ctx.reshape(b, (*b.shape, 1)) if column else b
    y = ctx.step(op, left, right, *others, **attrs)
    shape = list(y.shape)
    if column:
        shape.pop()
    if row:
        shape.pop(-1 if column else -2)
    return ctx.reshaped(y, tuple(shape))


def gemm(ctx: Context) -> Value:
    """alpha·A'·B' + beta·C. alpha scales B, so that both scales fold into constant weights."""
    a, b, c = ctx.input(0), ctx.input(1), ctx.optional(2)
    for operand, what in ((a, "A"), (b, "B")):
        if operand.type.rank != 2:
            raise ctx.error(f"{what} is {operand.type}; expected rank 2", ShapeError)
    if ctx.flag("transA"):
        a = ctx.step("Transpose", a, perm=(1, 0))
    if ctx.flag("transB"):
        b = ctx.step("Transpose", b, perm=(1, 0))
    b = _scaled(ctx, b, ctx.attr("alpha"))
    if c is None or ctx.attr("beta") == 0:
        return ctx.result("MatMul", a, b)
    c = _scaled(ctx, c, ctx.attr("beta"))
    n = b.shape[1]
    if c.shape in ((n,), (1, n)):
        return ctx.result("MatMul", a, b, ctx.reshape(c, (n,)))
    if c.type.size == 1 and c.type.rank <= 2:
        return ctx.result("MatMul", a, b, ctx.step("Expand", ctx.reshape(c, (1,)), shape=(n,)))
    product = ctx.step("MatMul", a, b)
    y = ctx.result("Add", product, c)
    if y.shape != product.shape:
        raise ctx.error(f"C is {c.type}, which does not broadcast to {list(product.shape)}", ShapeError)
    return y


def _scaled(ctx: Context, x: Value, factor: float) -> Value:
    return x if factor == 1 else ctx.step("Mul", x, ctx.scalar(factor, x.dtype))


CONVERTERS: dict[str, Converter] = {"Gemm": gemm, "MatMul": matmul}
