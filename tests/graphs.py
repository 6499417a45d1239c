"""Random small graphs: a few inputs, a dozen operators that fit, every dangling value an output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from tests.strategies import near, seeds, tensor
from tinyinfer import registry, rewrite
from tinyinfer.graph import Graph, GraphBuilder, Value
from tinyinfer.types import Array, Clamp, DType, TensorType

Grow = Callable[[st.DrawFn, GraphBuilder, Value], "Value | None"]

CLAMPS = st.sampled_from([Clamp(0.0), Clamp(0.0, 6.0), Clamp(-1.0, 1.0)])


def _weights(draw: st.DrawFn, b: GraphBuilder, *shape: int) -> Value:
    return b.constant(tensor(draw(seeds()), shape, scale=0.5), "w")


def _conv(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value | None:
    if x.type.rank != 4:
        return None
    channels = x.shape[1]
    depthwise = draw(st.booleans())
    filters = channels if depthwise else draw(near(4, 8, most=12))
    size = draw(st.sampled_from([1, 3]))
    w = _weights(draw, b, filters, 1 if depthwise else channels, size, size)
    bias = _weights(draw, b, filters) if draw(st.booleans()) else None
    pad = size // 2
    stride = draw(st.sampled_from([1, 1, 2]))
    return b.add1(
        "Conv", x, w, bias,
        strides=(stride, stride), pads=(pad,) * 4, dilations=(1, 1), group=channels if depthwise else 1,
    )  # fmt: skip


def _batch_norm(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value | None:
    if x.type.rank != 4:
        return None
    scale, shift, mean = (_weights(draw, b, x.shape[1]) for _ in range(3))
    variance = b.constant(np.linspace(0.5, 2, x.shape[1], dtype=np.float32), "variance")
    return b.add1("BatchNormalization", x, scale, shift, mean, variance, epsilon=1e-5)


def _pad(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value | None:
    if x.type.rank != 4:
        return None
    top, left = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    return b.add1("Pad", x, pads=(0, 0, top, left, 0, 0, left, top), mode="constant", value=0.0)


def _matmul(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value | None:
    return b.add1("MatMul", x, _weights(draw, b, x.shape[-1], draw(near(8, most=12)))) if x.type.rank >= 2 else None


def _clip(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value:
    return b.add1("Clip", x, clamp=draw(CLAMPS))


def _channel_constant(op: str) -> Grow:
    def grow(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value | None:
        if x.type.rank < 2:
            return None
        axis = draw(st.integers(0, x.type.rank - 1))
        shape = [d if i == axis else 1 for i, d in enumerate(x.shape)]
        return b.add1(op, x, _weights(draw, b, *shape))

    return grow


def _transpose(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value:
    return b.add1("Transpose", x, perm=tuple(draw(st.permutations(range(x.type.rank)))))


def _reshape(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value:
    shapes = [x.shape, (x.type.size,), (1, x.type.size), (*x.shape, 1), (x.shape[0], -1)]
    shape = draw(st.sampled_from(shapes)) if x.type.size else x.shape
    known = int(np.prod([d for d in shape if d != -1]))
    return b.add1("Reshape", x, shape=tuple(x.type.size // known if d == -1 else d for d in shape))


def _concat(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value:
    return b.add1("Concat", *[x] * draw(st.integers(1, 2)), axis=draw(st.integers(0, x.type.rank - 1)))


def _reduce(draw: st.DrawFn, b: GraphBuilder, x: Value) -> Value:
    axes = draw(st.sets(st.integers(0, x.type.rank - 1), min_size=1))
    return b.add1("ReduceMean", x, axes=tuple(sorted(axes)), keepdims=True)


GROWTH: dict[str, Grow] = {
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Pad": _pad,
    "MatMul": _matmul,
    "Clip": _clip,
    "Add": _channel_constant("Add"),
    "Mul": _channel_constant("Mul"),
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Concat": _concat,
    "ReduceMean": _reduce,
}


@st.composite
def graphs(draw: st.DrawFn, most: int = 10) -> Graph:
    """A graph over one or two float32 inputs of rank 4; `feeds` makes matching inputs."""
    b = registry.builder("random")
    shape = (draw(st.integers(1, 2)), draw(near(4, most=6)), draw(near(4, most=6)), draw(near(4, most=6)))
    values = [b.input(f"x{i}", TensorType(DType.FLOAT, shape)) for i in range(draw(st.integers(1, 2)))]
    for _ in range(draw(st.integers(1, most))):
        # Recent values are likelier, so that chains grow long enough to fuse.
        x = values[-1 - min(draw(st.integers(0, 3)), len(values) - 1)]
        partners = [v for v in values if v.type == x.type and v is not x]
        if partners and draw(st.integers(0, 2)) == 0:
            grown = b.add1(draw(st.sampled_from(["Add", "Mul", "Sub"])), x, draw(st.sampled_from(partners)))
        else:
            grown = GROWTH[draw(st.sampled_from(sorted(GROWTH)))](draw, b, x)
        if grown is not None and 0 < grown.type.size <= 4096 and not grown.is_constant:
            values.append(grown)
    b.output("y", values[-1])
    if draw(st.booleans()):
        b.output("z", draw(st.sampled_from(values)))
    return b.build()


@st.composite
def with_heads(draw: st.DrawFn, most: int = 12) -> Graph:
    """A graph all of whose ends are outputs, and so are any other of its values: inputs, constants, views, parts, some
    twice, in any order. Of some values only a part is read, or nothing at all.
    """
    inner = draw(graphs(most))
    b = registry.builder("heads")
    known = {value: b.input(name, value.type) for name, value in inner.inputs.items()}
    choice = [b.constant(np.arange(6, dtype=np.float32).reshape(2, 3), "constant"), *known.values()]
    for node in inner.nodes:
        made = b.add(node.op, *(None if v is None else known.get(v, v) for v in node.inputs), **node.attrs)
        known.update(zip(node.outputs, made, strict=True))
        choice.extend([*made, *_parts(draw, b, made[0])])
    read = {v for node in inner.nodes for v in node.operands}
    ends = [known[v] for node in inner.nodes for v in node.outputs if v not in read]
    others = draw(st.lists(st.sampled_from(choice), max_size=3))
    for i, value in enumerate(draw(st.permutations([*ends, *others]))):
        b.output(f"y{i}", value)
    return rewrite.prune(b.build())


def _parts(draw: st.DrawFn, b: GraphBuilder, x: Value) -> list[Value]:
    """At times one half of a value whose other half nobody reads, or no element of it in another shape."""
    if not x.type.rank or draw(st.integers(0, 2)):
        return []
    if draw(st.booleans()):
        half = x.shape[0] // 2
        return [b.add("Split", x, axis=0, split=(half, x.shape[0] - half))[draw(st.integers(0, 1))]]
    flat = b.add1("Reshape", x, shape=(x.type.size,))
    return [b.add1("Slice", flat, starts=(0,), sizes=(0,), steps=(1,))]


def feeds(graph: Graph, seed: int, special: float = 0.0) -> dict[str, Array]:
    return {
        name: tensor(seed + i, value.shape, value.dtype.numpy, special)
        for i, (name, value) in enumerate(graph.inputs.items())
    }
