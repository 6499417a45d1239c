"""Lowering of convolutions: pointwise ones are matrix products, depthwise ones and all others have kernels."""

from __future__ import annotations

from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, Clamp
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.filters import Filters
from tinyinfer.wasm_backend.lowering import Argument, Lowering, Pointer
from tinyinfer.wasm_backend.strides import channels_last


def conv(node: Node, to: Lowering) -> None:
    """Conv over channels-last feature maps; 1-D ones are 2-D with one row."""
    x, w, bias, residual = (*node.inputs, None, None)[:4]
    assert x is not None
    assert w is not None
    weights = Filters.of(to, w).transpose(2, 3, 1, 0)
    group: int = node.attrs.get("group", 1)
    unit = all(v == 1 for v in (*node.attrs["strides"], *w.shape[2:])) and not any(node.attrs["pads"])
    source = to.input(x, channels_last(x.type.rank))
    added = to.input(residual, channels_last(residual.type.rank)) if residual is not None else 0
    target = to.output(node.output, inplace=residual)
    if group == 1 and unit:
        _pointwise(node, to, target, source, added, weights, bias)
    elif group == x.shape[1] == node.output.shape[1]:
        _depthwise(node, to, target, source, added, weights, bias)
    else:
        _general(node, to, target, source, added, weights, bias, group)


def bounds(node: Node) -> dict[str, Argument]:
    """The clamp as the kernels name it."""
    clamp: Clamp = node.attrs.get("clamp", Clamp())
    return {"lo": clamp.lo, "hi": clamp.hi}


def start(to: Lowering, bias: Value | None, filters: int, label: str) -> Pointer:
    """What the accumulators start with: `bias` or zeros, readable up to sixteen values at once."""
    if bias is not None and bias.data is None:
        return to.input(bias)
    values: Array | None = None if bias is None else bias.data
    return to.const(pack.bias(values, filters, 4 * pack.VECTOR), f"{label}.B")


def _dense(node: Node) -> dict[str, int]:
    """Byte strides of the output's pixels, rows and images where they follow on."""
    oh, ow = window.pair(node.output.shape[2:], 1)
    pixel = node.output.shape[1] * 4
    return {"py": pixel, "yr": ow * pixel, "yi": oh * ow * pixel}


def _pointwise(
    node: Node, to: Lowering, y: Pointer, x: Pointer, r: Pointer | int, w: Filters, b: Value | None
) -> None:
    channels, filters = w.shape[2:]
    to.step(
        "f32_gemm",
        c=y, a=x, r=r, w=w.panels(to, f"{node.name}.W"), b=start(to, b, filters, node.name), **bounds(node),
        k=channels, n=filters, lda=channels * 4, ldc=filters * 4, m0=0, m1=node.output.type.size // filters,
    )  # fmt: skip


def _depthwise(
    node: Node, to: Lowering, y: Pointer, x: Pointer, r: Pointer | int, w: Filters, b: Value | None
) -> None:
    channels = w.shape[-1]
    to.step(
        "f32_dwconv",
        y=y, x=x, r=r, w=w.depthwise(to, f"{node.name}.W"), b=start(to, b, channels, node.name), **bounds(node),
        c=channels, zero=to.zeros(channels * 4), **window.geometry(node, w.shape[:2]), **_dense(node),
    )  # fmt: skip


def _general(
    node: Node, to: Lowering, y: Pointer, x: Pointer, r: Pointer | int, w: Filters, b: Value | None, group: int
) -> None:
    """One call for each group: a group is a slice of the channels of every pixel."""
    depth, filters = w.shape[2], w.shape[3] // group
    base = start(to, b, w.shape[3], node.name)
    for g in range(group):
        first = g * filters
        to.step(
            "f32_conv",
            y=y + first * 4, x=x + g * depth * 4, r=r + first * 4 if isinstance(r, Pointer) else 0,
            w=w.cut(3, first, filters).panels(to, f"{node.name}.W"), b=base + first * 4, **bounds(node),
            ic=depth, oc=filters, zero=to.zeros(depth * w.shape[1] * 4), px=depth * group * 4,
            **window.geometry(node, w.shape[:2]), **_dense(node),
        )  # fmt: skip
