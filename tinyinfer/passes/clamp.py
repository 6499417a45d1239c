"""Clip becomes the `clamp` attribute of what it clips."""

from __future__ import annotations

from tinyinfer.graph import Value
from tinyinfer.passes.examples import conv, given, matmul
from tinyinfer.rewrite import Match, P, Target, rule
from tinyinfer.types import Clamp


@rule(
    "Clip(Conv(x)) → Conv{clamp}(x)",
    P("Clip", (P("Conv|ConvTranspose|MatMul|Clip", name="inner"),), "clip"),
    lambda b: b.add1("Clip", conv(b, given(b, 1, 3, 6, 6)), clamp=Clamp(0.0, 6.0)),
)
def clip_of_producer(m: Match, to: Target) -> Value | None:
    inner = m.node("inner")
    clamp: Clamp | None = inner.attrs.get("clamp", Clamp()).then(m.node("clip").attrs["clamp"])
    return None if clamp is None else to.replace(inner, clamp=clamp)


@rule(
    "Clip(Reshape(x)) → Reshape(Clip(x))",
    P("Clip", (P("Reshape|Transpose", ("x",), "move"),), "clip"),
    lambda b: b.add1("Clip", b.add1("Reshape", matmul(b, given(b, 4, 6)), shape=(2, 14)), clamp=Clamp(0.0)),
)
def clip_before_movement(m: Match, to: Target) -> Value | None:
    """An element-wise function may run before elements move, where its producer can take it up."""
    move, clip = m.node("move"), m.node("clip")
    inner = to.add("Clip", m["x"], like=clip, clamp=clip.attrs["clamp"])
    return to.replace(move, (inner,))


RULES = [clip_of_producer, clip_before_movement]
