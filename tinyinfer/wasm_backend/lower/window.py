"""Kernel arguments that describe windows sliding over channels-last feature maps; 1-D ones are 2-D with one row."""

from __future__ import annotations

from tinyinfer.graph import Node


def pair(values: tuple[int, ...], filler: int) -> tuple[int, int]:
    """One value for each of two spatial axes: of a single one, `filler` for the rows."""
    return (filler, values[0]) if len(values) == 1 else (values[0], values[1])


def begins(node: Node) -> tuple[int, int]:
    """Padding before the first row and before the first column."""
    pads: tuple[int, ...] = node.attrs["pads"]
    return pair(pads[: len(pads) // 2], 0)


def ends(node: Node) -> tuple[int, int]:
    """Padding after the last row and after the last column."""
    pads: tuple[int, ...] = node.attrs["pads"]
    return pair(pads[len(pads) // 2 :], 0)


def geometry(node: Node, kernel: tuple[int, ...], placed: tuple[int, ...] = ()) -> dict[str, int]:
    """Feature maps and window as the kernels name them; the work is the rows of all output images.

    `placed` are pads that are part of the input already.
    """
    x, y = node.operands[0], node.output
    ih, iw = pair(x.shape[2:], 1)
    oh, ow = pair(y.shape[2:], 1)
    kh, kw = pair(kernel, 1)
    sh, sw = pair(node.attrs["strides"], 1)
    dh, dw = pair(node.attrs["dilations"], 1)
    pt, pl = begins(node)
    if any(placed):
        (bottom, right), ih, iw = ends(node), ih + pt, iw + pl
        ih, iw, pt, pl = ih + bottom, iw + right, 0, 0
    return {
        "ih": ih, "iw": iw, "oh": oh, "ow": ow, "kh": kh, "kw": kw, "sh": sh, "sw": sw, "dh": dh, "dw": dw,
        "pt": pt, "pl": pl, "m0": 0, "m1": x.shape[0] * oh,
    }  # fmt: skip
