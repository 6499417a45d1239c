"""Lowering of pooling: one kernel call over channels-last feature maps."""

from __future__ import annotations

from tinyinfer.graph import Node
from tinyinfer.types import DType
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.quantized import flip
from tinyinfer.wasm_backend.lowering import Argument, Lowering
from tinyinfer.wasm_backend.strides import channels_last


def max_pool(node: Node, to: Lowering) -> None:
    """One step; large windows in two, maxima of rows and then of columns of these, which any order of taps allows."""
    (x,) = node.operands
    channels = x.shape[1]
    kernel, sign = ("f32_maxpool", {}) if x.dtype is DType.FLOAT else ("x8_maxpool", {"f": flip(x.dtype)})
    maps, whole = _maps(node, to), window.geometry(node, node.attrs["kernel_shape"])
    height, width = whole["kh"], whole["kw"]
    if 2 * height * width <= 3 * (whole["sh"] * width + height):
        to.step(kernel, **maps, c=channels, **sign, **whole)
        return
    images, lines, columns = x.shape[0], whole["ih"], whole["ow"]
    pixel = channels * x.dtype.size
    rows = to.scratch(images * lines * columns * pixel, f"{node.name}.rows")
    along = whole | {"oh": lines, "kh": 1, "sh": 1, "dh": 1, "pt": 0, "m1": images * lines}
    down = whole | {"iw": columns, "kw": 1, "sw": 1, "dw": 1, "pl": 0}
    to.step(kernel, **maps | {"y": rows, "py": pixel}, c=channels, **sign, **along)
    to.step(kernel, **maps | {"x": rows, "px": pixel}, c=channels, **sign, **down)


def _maps(node: Node, to: Lowering) -> dict[str, Argument]:
    """Both feature maps, and the distances of their pixels."""
    (x,), layout = node.operands, channels_last(node.output.type.rank)
    source, target = to.rows(x, layout), to.output_rows(node.output, layout)
    return {"x": source.pointer, "px": source.pitch, "y": target.pointer, "py": target.pitch}


def average_pool(node: Node, to: Lowering) -> None:
    """The counted region is X, with the padding around it if `count_include_pad`."""
    (x,) = node.operands
    geometry = window.geometry(node, node.attrs["kernel_shape"])
    (top, left), (bottom, right) = window.begins(node), window.ends(node)
    if not node.attrs.get("count_include_pad", False):
        top, left, bottom, right = 0, 0, 0, 0
    to.step(
        "f32_avgpool",
        **_maps(node, to), c=x.shape[1],
        ct=-top, cl=-left, cb=geometry["ih"] + bottom, cr=geometry["iw"] + right,
        **geometry,
    )  # fmt: skip
