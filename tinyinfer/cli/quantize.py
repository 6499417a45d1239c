"""`tinyinfer quantize`: a float ONNX model to a quantised one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyinfer.cli import console
from tinyinfer.cli.models import check_target, require_onnx
from tinyinfer.cli.options import OnnxModel, Shapes, parse_numbers, parse_shapes
from tinyinfer.cli.run import Color, Layout, Mean, Resize, Std
from tinyinfer.quantization import CalibrationMethod, QuantType, quantize_static
from tinyinfer.quantization.files import read_calibration


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
Percentile = Annotated[float, typer.Option(metavar="P", help="Of --method percentile.")]
PerChannel = Annotated[bool, typer.Option("--per-channel/--per-tensor", help="Scales of weights.")]
ActivationType = Annotated[TypeName, typer.Option(help="The type of activations.")]
WeightType = Annotated[TypeName, typer.Option(help="The type of weights.")]
Symmetric = Annotated[bool, typer.Option("--symmetric", help="Activations: zero in the middle of the range.")]
Exclude = Annotated[list[str], typer.Option(metavar="NODE", help="Leave a node in float; may be repeated.")]


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
      tinyinfer quantize model.onnx --calibration photos/ --exclude /head/Gemm --exclude /stem/Conv
    """
    require_onnx(model)
    target = output or model.parent / f"{model.stem}.int8.onnx"
    check_target(target)
    preprocessing = {
        "mean": parse_numbers(mean, "--mean"), "std": parse_numbers(std, "--std"),
        "layout": layout, "color": color, "resize": resize,
    }  # fmt: skip
    if calibration is None:
        raise typer.BadParameter("typical inputs are needed to choose ranges", param_hint="--calibration")
    shapes = merged(parse_shapes(shape))
    data = read_calibration(calibration, model, shapes, preprocessing)[:samples]
    with console.progress("calibrating") as advance:
        quantize_static(
            model,
            target,
            data,
            per_channel=per_channel,
            activation_type=QuantType(activation_type.value),
            weight_type=QuantType(weight_type.value),
            nodes_to_exclude=exclude,
            calibrate_method=CalibrationMethod(method.value),
            extra_options={"ActivationSymmetric": symmetric, "CalibPercentile": percentile},
            progress=advance,
        )
    before, after = model.stat().st_size, target.stat().st_size
    console.say(f"{target}: {console.size(after)}, {after / before:.2f} of the float model's {console.size(before)}")


def merged(plans: list[dict[str, tuple[int, ...]]]) -> Mapping[str, Any]:
    """The shapes of one plan; a calibration has no second."""
    if len(plans) > 1:
        raise typer.BadParameter("an input is bound twice", param_hint="--shape")
    return plans[0] if plans else {}
