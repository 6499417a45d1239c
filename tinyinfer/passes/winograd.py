"""Convolutions by 3×3 filters become minimal filtering, which multiplies 2.25 times less and sums fewer terms."""

from __future__ import annotations

from tinyinfer.graph import Value
from tinyinfer.passes.examples import conv, given
from tinyinfer.rewrite import Match, P, Target, rule

LEAST_CHANNELS = 8
"""Of inputs and of filters: with fewer, the transforms take longer than the products that they save."""
LEAST_TILES = 4
"""Of 2×2 outputs: the transform of the filters has to be worth while."""


@rule(
    "Conv{3×3}(x) → Conv{winograd}(x)",
    P("Conv", ("x", "w"), "conv"),
    lambda b: conv(b, given(b, 1, 8, 5, 6), filters=9),
    tolerance=1e-6,
)
def minimal_filtering(m: Match, to: Target) -> Value | None:
    """Sums of as many terms as there are channels are more accurate than those of nine times as many."""
    node = m.node("conv")
    attrs, (filters, depth, *kernel) = node.attrs, m["w"].shape
    plain = kernel == [3, 3] and {*attrs["strides"], *attrs["dilations"], attrs.get("group", 1)} == {1}
    if not plain or min(filters, depth) < LEAST_CHANNELS or attrs.get("winograd", False):
        return None
    batch, _, height, width = node.output.shape
    tiles = batch * -(-height // 2) * -(-width // 2)
    # Outputs past the end cost as much as others: 16 products and a third for the transforms, instead of 9.
    if tiles < LEAST_TILES or 9 * batch * height * width < 16 * 4 / 3 * tiles:
        return None
    return to.replace(node, winograd=True)


RULES = [minimal_filtering]
