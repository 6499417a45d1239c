"""An addition after a convolution or product becomes its `residual` operand."""

from __future__ import annotations

from tinyinfer.graph import Value
from tinyinfer.passes.examples import conv, given
from tinyinfer.rewrite import Match, P, Target, rule
from tinyinfer.types import Clamp


@rule(
    "Add(Conv(x), r) → Conv(x, residual=r)",
    P("Add", (P("Conv|MatMul", name="inner"), "r")),
    lambda b: b.add1("Add", given(b, 1, 5, 6, 6, name="r"), conv(b, given(b, 1, 3, 6, 6))),
)
def add_of_producer(m: Match, to: Target) -> Value | None:
    """Exact: the sum is rounded once, last, either way."""
    inner, added = m.node("inner"), m["r"]
    x, w, bias, residual = (*inner.inputs, None, None)[:4]
    free = residual is None and inner.attrs.get("clamp", Clamp()).is_open
    if not free or added.type != inner.output.type or added.is_constant or added is inner.output:
        return None
    return to.replace(inner, (x, w, bias, added))


RULES = [add_of_producer]
