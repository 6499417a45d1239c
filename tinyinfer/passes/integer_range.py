"""Whether integers can do what floats did: sums that stay within int32 whatever the bytes, and biases that fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyinfer import registry, scales
from tinyinfer.graph import Graph, Node, Value
from tinyinfer.types import Array

SUMS_LEAVE = "sums of its bytes may leave int32"
MOST_RATIOS = 2.0**12
"""Sums of two bytes, each times such a ratio, round by less than a quarter of a quantum in float32."""


@dataclass(frozen=True)
class Factors:
    """Bytes that are multiplied and summed: activations with one scale and weights with one, or one for each filter."""

    x: Value
    x_scale: Array
    x_zero: Array
    w: Value
    w_scale: Array
    w_zero: Array
    axis: int
    """The filters' axis of the weights."""

    @property
    def unit(self) -> Array:
        """What 1 in a sum stands for: one value, or one for each filter; not always a normal number."""
        return scales.product(self.x_scale.reshape(()), self.w_scale)

    def sums(self) -> tuple[Array, Array]:
        """The least and the largest sum of each filter's products, int64; of all filters where weights vary."""
        low, high = scales.reach(self.x.dtype, self.x_zero)
        if self.w.data is None:
            products = [a * b for a in (low, high) for b in scales.reach(self.w.dtype, self.w_zero)]
            return np.asarray(self.w.shape[-2] * min(products)), np.asarray(self.w.shape[-2] * max(products))
        w = np.moveaxis(self.w.data, self.axis, -1).astype(np.int16) - self.w_zero.astype(np.int16)
        w = w.reshape(-1, w.shape[-1])
        above, below = (part.sum(axis=0, dtype=np.int64) for part in (np.maximum(w, 0), np.minimum(w, 0)))
        return np.asarray(low * above + high * below), np.asarray(high * above + low * below)

    def obstacle(self, bias: Array | None = None, y_scale: Array | None = None) -> str:
        """Why sums that start with the bias are not exact in int32, or not what the floats were; empty if they are."""
        low, high = self.sums()
        if not scales.within_int32(low, high):
            return SUMS_LEAVE
        if bias is None:
            return ""
        with np.errstate(all="ignore"):
            start = bias.astype(np.float64) / self.unit
            error = np.abs(np.rint(start) - start) * self.unit / (1.0 if y_scale is None else y_scale.reshape(()))
        if not bool(np.isfinite(start).all()) or not scales.within_int32(low + np.rint(start), high + np.rint(start)):
            return "its bias, in units of x scale·w scale, or its sums with it leave int32"
        if bool((error > 0.5).any()):
            return "its bias is no multiple of x scale·w scale, which is larger than a quantum of the result"
        return ""


def obstacles(graph: Graph) -> Iterator[tuple[Node, str]]:
    """The products of dequantised bytes that cannot be computed in integers, and why."""
    producers = graph.producers()
    quantized = {node.inputs[0]: node for node in graph.nodes if node.op == "QuantizeLinear"}
    for node in graph.nodes:
        made = [producers[v] for v in node.operands[:2] if v in producers]
        filters = registry.SEMANTICS.traits(node.op).filter_axis
        if filters is not None and [n.op for n in made] == ["DequantizeLinear"] * 2:
            x, w = (n.operands for n in made)
            bias = (*node.inputs, None)[2]
            parameters = [v.data for v in (*x[1:], *w[1:], *([] if bias is None else [bias]))]
            y = quantized[node.output].operands[1].data if node.output in quantized else None
            known = [a for a in parameters if a is not None]
            if len(known) == len(parameters):
                factors = Factors(x[0], known[0], known[1], w[0], known[2], known[3], filters)
                why = factors.obstacle(known[4] if len(known) > 4 else None, y)
                if why:
                    yield node, why
