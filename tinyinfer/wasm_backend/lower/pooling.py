"""Lowering of pooling: one kernel call over channels-last feature maps."""

from __future__ import annotations

from tinyinfer.graph import Node
from tinyinfer.types import DType
from tinyinfer.wasm_backend.lower import window
from tinyinfer.wasm_backend.lower.quantized import flip
from tinyinfer.wasm_backend.lowering import Argument, Lowering
from tinyinfer.wasm_backend.strides import channels_last


def max_pool(node: Node, to: Lowering) -> None:
    (x,) = node.operands
    sign = {} if x.dtype is DType.FLOAT else {"f": flip(x.dtype)}
    to.step(
        "x8_maxpool" if sign else "f32_maxpool",
        **_maps(node, to), c=x.shape[1], **sign,
        **window.geometry(node, node.attrs["kernel_shape"]),
    )  # fmt: skip


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
