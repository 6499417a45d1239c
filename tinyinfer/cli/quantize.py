"""`tinyinfer quantize`: a float ONNX model to a quantised one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyinfer import quantization
from tinyinfer.cli import console
from tinyinfer.cli.models import check_target, require_onnx
from tinyinfer.cli.options import OnnxModel, Shapes, parse_numbers, parse_shapes
from tinyinfer.cli.run import Color, Layout, Mean, Resize, Std
from tinyinfer.errors import QuantizationError
from tinyinfer.quantization import CalibrationMethod, Quantizer, QuantType, Scheme, Sensitivity
from tinyinfer.quantization.files import Sample, read_calibration
from tinyinfer.quantization.mixed import choose_float_layers
from tinyinfer.quantization.static import save

LISTED_LAYERS = 10


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
    mean: Mean = None,
    std: Std = None,
    layout: Layout = None,
    color: Color = None,
    resize: Resize = None,
) -> None:
    """Quantise an ONNX model to int8: a smaller file and faster integer kernels.

    The result is standard ONNX (QuantizeLinear and DequantizeLinear around float operators), which `tinyinfer compile`
    and other runtimes read. It appears as a whole or not at all.

    Examples:

      tinyinfer quantize model.onnx --calibration photos/ -o model.int8.onnx
      tinyinfer quantize model.onnx --calibration inputs.npz --method percentile --percentile 99.99
      tinyinfer quantize model.onnx --calibration photos/ --mean 123.675,116.28,103.53 --std 58.395,57.12,57.375
      tinyinfer quantize model.onnx --calibration photos/ --keep-accuracy 0.99 --report report/
      tinyinfer quantize model.onnx --calibration photos/ --exclude /head/Gemm --exclude /stem/Conv
      tinyinfer quantize model.onnx --dynamic
      tinyinfer quantize model.onnx --weight-only int4 --block-size 32
    """
    require_onnx(model)
    target = output or model.parent / f"{model.stem}.{'int4' if weight_only is WeightsName.INT4 else 'int8'}.onnx"
    check_target(target)
    _check_modes(dynamic, weight_only, calibration, keep_accuracy, report, block_size)
    if weight_only is not None:
        kind = QuantType(weight_only.value)
        quantization.quantize_weights(model, target, kind, block_size, nodes_to_exclude=exclude)
    elif dynamic:
        kind = QuantType(weight_type.value)
        quantization.quantize_dynamic(
            model, target, per_channel=per_channel, weight_type=kind, nodes_to_exclude=exclude
        )
    else:
        preprocessing = {
            "mean": parse_numbers(mean, "--mean"), "std": parse_numbers(std, "--std"),
            "layout": layout, "color": color, "resize": resize,
        }  # fmt: skip
        assert calibration is not None
        data = read_calibration(calibration, model, _shapes(shape), preprocessing)[:samples]
        scheme = Scheme(
            QuantType(activation_type.value), QuantType(weight_type.value), per_channel, activation_symmetric=symmetric
        )
        ranges = quantization.Calibration(CalibrationMethod(method.value), percentile)
        equalized = not per_channel if equalize is None else equalize
        _Static(model, data, scheme, ranges, exclude, bias_correction, equalized).write(target, keep_accuracy, report)
    before, after = model.stat().st_size, target.stat().st_size
    console.say(f"{target}: {console.size(after)}, {after / before:.2f} of the float model's {console.size(before)}")


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

    def write(self, target: Path, keep_accuracy: float | None, report: Path | None) -> None:
        with console.progress("quantising") as advance:
            quantizer = Quantizer(
                self.model, self.data, self.scheme, self.calibration, exclude=self.exclude,
                bias_correction=self.bias_correction, equalization=self.equalization, progress=advance,
            )  # fmt: skip
            sensitivity = None if report is None else quantization.analyze(quantizer, progress=advance)
            kept = () if keep_accuracy is None else choose_float_layers(quantizer, keep_accuracy, sensitivity)
            save(quantizer.model(kept), target)
        if report is not None and sensitivity is not None:
            _show(sensitivity, kept)
            for path in quantization.write_report(report, sensitivity, kept):
                console.say(str(path))
        if keep_accuracy is not None:
            console.say(f"layers left in float: {', '.join(kept) or 'none'}")


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
