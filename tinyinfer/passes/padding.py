"""Zero padding becomes the padding of the convolution that follows."""

from __future__ import annotations

from tinyinfer.graph import Value
from tinyinfer.passes.examples import conv, given
from tinyinfer.rewrite import Match, P, Target, rule


@rule(
    "Conv(Pad(x)) → Conv{pads}(x)",
    P("Conv", (P("Pad", ("x",), "pad"),), "conv"),
    lambda b: conv(b, b.add1("Pad", given(b, 1, 3, 5, 4), pads=(0, 0, 0, 1, 0, 0, 1, 2), mode="constant", value=0.0)),
)
def conv_of_pad(m: Match, to: Target) -> Value | None:
    """Exact: padding takes part in a convolution as +0."""
    pad, node = m.node("pad"), m.node("conv")
    pads: tuple[int, ...] = pad.attrs["pads"]
    rank = len(pads) // 2
    begins, ends = pads[:rank], pads[rank:]
    value = pad.attrs.get("value", 0.0)
    zero = value == 0.0 and str(value) == "0.0"
    if pad.attrs["mode"] != "constant" or not zero or any((*begins[:2], *ends[:2])):
        return None
    own: tuple[int, ...] = node.attrs["pads"]
    total = tuple(a + b for a, b in zip(own, (*begins[2:], *ends[2:]), strict=True))
    return to.replace(node, (m["x"], *node.inputs[1:]), pads=total)


RULES = [conv_of_pad]
