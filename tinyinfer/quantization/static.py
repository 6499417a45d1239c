"""Static post-training quantisation: a float model and calibration data to a QDQ model."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from tinyinfer.errors import QuantizationError, TinyInferError
from tinyinfer.quantization.bias_correction import bias_changes
from tinyinfer.quantization.editing import Editor
from tinyinfer.quantization.histogram import Histogram
from tinyinfer.quantization.insertion import Scheme, activation_params, insert
from tinyinfer.quantization.kinds import CalibrationMethod, QuantFormat, QuantType
from tinyinfer.quantization.preparation import ModelInput, prepare
from tinyinfer.quantization.readers import CalibrationData, Replay
from tinyinfer.quantization.running import Progress, each_sample, no_progress
from tinyinfer.quantization.selection import Selection, select
from tinyinfer.quantization.thresholds import DEFAULT_PERCENTILE, Range, choose_range
from tinyinfer.wasm_backend.tinf import write_atomically

ACTIVATION_TYPES = WEIGHT_TYPES = (QuantType.QInt8, QuantType.QUInt8)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How ranges follow from what was observed."""

    method: CalibrationMethod = CalibrationMethod.MinMax
    percentile: float = DEFAULT_PERCENTILE
    moving_average: bool = False


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
    progress: Progress = no_progress,
) -> onnx.ModelProto:
    """Quantise a float model to int8 by running it on calibration data.

    Writes the file `model_output` (whole or not at all; None: no file) and returns the model: standard ONNX in QDQ
    form. Arguments have the names and meanings of `onnxruntime.quantization.quantize_static`; `per_channel` is on
    unless switched off. `calibration_data_reader` is a CalibrationDataReader or any iterable of dicts. `extra_options`:
    ActivationSymmetric, WeightSymmetric, CalibMovingAverage, CalibPercentile.

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
    proto = prepare(model_input)
    selection = select(Editor(proto), op_types_to_quantize, nodes_to_quantize, nodes_to_exclude or ())
    data = Replay(calibration_data_reader)
    ranges = calibrate(proto, selection, data, calibration, scheme, progress)
    changes = {}
    if bias_correction:
        params = activation_params(Editor(proto), selection, ranges, scheme)
        changes = bias_changes(proto, selection, params, scheme, data, progress)
    quantised = insert(proto, selection, ranges, scheme, changes)
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


def calibrate(
    proto: onnx.ModelProto,
    selection: Selection,
    data: CalibrationData,
    calibration: Calibration,
    scheme: Scheme,
    progress: Progress = no_progress,
) -> dict[str, Range]:
    """The range of every selected tensor. Memory is constant, whatever the amount of data."""
    seen = {name: Histogram(name) for name in selection.tensors}
    for tensors in each_sample(proto, selection.tensors, data, progress, "calibrating"):
        for name, values in tensors.items():
            seen[name].add(values)
    return {
        name: choose_range(
            histogram, calibration.method, percentile=calibration.percentile,
            moving_average=calibration.moving_average, symmetric=scheme.activation_symmetric,
        )
        for name, histogram in seen.items()
    }  # fmt: skip


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
