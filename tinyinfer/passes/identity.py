"""Movement that moves nothing, and movements that follow each other."""

from __future__ import annotations

from tinyinfer.graph import Value
from tinyinfer.passes.examples import given
from tinyinfer.rewrite import Match, P, Target, rule


@rule(
    "Reshape(Reshape(x)) → Reshape(x)",
    P("Reshape", (P("Reshape", ("x",)),), "outer"),
    lambda b: b.add1("Reshape", b.add1("Reshape", given(b, 2, 6), shape=(3, 4)), shape=(12,)),
)
def reshape_of_reshape(m: Match, to: Target) -> Value | None:
    return to.replace(m.node("outer"), (m["x"],))


@rule(
    "Transpose{p}(Transpose{q}(x)) → Transpose{q∘p}(x)",
    P("Transpose", (P("Transpose", ("x",), "inner"),), "outer"),
    lambda b: b.add1("Transpose", b.add1("Transpose", given(b, 2, 3, 4), perm=(1, 2, 0)), perm=(1, 0, 2)),
)
def transpose_of_transpose(m: Match, to: Target) -> Value | None:
    inner, outer = m.node("inner").attrs["perm"], m.node("outer").attrs["perm"]
    return to.replace(m.node("outer"), (m["x"],), perm=tuple(inner[i] for i in outer))


@rule(
    "Op(x) → x where Op changes neither shape nor order nor type",
    P("Reshape|Transpose|Expand|Concat|Slice|Pad|Tile|Cast", ("x",), "node"),
    lambda b: b.add1("Reshape", given(b, 2, 3), shape=(2, 3)),
)
def unchanged(m: Match, to: Target) -> Value | None:
    node, x = m.node("node"), m["x"]
    perm = node.attrs.get("perm", ())
    same = node.output.type == x.type and len(node.inputs) == 1
    reverses = any(step < 0 for step in node.attrs.get("steps", ()))
    if not same or reverses or list(perm) != sorted(perm):
        return None
    return to.value(x)


RULES = [reshape_of_reshape, transpose_of_transpose, unchanged]
