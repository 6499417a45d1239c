"""Transposed convolution between dequantisation and quantisation becomes a convolution of bytes and DepthToSpace.

With stride s, an output element at s·q + r (pads included) is Σt X[q − t]·W[s·t + r]: for each of the s·s phases r a
convolution of its own, whose results DepthToSpace interleaves. Sums are the same integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyinfer.graph import GraphBuilder, Value
from tinyinfer.passes.examples import weights
from tinyinfer.passes.quantized_patterns import (
    Computing,
    byte_input,
    byte_weights,
    data,
    dequantized,
    products,
    real,
)
from tinyinfer.rewrite import Match, P, Target
from tinyinfer.types import Array


def _transposed(m: Match, to: Target) -> Value | None:
    """For two spatial axes of one stride, without groups and dilations."""
    node, x, w = m.node("inner"), m["x"], m["w"]
    stride, *others = node.attrs["strides"]
    plain = others == [stride] and set(node.attrs["dilations"]) == {1} and node.attrs.get("group", 1) == 1
    found = products(m, 1, (*node.inputs, None)[2]) if plain else None
    if found is None or w.data is None:
        return None
    taps = [-(-k // stride) for k in w.shape[2:]]
    starts, sizes = node.attrs["pads"][:2], node.output.shape[2:]
    places = [stride * (n + t - 1) for n, t in zip(x.shape[2:], taps)]
    if any(a + n > p for a, n, p in zip(starts, sizes, places)):
        return None
    name, phases = node.output.name, stride * stride
    sums = None if found.bias is None else to.constant(np.tile(found.bias, phases), f"{name}/bias")
    convolved = to.add(
        "QLinearConv", x, to.constant(_filters(w.data, data(m, "w_zero"), stride), w.name), m["x_zero"],
        to.constant(_repeated(data(m, "w_zero"), phases), f"{name}/w_zero"),
        to.constant(_repeated(found.multiplier, phases), f"{name}/multiplier"), sums, like=node,
        strides=(1, 1), pads=tuple(t - 1 for t in taps) * 2, dilations=(1, 1), group=1, y=found.y,
    )  # fmt: skip
    if stride > 1:
        convolved = to.add("DepthToSpace", convolved, like=node, blocksize=stride, mode="DCR")
    if convolved.shape == node.output.shape:
        return convolved
    attrs = {"starts": (0, 0, *starts), "sizes": node.output.shape, "steps": (1,) * 4}
    return to.add("Slice", convolved, like=node, **attrs)


def _filters(w: Array, zero: Array, stride: int) -> Array:
    """W [C, M, kh, kw] as [stride·stride·M, C, th, tw], turned around; taps that it lacks are its zero point."""
    depth, filters, *kernel = w.shape
    taps = [-(-k // stride) for k in kernel]
    whole = np.empty((depth, filters, *(t * stride for t in taps)), w.dtype)
    whole[:] = zero.reshape(-1, 1, 1)
    whole[:, :, : kernel[0], : kernel[1]] = w
    apart = whole.reshape(depth, filters, taps[0], stride, taps[1], stride)[:, :, ::-1, :, ::-1, :]
    return np.ascontiguousarray(apart.transpose(3, 5, 1, 0, 2, 4)).reshape(-1, depth, *taps)


def _repeated(values: Array, phases: int) -> Array:
    """What each filter has, for the filters of all phases."""
    return np.tile(values, phases) if values.size > 1 else values


def _example(b: GraphBuilder) -> Value:
    x, w = real(b, byte_input(b, "x", 1, 3, 5, 4)), byte_weights(b, 3, 4, 3, 3, axis=1)
    attrs: dict[str, Any] = {"strides": (2, 2), "pads": (1, 1, 1, 1), "dilations": (1, 1), "output_padding": (1, 1)}
    return b.add1("ConvTranspose", x, w, weights(b, 4), **attrs)


COMPUTING: list[Computing] = [
    ("ConvTranspose", P("ConvTranspose", (dequantized("x"), dequantized("w")), "inner"), _transposed, _example)
]
