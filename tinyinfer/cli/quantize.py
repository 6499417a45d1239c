"""`tinyinfer quantize`: a float ONNX model to a quantised one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import onnx
import typer
from onnx import helper

from tinyinfer import quantization
from tinyinfer.cli import console
from tinyinfer.cli.models import check_target, require_onnx
from tinyinfer.cli.options import OnnxModel, Shapes, parse_shapes
from tinyinfer.cli.pictures import (
    Color,
    Labels,
    Layout,
    Mean,
    Resize,
    Std,
    read_preprocessing,
    say_preprocessing,
    stated,
)
from tinyinfer.errors import QuantizationError, TinyInferError
from tinyinfer.feeds import random_feeds
from tinyinfer.frontend import reading
from tinyinfer.quantization import CalibrationMethod, Quantizer, QuantType, Scheme, Sensitivity
from tinyinfer.quantization.accuracy import LEAST_AGREEMENT, LEAST_SQNR, compare
from tinyinfer.quantization.files import FolderSamples, Sample, bound_inputs, read_calibration
from tinyinfer.quantization.mixed import choose_float_layers
from tinyinfer.quantization.preparation import prepare
from tinyinfer.quantization.static import save

LISTED_LAYERS = 10
# How many random inputs a model is judged by where there is no calibration data.
RANDOM_SAMPLES = 4


class MethodName(str, Enum):
    """How ranges follow from calibration data."""

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


class TypeName(str, Enum):
    """Types of activations and weights."""

    INT8 = "int8"
    UINT8 = "uint8"


class WeightsName(str, Enum):
    """Types of weights that are quantised alone."""

    INT8 = "int8"
    INT4 = "int4"


Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; default: MODEL.int8.onnx.")
]
CalibrationPath = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE|FOLDER",
        help="Typical inputs: an .npz or .npy file (samples along the first axis), or a folder of pictures or of such "
        "files, one sample each. Some dozens are enough.",
    ),
]
Samples = Annotated[int | None, typer.Option(metavar="N", min=1, help="Use the first N samples only.")]
Method = Annotated[MethodName, typer.Option(help="How the ranges of activations are chosen.")]
Percentile = Annotated[
    float, typer.Option(metavar="P", min=50.0, max=100.0, help="Of --method percentile: the share of values to keep.")
]
PerChannel = Annotated[bool, typer.Option("--per-channel/--per-tensor", help="Scales of weights.")]
ActivationType = Annotated[TypeName, typer.Option(help="The type of activations.")]
WeightType = Annotated[TypeName, typer.Option(help="The type of weights.")]
Symmetric = Annotated[bool, typer.Option("--symmetric", help="Activations: zero in the middle of the range.")]
Exclude = Annotated[list[str], typer.Option(metavar="NODE", help="Leave a node in float; may be repeated.")]
BiasCorrection = Annotated[bool, typer.Option(help="Take the mean error of each channel back in its bias.")]
Equalize = Annotated[
    bool | None, typer.Option(help="Even out channels across layers; default: where weights have one scale.")
]
KeepAccuracy = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Leave the worst layers in float until the model agrees with the float one on this share of the "
        "calibration data, e.g. 0.99.",
    ),
]
Report = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Measure what each layer costs: a table, and JSON, CSV and SVG.")
]
Dynamic = Annotated[bool, typer.Option("--dynamic", help="Quantise activations while running: no calibration.")]
WeightOnly = Annotated[WeightsName | None, typer.Option(help="Quantise weights alone, compute in float.")]
BlockSize = Annotated[
    int | None,
    typer.Option(metavar="N", help="--weight-only: inputs that share a scale; default: 32 for int4, all for int8."),
]


def quantize(
    model: OnnxModel,
    output: Output = None,
    calibration: CalibrationPath = None,
    samples: Samples = None,
    method: Method = MethodName.MSE,
    percentile: Percentile = 99.999,
    per_channel: PerChannel = True,
    activation_type: ActivationType = TypeName.INT8,
    weight_type: WeightType = TypeName.INT8,
    symmetric: Symmetric = False,
    exclude: Exclude = [],
    bias_correction: BiasCorrection = True,
    equalize: Equalize = None,
    keep_accuracy: KeepAccuracy = None,
    report: Report = None,
    dynamic: Dynamic = False,
    weight_only: WeightOnly = None,
    block_size: BlockSize = None,
    shape: Shapes = [],
    labels: Labels = None,
    mean: Mean = None,
    std: Std = None,
    layout: Layout = None,
    color: Color = None,
    resize: Resize = None,
) -> None:
    """Quantise an ONNX model to int8: a smaller file and faster integer kernels.

    The result is standard ONNX (QuantizeLinear and DequantizeLinear around float operators), which `tinyinfer compile`
    and other runtimes read. It appears as a whole or not at all, keeps the model's metadata, and states the options for
    pictures and labels in it. How near it is to the float model is printed.

    Examples:

      tinyinfer quantize model.onnx --calibration photos/ -o model.int8.onnx
      tinyinfer quantize model.onnx --calibration inputs.npz --method percentile --percentile 99.99
      tinyinfer quantize model.onnx --calibration photos/ --mean 127.5 --std 127.5 --resize crop
      tinyinfer quantize model.onnx --calibration photos/ --keep-accuracy 0.99 --report report/
      tinyinfer quantize model.onnx --calibration photos/ --exclude /head/Gemm --exclude /stem/Conv
      tinyinfer quantize model.onnx --dynamic
      tinyinfer quantize model.onnx --weight-only int4 --block-size 32
    """
    require_onnx(model)
    target = output or model.parent / f"{model.stem}.{'int4' if weight_only is WeightsName.INT4 else 'int8'}.onnx"
    check_target(target, model)
    _check_modes(dynamic, weight_only, calibration, keep_accuracy, report, block_size)
    shapes = _shapes(shape)
    preprocessing = read_preprocessing(mean, std, layout, color, resize)
    metadata = _metadata(model, shapes, preprocessing, labels)
    data: Sequence[Sample] | None = None
    if weight_only is not None:
        kind = QuantType(weight_only.value)
        proto = quantization.quantize_weights(model, None, kind, block_size, nodes_to_exclude=exclude)
    elif dynamic:
        kind = QuantType(weight_type.value)
        proto = quantization.quantize_dynamic(
            model, None, per_channel=per_channel, weight_type=kind, nodes_to_exclude=exclude
        )
    else:
        assert calibration is not None
        data = read_calibration(calibration, model, shapes, preprocessing)[:samples]
        if isinstance(data, FolderSamples):
            for binding in data.picture_inputs:
                say_preprocessing(metadata, binding, preprocessing)
        scheme = Scheme(
            QuantType(activation_type.value), QuantType(weight_type.value), per_channel, activation_symmetric=symmetric
        )
        ranges = quantization.Calibration(CalibrationMethod(method.value), percentile)
        equalized = not per_channel if equalize is None else equalize
        static = _Static(model, data, scheme, ranges, exclude, bias_correction, equalized)
        proto = static.quantise(keep_accuracy, report)
    helper.set_model_props(proto, metadata)
    before, after = model.stat().st_size, save(proto, target)
    console.say(f"{target}: {console.size(after)}, {after / before:.2f} of the float model's {console.size(before)}")
    _say_accuracy(model, proto, data, shapes)


def _metadata(
    model: Path, shapes: Mapping[str, Any], preprocessing: Mapping[str, Any], labels: Path | None
) -> dict[str, str]:
    """The model's metadata, with what the options state."""
    found = {p.key: p.value for p in reading.read(model).proto.metadata_props}
    given = any(value is not None for value in preprocessing.values())
    return stated(found, bound_inputs(model, shapes) if given else [], preprocessing, labels)


def _say_accuracy(
    model: Path, quantised: onnx.ModelProto, data: Sequence[Sample] | None, shapes: Mapping[str, Any]
) -> None:
    """Run both models, on random inputs where there is no calibration data, and print how near they are."""
    try:
        feeds = data or [random_feeds(bound_inputs(model, shapes), seed) for seed in range(RANDOM_SAMPLES)]
        with console.progress("measuring") as advance:
            found = compare(prepare(model), quantised, feeds, advance)
    except TinyInferError as error:
        console.note(f"accuracy: not measured: {error}")
        return
    console.say(f"accuracy on {len(feeds)} {'calibration samples' if data else 'random inputs'}: {found}")
    if found.is_low:
        console.note(
            f"Warning: low (expected: {LEAST_SQNR:g} dB, and {LEAST_AGREEMENT:.0%} of the best classes): calibrate "
            "with typical inputs, made as the model was trained; try another --method or --keep-accuracy"
        )


def _check_modes(
    dynamic: bool,
    weight_only: WeightsName | None,
    calibration: Path | None,
    keep_accuracy: float | None,
    report: Path | None,
    block_size: int | None,
) -> None:
    """Refuse options that do not go together, before any work is done."""
    calibrated = {"--calibration": calibration, "--keep-accuracy": keep_accuracy, "--report": report}
    if dynamic and weight_only is not None:
        raise typer.BadParameter("give one of --dynamic and --weight-only", param_hint="--dynamic / --weight-only")
    if block_size is not None and weight_only is None:
        raise typer.BadParameter("belongs to --weight-only", param_hint="--block-size")
    if dynamic or weight_only is not None:
        for option, value in calibrated.items():
            if value is not None:
                raise typer.BadParameter("there is nothing to calibrate in this mode", param_hint=option)
    elif calibration is None:
        raise typer.BadParameter("typical inputs are needed to choose ranges", param_hint="--calibration")
    if report is not None and report.exists() and not report.is_dir():
        raise QuantizationError(f"{report} is a file; expected a folder for the report")


@dataclass
class _Static:
    """Calibrated quantisation with progress, a report and mixed precision."""

    model: Path
    data: Sequence[Sample]
    scheme: Scheme
    calibration: quantization.Calibration
    exclude: Collection[str]
    bias_correction: bool
    equalization: bool

    def quantise(self, keep_accuracy: float | None, report: Path | None) -> onnx.ModelProto:
        with console.progress("quantising") as advance:
            quantizer = Quantizer(
                self.model, self.data, self.scheme, self.calibration, exclude=self.exclude,
                bias_correction=self.bias_correction, equalization=self.equalization, progress=advance,
            )  # fmt: skip
            sensitivity = None if report is None else quantization.analyze(quantizer, progress=advance)
            kept = () if keep_accuracy is None else choose_float_layers(quantizer, keep_accuracy, sensitivity)
            quantised = quantizer.model(kept)
        if quantizer.without_scale:
            names = quantizer.without_scale
            listing = ", ".join(names[:LISTED_LAYERS]) + (
                f" and {len(names) - LISTED_LAYERS} more" * (len(names) > LISTED_LAYERS)
            )
            console.note(f"left in float, since zero, or not finite, in all calibration data: {listing}")
        if report is not None and sensitivity is not None:
            _show(sensitivity, kept)
            for path in quantization.write_report(report, sensitivity, kept):
                console.say(str(path))
        if keep_accuracy is not None:
            console.say(f"layers left in float: {', '.join(kept) or 'none'}")
        return quantised


def _show(sensitivity: Sensitivity, left_in_float: Collection[str]) -> None:
    """Print the whole model's figures and its most expensive layers."""
    console.show_table(
        f"What quantising costs, on {sensitivity.samples} samples: outputs {sensitivity.sqnr:.1f} dB, "
        f"largest error {sensitivity.max_error:.3g}",
        ["layer", "operator", ">SQNR dB", ">max error", ">share of loss", "", "in"],
        [
            [
                layer.node, layer.op, f"{layer.sqnr:.1f}", f"{layer.max_error:.3g}", f"{layer.share:.1%}",
                console.bar(layer.share / max(sensitivity.worst[0].share, 1e-9), 12),
                "float" if layer.node in left_in_float else "int8",
            ]
            for layer in sensitivity.worst[:LISTED_LAYERS]
        ],
    )  # fmt: skip


def _shapes(texts: list[str]) -> Mapping[str, Any]:
    """The shapes of one plan; a calibration has no second."""
    plans = parse_shapes(texts)
    if len(plans) > 1:
        raise typer.BadParameter("an input is bound twice", param_hint="--shape")
    return plans[0] if plans else {}
