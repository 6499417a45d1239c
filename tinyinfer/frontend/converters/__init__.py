"""CONVERTERS: the table from ONNX operator types to converters, one module per family.

Operators of other domains are `domain::type`.

A converter takes the `Context` of one ONNX node, of any accepted opset, and returns its outputs as values.
"""

from tinyinfer.frontend.context import Converter
from tinyinfer.frontend.converters import (
    composed,
    constant,
    elementwise,
    linear,
    movement,
    normalization,
    quantized,
    reduction,
    resize,
    shape,
    spatial,
)

CONVERTERS: dict[str, Converter] = {
    **composed.CONVERTERS,
    **constant.CONVERTERS,
    **elementwise.CONVERTERS,
    **linear.CONVERTERS,
    **movement.CONVERTERS,
    **normalization.CONVERTERS,
    **quantized.CONVERTERS,
    **reduction.CONVERTERS,
    **resize.CONVERTERS,
    **shape.CONVERTERS,
    **spatial.CONVERTERS,
}
