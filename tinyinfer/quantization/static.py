"""Static post-training quantisation: a float model and calibration data to a QDQ model."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx

from tinyinfer.errors import QuantizationError, TinyInferError
from tinyinfer.quantization.insertion import Scheme
from tinyinfer.quantization.kinds import CalibrationMethod, QuantFormat, QuantType
from tinyinfer.quantization.mixed import choose_float_layers
from tinyinfer.quantization.preparation import ModelInput
from tinyinfer.quantization.quantizer import Calibration, Quantizer
from tinyinfer.quantization.readers import CalibrationData
from tinyinfer.quantization.running import Progress, no_progress
from tinyinfer.wasm_backend.tinf import write_atomically

ACTIVATION_TYPES = WEIGHT_TYPES = (QuantType.QInt8, QuantType.QUInt8)


# Names in `extra_options`, as in onnxruntime.quantization: where they go.
_EXTRA = {
    "ActivationSymmetric": ("scheme", "activation_symmetric", bool),
    "WeightSymmetric": ("scheme", "weight_symmetric", bool),
    "CalibMovingAverage": ("calibration", "moving_average", bool),
    "CalibPercentile": ("calibration", "percentile", float),
}


def quantize_static(
    model_input: ModelInput,
    model_output: str | os.PathLike[str] | None,
    calibration_data_reader: CalibrationData,
    quant_format: QuantFormat = QuantFormat.QDQ,
    op_types_to_quantize: Collection[str] | None = None,
    per_channel: bool = True,
    reduce_range: bool = False,
    activation_type: QuantType = QuantType.QInt8,
    weight_type: QuantType = QuantType.QInt8,
    nodes_to_quantize: Iterable[str] | None = None,
    nodes_to_exclude: Iterable[str] | None = None,
    calibrate_method: CalibrationMethod = CalibrationMethod.MinMax,
    extra_options: Mapping[str, Any] | None = None,
    *,
    bias_correction: bool = True,
    cross_layer_equalization: bool | None = None,
    keep_accuracy: float | None = None,
    progress: Progress = no_progress,
) -> onnx.ModelProto:
    """Quantise a float model to int8 by running it on calibration data.

    Writes the file `model_output` (whole or not at all; None: no file) and returns the model: standard ONNX in QDQ
    form. Arguments have the names and meanings of `onnxruntime.quantization.quantize_static`; `per_channel` is on
    unless switched off. `calibration_data_reader` is a CalibrationDataReader or any iterable of dicts. `extra_options`:
    ActivationSymmetric, WeightSymmetric, CalibMovingAverage, CalibPercentile.

    `bias_correction` takes the mean error of each channel back in its bias. `cross_layer_equalization` evens out the
    ranges of channels across layers; by default where weights have one scale, which is where it helps.
    `keep_accuracy` (more than 0, up to 1): leave layers in float, those that cost most first, until the model agrees
    with the float one on this share of the calibration data.

    Raises QuantizationError (nothing to quantise, unknown names, a model that is quantised already, a tensor without
    range), FeedError (calibration data that does not fit the model), ModelError and UnsupportedError.
    """
    if quant_format is not QuantFormat.QDQ:
        raise QuantizationError(f"quant_format is {quant_format}; accepted: QuantFormat.QDQ")
    options = read_options(extra_options or {})
    scheme = Scheme(
        activation_type=require_type("activation_type", activation_type),
        weight_type=require_type("weight_type", weight_type),
        per_channel=per_channel,
        reduce_range=reduce_range,
        **options["scheme"],
    )
    calibration = Calibration(calibrate_method, **options["calibration"])
    if model_output is not None:
        check_output(Path(model_output))
    quantizer = Quantizer(
        model_input,
        calibration_data_reader,
        scheme,
        calibration,
        op_types=op_types_to_quantize,
        nodes=nodes_to_quantize,
        exclude=nodes_to_exclude or (),
        bias_correction=bias_correction,
        equalization=not per_channel if cross_layer_equalization is None else cross_layer_equalization,
        progress=progress,
    )
    left_in_float = () if keep_accuracy is None else choose_float_layers(quantizer, keep_accuracy)
    quantised = quantizer.model(left_in_float)
    if model_output is not None:
        save(quantised, Path(model_output))
    return quantised


def read_options(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`extra_options` by what they belong to; QuantizationError for names and values that are not accepted."""
    options: dict[str, dict[str, Any]] = {"scheme": {}, "calibration": {}}
    for name, value in given.items():
        if name not in _EXTRA:
            raise QuantizationError(f"extra_options has {name!r}; accepted: {', '.join(_EXTRA)}")
        part, field, kind = _EXTRA[name]
        if kind is float and not 50.0 < float(value) <= 100.0:
            raise QuantizationError(f"extra_options: {name} is {value}; accepted: more than 50, up to 100")
        options[part][field] = kind(value)
    return options


def require_type(name: str, given: QuantType) -> QuantType:
    """An eight-bit type; QuantizationError for others."""
    if given not in ACTIVATION_TYPES:
        raise QuantizationError(f"{name} is {given}; accepted: {', '.join(map(str, ACTIVATION_TYPES))}")
    return given


def check_output(path: Path) -> None:
    """Raise QuantizationError unless a file can be put at `path`, before any work is done for it."""
    if path.is_dir():
        raise QuantizationError(f"{path} is a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise QuantizationError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise QuantizationError(f"{path}: the folder {path.parent} is not writable")


def save(proto: onnx.ModelProto, path: Path) -> int:
    """Write the model, whole or not at all; the number of bytes."""
    try:
        blob = proto.SerializeToString()
    except ValueError as error:
        raise TinyInferError(f"{path}: the model cannot be written as one file: {error}") from None
    write_atomically(path, blob)
    return len(blob)
