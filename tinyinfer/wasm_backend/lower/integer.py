"""Lowering of convolutions and matrix products of bytes.

Kernels multiply bytes as they are. The zero point of the left operand is accounted for in the bias:
Σ(x − z)·w = Σ x·w − z·Σw, exact in int32, which wraps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinyinfer.errors import UnsupportedError
from tinyinfer.graph import Node, Value
from tinyinfer.types import Array, Quantized
from tinyinfer.wasm_backend import pack
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.linear import panel_count
from tinyinfer.wasm_backend.lower.quantized import flip, results
from tinyinfer.wasm_backend.lowering import Argument, Lowering, Pointer, Strided, constant
from tinyinfer.wasm_backend.strides import channels_last

Arguments = dict[str, Argument]

DEPTH = 8
"""Depths that the kernels handle at once."""


def padded(k: int) -> int:
    """Depths with the zeros that fill the last eight."""
    return -(-k // DEPTH) * DEPTH


def blocks(rows: int, k: int) -> tuple[int, int, int]:
    """How `rows` rows of k depths are cut into blocks that a kernel handles together: the rows of a block, how many
    blocks, and the bytes of scratch for all. Large blocks widen the weights less often, several can be shared among
    threads.
    """
    each = min(max(28, min(64, 4 * math.ceil(rows / 16))), 4 * math.ceil(rows / 4))
    count = math.ceil(rows / each)
    return each, count, count * ((2 * each + 2 * pack.PANEL) * padded(k) + 176)


def panels(w: Array, narrow: bool) -> Array:
    """[K, N] to [⌈N/8⌉, K8/2, 8, 2]: pairs of depths for eight columns; int8 or int16."""
    filled = np.pad(w, ((0, padded(len(w)) - len(w)), (0, -w.shape[1] % pack.PANEL)))
    pairs = filled.reshape(len(filled) // 2, 2, filled.shape[1] // pack.PANEL, pack.PANEL).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(pairs.astype(np.int8 if narrow else np.int16))


def _fits(w: Array) -> bool:
    return bool(((w >= -128) & (w <= 127)).all())


SMALL = 2.0**22
"""Kernels for int8 weights round products of sums and multipliers below this only."""


PAIRS_3X3 = (0, 3, 1, 4, 2, 5, 6, 7, 8)
"""The order in which the taps of 3×3 kernels are paired."""


def depthwise(w: Array, order: tuple[int, ...]) -> Array:
    """[taps, C] to int16 [⌈C/8⌉, pairs, 8, 2]."""
    filled = np.pad(w[list(order)], ((0, len(w) % 2), (0, -w.shape[1] % 8)))
    pairs = filled.reshape(len(filled) // 2, 2, filled.shape[1] // 8, 8).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(pairs.astype(np.int16))


@dataclass(frozen=True)
class _Right:
    """A constant right operand less its zero point, int64, and what comes after the sums."""

    w: Array
    bias: Array
    multiplier: Array | None
    y: Quantized | None

    @property
    def size(self) -> int:
        """Bytes of a result."""
        return 1 if self.y is not None else 4

    def is_small(self, channels: int) -> bool:
        """Whether no left operand makes a sum times its multiplier too large; channels are the first axis of W."""
        if self.multiplier is None:
            return True
        largest = 255 * np.abs(self.w).reshape(channels, -1).sum(axis=1) + np.abs(self.bias.astype(np.int64))
        return bool((np.minimum(largest, 1 << 31) * self.multiplier.astype(np.float64) < SMALL).all())

    def ending(self, to: Lowering, channels: int, label: str) -> Arguments:
        """The arguments of requantisation; none for int32 results."""
        if self.y is None or self.multiplier is None:
            return {"s": 0, "lo": 0.0, "hi": 0.0, "zy": 0, "fy": 0}
        every = np.broadcast_to(self.multiplier.reshape(-1), (channels,))
        return {"s": to.const(pack.pad_last(every, pack.PANEL), f"{label}.scale"), **results(self.y)}


def _right(node: Node, channels: int, axis: int) -> _Right:
    """The right operand of a node whose weights are constants, channels along `axis`."""
    (_, w, _, zero), (multiplier, bias) = node.operands[:4], (*node.inputs, None, None)[4:6]
    if w.data is None or zero.data is None:
        raise UnsupportedError(f"node {node.name} ({node.op}): weights {w.name} vary at run time; accepted: constants")
    shape = [1] * w.type.rank
    shape[axis] = -1
    centred = w.data.astype(np.int64) - zero.data.astype(np.int64).reshape(shape if zero.type.size > 1 else ())
    start = np.zeros(channels, np.int64) if bias is None else constant(bias)
    scale = None if multiplier is None else constant(multiplier)
    return _Right(centred, start, scale, node.attrs.get("y"))


def _start(to: Lowering, zero: Value, bias: Array, sums: Array, label: str) -> Pointer:
    """What the accumulators start with: bias − z·Σw for the zero point z, its sign flipped where it is unsigned."""
    flipped = flip(zero.dtype)
    if zero.data is not None:
        z = int(zero.data.reshape(())) - flipped
        return to.const(pack.pad_last(_wrapped(bias - z * sums), pack.PANEL), f"{label}.B")
    n = pack.PANEL * panel_count(len(bias))
    place = to.scratch(4 * n, f"{label}.B")
    to.step(
        "i8_qgemm_bias",
        y=place, b=to.const(pack.pad_last(_wrapped(bias), pack.PANEL), f"{label}.B"),
        c=to.const(pack.pad_last(_wrapped(sums), pack.PANEL), f"{label}.sums"), z=to.input(zero),
        f=flipped, m0=0, m1=n,
    )  # fmt: skip
    return place


def _wrapped(x: Array) -> Array:
    return x.astype(np.uint64).astype(np.uint32).view(np.int32)


def _padding(to: Lowering, zero: Value, count: int) -> Pointer:
    """`count` bytes that are the zero point, and slack."""
    if zero.data is not None:
        return to.const(np.full(count + 16, zero.data.reshape(())), "zero")
    place = to.scratch(count + 16, "zero")
    to.copy(Strided(place, zero.dtype, (count + 16,), (1,)), Strided(to.input(zero), zero.dtype, (count + 16,), (0,)))
    return place


def conv(node: Node, to: Lowering) -> None:
    """ConvInteger and QLinearConv over channels-last feature maps; 1-D ones are 2-D with one row."""
    x, w, zero = node.operands[:3]
    group: int = node.attrs.get("group", 1)
    filters = w.shape[0]
    right = _right(node, filters, 0)
    weights = right.w.reshape(*w.shape[:2], *window.pair(w.shape[2:], 1)).transpose(2, 3, 1, 0)
    narrow = _fits(right.w) and right.is_small(filters)
    lonely = group == x.shape[1] == filters and group > 1 and right.is_small(filters)
    start = _start(to, zero, right.bias, weights.sum(axis=(0, 1, 2)), node.name)
    source = to.input(x, channels_last(x.type.rank))
    ending = right.ending(to, filters, node.name)
    target = to.output(node.output)
    unit = all(v == 1 for v in (*node.attrs["strides"], *w.shape[2:])) and not any(node.attrs["pads"])
    if group == 1 and unit:
        rows = node.output.type.size // filters
        matrix = panels(right.w.reshape(filters, -1).T, narrow)
        _gemm(to, node.name, matrix, target, source, start, ending, flip(x.dtype), (rows, w.shape[1], filters))
    elif lonely:
        _depthwise(node, to, weights[:, :, 0], target, source, start, ending)
    else:
        _general(node, to, weights, narrow, target, source, start, ending, group)


def _gemm(
    to: Lowering,
    label: str,
    w: Array,
    y: Pointer,
    a: Pointer,
    b: Pointer,
    ending: Arguments,
    fa: int,
    sizes: tuple[int, int, int],
) -> None:
    """A product of `sizes` (m, k, n) with panels `w`."""
    m, k, n = sizes
    r, count, scratch = blocks(m, k)
    to.step(
        "i8_qgemm" if w.dtype == np.int8 else "i8_qgemm_w16",
        y=y, scratch=to.scratch(scratch), a=a, w=to.const(w, f"{label}.W"), b=b, **ending, fa=fa,
        m=m, r=r, k=k, n=n, lda=k, ldc=n * _bytes(ending), m0=0, m1=count,
    )  # fmt: skip


def _bytes(ending: Arguments) -> int:
    return 1 if isinstance(ending["s"], Pointer) else 4


def _dense(node: Node) -> dict[str, int]:
    oh, ow = window.pair(node.output.shape[2:], 1)
    pixel = node.output.shape[1] * node.output.dtype.size
    return {"py": pixel, "yr": ow * pixel, "yi": oh * ow * pixel}


def _depthwise(node: Node, to: Lowering, w: Array, y: Pointer, x: Pointer, b: Pointer, ending: Arguments) -> None:
    kh, kw, channels = w.shape
    geometry = window.geometry(node, (kh, kw))
    wide = (kh, kw, geometry["dh"], geometry["dw"]) == (3, 3, 1, 1) and geometry["sw"] <= 2
    order = PAIRS_3X3 if wide else tuple(range(kh * kw))
    each = max(27, kh * kw + 1) * channels + 192
    to.step(
        "x8_qdwconv",
        y=y, scratch=to.scratch(geometry["m1"] * each), x=x,
        w=to.const(depthwise(w.reshape(-1, channels), order), f"{node.name}.W"), b=b,
        pad=_padding(to, node.operands[2], channels), **ending, fx=flip(node.operands[0].dtype),
        c=channels, **geometry, **_dense(node),
    )  # fmt: skip


def _general(
    node: Node,
    to: Lowering,
    w: Array,
    narrow: bool,
    y: Pointer,
    x: Pointer,
    b: Pointer,
    ending: Arguments,
    group: int,
) -> None:
    """One call for each group: a group is a slice of the channels of every pixel."""
    kh, kw, depth, filters = w.shape
    each, operand = filters // group, node.operands[0]
    geometry = window.geometry(node, (kh, kw))
    pad = _padding(to, node.operands[2], depth * kw)
    pixels = geometry["m1"] * geometry["ow"]
    r, count, scratch_bytes = blocks(pixels, kh * kw * depth)
    geometry["m1"], scratch = count, to.scratch(scratch_bytes)
    scale, size = ending["s"], _bytes(ending)
    for g in range(group):
        packed = panels(w[..., g * each : (g + 1) * each].reshape(-1, each), narrow)
        to.step(
            "i8_qconv" if narrow else "i8_qconv_w16",
            y=y + g * each * size, scratch=scratch, x=x + g * depth, w=to.const(packed, f"{node.name}.W"),
            b=b + g * each * 4, pad=pad,
            **{**ending, "s": scale + g * each * 4 if isinstance(scale, Pointer) else 0}, fx=flip(operand.dtype),
            m=pixels, r=r, ic=depth, oc=each, px=depth * group, py=filters * size, **geometry,
        )  # fmt: skip


def matmul(node: Node, to: Lowering) -> None:
    """MatMulInteger and QLinearMatMul: a constant matrix B in one call, others batch by batch."""
    a, b, zero = node.operands[:3]
    n = b.shape[-1]
    if b.data is None or b.type.rank > 2 or node.operands[3].data is None:
        _batches(node, to)
        return
    right = _right(node, n, -1)
    start = _start(to, zero, right.bias, right.w.sum(axis=0), node.name)
    source = to.input(a)
    ending = right.ending(to, n, node.name)
    rows = node.output.type.size // n
    transposed = replace(right, w=right.w.T)
    matrix = panels(right.w, _fits(right.w) and transposed.is_small(n))
    sizes = (rows, b.shape[0], n)
    _gemm(to, node.name, matrix, to.output(node.output), source, start, ending, flip(a.dtype), sizes)


def _batches(node: Node, to: Lowering) -> None:
    """Every matrix of B is packed when running, less its zero point, with the bias that belongs to its sums."""
    (a, b, zero_a, zero_b), (multiplier, bias) = node.operands[:4], (*node.inputs, None, None)[4:6]
    y = node.output
    (m, k), n = a.shape[-2:], b.shape[-1]
    scale = None if multiplier is None else constant(multiplier)
    start = np.zeros(n, np.int32) if bias is None else constant(bias)
    ending = _Right(start, start, scale, node.attrs.get("y")).ending(to, n, node.name)
    left = to.input(a)
    source = to.strided(b)
    base = to.const(pack.pad_last(start, pack.PANEL), f"{node.name}.B")
    zeros = to.input(zero_b)
    panels_of_b = panel_count(n)
    packed = to.scratch(panels_of_b * padded(k) * pack.PANEL * 2, "panels")
    sums = to.scratch(4 * pack.PANEL * panels_of_b, "bias")
    r, count, scratch_bytes = blocks(m, k)
    scratch = to.scratch(scratch_bytes)
    target = to.output(y)
    batch = y.shape[:-2]
    of_a = np.broadcast_to(np.arange(math.prod(a.shape[:-2])).reshape(a.shape[:-2]), batch).reshape(-1)
    offsets = sum(
        (np.arange(d) * s).reshape([-1 if j == i else 1 for j in range(b.type.rank - 2)])
        for i, (d, s) in enumerate(zip(b.shape[:-2], source.strides))
    )
    of_b = np.broadcast_to(np.asarray(offsets).reshape(b.shape[:-2]), batch).reshape(-1)
    last = -1
    for entry in np.argsort(of_b, kind="stable"):
        if (offset := int(of_b[entry])) != last:
            last = offset
            to.step(
                "x8_qpack",
                w=packed, y=sums, b=source.pointer + offset, bias=base, zb=zeros, za=to.input(zero_a),
                fb=flip(b.dtype), fa=flip(a.dtype), zs=int(zero_b.type.size > 1), k=k, n=n,
                ks=source.strides[-2], ns=source.strides[-1], m0=0, m1=panels_of_b,
            )  # fmt: skip
        size = _bytes(ending)
        to.step(
            "i8_qgemm_w16",
            y=target + int(entry) * m * n * size, scratch=scratch, a=left + int(of_a[entry]) * m * k, w=packed, b=sums,
            **ending, fa=flip(a.dtype), m=m, r=r, k=k, n=n, lda=k, ldc=n * size, m0=0, m1=count,
        )  # fmt: skip
