"""Mixed precision: the layers that cost most stay in float until a stated accuracy is kept."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx

from tinyinfer.errors import QuantizationError
from tinyinfer.quantization.quantizer import Quantizer
from tinyinfer.quantization.running import each_sample
from tinyinfer.quantization.sensitivity import (
    Results,
    Sensitivity,
    analyze,
    float_outputs,
    loss,
)
from tinyinfer.quantization.simulation import simulate


def accuracy_kept(exact: Results, actual: Results, output: str) -> float:
    """How far two models agree on an output, up to 1.

    For scores (more than one value along the last axis, [samples, classes]): the share of rows with the same largest
    one. For anything else: 1 - |y - ŷ| / |y|, Euclidean norms, at least 0.
    """
    shapes = {tensors[output].shape for tensors in exact}
    if all(len(shape) == 2 and shape[1] > 1 for shape in shapes):
        rows = [a[output].argmax(axis=1) == b[output].argmax(axis=1) for a, b in zip(exact, actual)]
        return float(np.concatenate(rows).mean())
    return max(0.0, 1.0 - float(np.sqrt(loss(exact, actual, [output]))))


def choose_float_layers(
    quantizer: Quantizer, accuracy: float, sensitivity: Sensitivity | None = None
) -> Collection[str]:
    """The fewest of the most expensive layers that have to stay in float for `accuracy` on the calibration data.

    The first float output counts. QuantizationError when `accuracy` is not in (0, 1].
    """
    if not 0.0 < accuracy <= 1.0:
        raise QuantizationError(f"the accuracy to keep is {accuracy}; accepted: more than 0, up to 1")
    outputs = float_outputs(quantizer)
    if not outputs:
        raise QuantizationError("the model has no float output, by which the accuracy to keep could be judged")
    output = outputs[0]

    def results(proto: onnx.ModelProto) -> Results:
        return list(each_sample(proto, [output], quantizer.data, quantizer.progress, "measuring accuracy"))

    exact = results(quantizer.proto)

    def kept(proto: onnx.ModelProto) -> bool:
        return accuracy_kept(exact, results(simulate(proto)), output) >= accuracy

    if kept(quantizer.model()):
        return ()
    measured = sensitivity or analyze(quantizer, progress=quantizer.progress)
    order = [layer.node for layer in measured.worst]
    too_few, enough = 0, len(order)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        quantizer.progress(0, 0, f"{middle} layers in float")
        if kept(quantizer.model(order[:middle])):
            enough = middle
        else:
            too_few = middle
    return order[:enough]
