"""Physical layout: one storage order for every value, chosen before lowering.

Convolutional operators want channels innermost; operators that do not care keep the order of their largest operand, so
that a channels-last region spreads as far as it can, through reshapes too. Everything else is row-major. Where a
consumer needs another order than its operand has, lowering adds one copy. A value that only a Transpose reads is stored
so that the result of the Transpose is row-major, where its producer is able to (`as_read`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tinyinfer.graph import Graph, Node, Value
from tinyinfer.wasm_backend import strides
from tinyinfer.wasm_backend.strides import Layout, channels_last, plain

MOST_PLANES = 4
"""Planes of a picture that a kernel interleaves while it quantises them."""

Layouts = Mapping[Value, Layout]
Policy = Callable[[Node, Layouts], tuple[Layout, ...]]


def row_major(node: Node, _: Layouts) -> tuple[Layout, ...]:
    """Outputs are stored in the order of their axes."""
    return tuple(plain(v.type.rank) for v in node.outputs)


def nhwc(node: Node, _: Layouts) -> tuple[Layout, ...]:
    """Outputs are stored channels-last."""
    return tuple(channels_last(v.type.rank) for v in node.outputs)


def pixels(node: Node, layouts: Layouts) -> tuple[Layout, ...]:
    """Convolution: channels-last, but of one pixel each in whatever order the pixels of the input are."""
    x, w = node.operands[:2]
    one = all(n == 1 for n in (*w.shape[2:], *node.attrs["strides"], node.attrs.get("group", 1)))
    if not one or any(node.attrs["pads"]):
        return nhwc(node, layouts)
    return ((*(axis for axis in layouts.get(x, plain(x.type.rank)) if axis != 1), 1),)


def regrouped(node: Node, layouts: Layouts) -> tuple[Layout, ...]:
    """Reshape: axes that neither split nor merge stay where they are."""
    (x,) = node.operands
    return (strides.regrouped(x.shape, layouts.get(x, plain(x.type.rank)), node.output.shape)[1],)


def follow(node: Node, layouts: Layouts) -> tuple[Layout, ...]:
    """Outputs are stored as the largest variable operand of the same rank, or row-major when there is none."""
    ranked = [v for v in node.operands if v in layouts]
    largest = max(ranked, key=lambda v: v.type.size, default=None)
    return tuple(
        layouts[largest] if largest is not None and largest.type.rank == v.type.rank else plain(v.type.rank)
        for v in node.outputs
    )


def as_read(node: Node, layouts: Layouts) -> tuple[Layout, ...]:
    """The output is stored as its reader wishes, or row-major."""
    return tuple(layouts.get(v, plain(v.type.rank)) for v in node.outputs)


def rows_as_read(node: Node, layouts: Layouts) -> tuple[Layout, ...]:
    """As `as_read`, but the last axis stays innermost, and a residual is stored as the output."""
    (wish,) = as_read(node, layouts)
    rank = node.output.type.rank
    has_residual = len(node.inputs) > 3
    return (wish if wish[-1] == rank - 1 and not has_residual else plain(rank),)


def pictures(node: Node, layouts: Layouts) -> tuple[Layout, ...]:
    """QuantizeLinear: as `follow`, but a picture of few planes becomes channels-last, as convolutions read it."""
    (x, *_), followed = node.operands, follow(node, layouts)
    picture = followed[0] == plain(4) and 1 < x.shape[1] <= MOST_PLANES
    return (channels_last(4), *followed[1:]) if picture else followed


def innermost(node: Node, _: Layouts) -> tuple[Layout, ...]:
    """The attribute `axis` is stored last: each of its slices has constants of its own."""
    axis = node.attrs["axis"]
    return ((*(i for i in range(node.output.type.rank) if i != axis), axis),)


def permuted(node: Node, layouts: Layouts) -> tuple[Layout, ...]:
    """Transpose: the bytes stay, so axis i of the output is wherever axis perm[i] of the input was."""
    (x,) = node.operands
    perm: tuple[int, ...] = node.attrs["perm"]
    return (tuple(perm.index(axis) for axis in layouts.get(x, plain(x.type.rank))),)


def choose(graph: Graph, policy_of: Callable[[str], Policy]) -> dict[Value, Layout]:
    """A layout for every graph input and node output. Constants have none: they are stored as each use wants them.

    Until the producer of a value is reached, what the policies see is the wish of its reader.
    """
    layouts = _wishes(graph)
    layouts.update((v, plain(v.type.rank)) for v in graph.inputs.values())
    for node in graph.nodes:
        layouts.update(zip(node.outputs, policy_of(node.op)(node, layouts), strict=True))
    return layouts


def _wishes(graph: Graph) -> dict[Value, Layout]:
    """The layouts of values that one Transpose alone reads, which make its result row-major."""
    uses = graph.uses()
    transposes = (node for node in graph.nodes if node.op == "Transpose")
    return {x: node.attrs["perm"] for node in transposes for x in node.operands if uses[x] == 1 and not x.is_constant}
