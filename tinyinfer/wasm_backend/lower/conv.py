"""Lowering of convolutions: pointwise ones are matrix products, depthwise ones and all others have kernels."""

from __future__ import annotations

from tinyinfer.errors import UnsupportedError
from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, Clamp
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lowering import Lowering, Pointer
from tinyinfer.wasm_backend.strides import channels_last


def conv(node: Node, to: Lowering) -> None:
    """Conv over channels-last feature maps; 1-D ones are 2-D with one row."""
    x, w, bias, residual = (*node.inputs, None, None)[:4]
    assert x is not None
    assert w is not None
    weights = _plane(constant(node, w, "W"))
    offsets = None if bias is None else constant(node, bias, "B")
    group: int = node.attrs.get("group", 1)
    unit = all(v == 1 for v in (*node.attrs["strides"], *weights.shape[2:])) and not any(node.attrs["pads"])
    source = to.input(x, channels_last(x.type.rank))
    added = to.input(residual, channels_last(residual.type.rank)) if residual is not None else 0
    target = to.output(node.output, inplace=residual)
    if group == 1 and unit:
        _pointwise(node, to, target, source, added, weights, offsets)
    elif group == x.shape[1] == node.output.shape[1]:
        _depthwise(node, to, target, source, added, weights, offsets)
    else:
        _general(node, to, target, source, added, weights, offsets, group)


def constant(node: Node, value: Value, name: str) -> Array:
    """The data of an operand that must be known when compiling."""
    if value.data is None:
        raise UnsupportedError(f"node {node.name} ({node.op}): {name} must be a constant, {value.name} is not")
    return value.data


def _plane(w: Array) -> Array:
    return w[:, :, None] if w.ndim == 3 else w


def _pointwise(
    node: Node, to: Lowering, y: Pointer, x: Pointer, r: Pointer | int, w: Array, b: Array | None
) -> None:
    filters, channels = w.shape[:2]
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    to.step(
        "f32_gemm",
        c=y, a=x, r=r, lo=clamp.lo, hi=clamp.hi, k=channels, n=filters, lda=channels * 4, ldc=filters * 4,
        w=to.const(pack.conv_panels(w), f"{node.name}.W"),
        b=to.const(pack.bias(b, filters, pack.PANEL), f"{node.name}.B"),
        m0=0, m1=node.output.type.size // filters,
    )  # fmt: skip


def _depthwise(
    node: Node, to: Lowering, y: Pointer, x: Pointer, r: Pointer | int, w: Array, b: Array | None
) -> None:
    channels = w.shape[0]
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    to.step(
        "f32_dwconv",
        y=y, x=x, r=r, lo=clamp.lo, hi=clamp.hi, c=channels, zero=to.zeros(channels * 4),
        w=to.const(pack.depthwise(w), f"{node.name}.W"),
        b=to.const(pack.bias(b, channels, 4 * pack.VECTOR), f"{node.name}.B"),
        **window.geometry(node, w.shape[2:]),
    )  # fmt: skip


def _general(
    node: Node, to: Lowering, y: Pointer, x: Pointer, r: Pointer | int, w: Array, b: Array | None, group: int
) -> None:
    """One call for each group: a group is a slice of the channels of every pixel."""
    depth, filters = w.shape[1], w.shape[0] // group
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    for g in range(group):
        mine = slice(g * filters, (g + 1) * filters)
        first = g * filters * 4
        to.step(
            "f32_conv",
            y=y + first, x=x + g * depth * 4, r=r + first if isinstance(r, Pointer) else 0,
            lo=clamp.lo, hi=clamp.hi, ic=depth, oc=filters, zero=to.zeros(depth * w.shape[3] * 4),
            px=depth * group * 4, py=filters * group * 4,
            w=to.const(pack.conv_panels(w[mine]), f"{node.name}.W"),
            b=to.const(pack.bias(None if b is None else b[mine], filters, pack.PANEL), f"{node.name}.B"),
            **window.geometry(node, w.shape[2:]),
        )  # fmt: skip
