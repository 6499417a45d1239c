"""`tinyinfer run`: a model on given inputs."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tinyinfer import images, registry
from tinyinfer.cli import console
from tinyinfer.cli.feeding import picture_inputs, read_arguments, runs
from tinyinfer.cli.models import check_target, compile_onnx, input_names, is_compiled, only
from tinyinfer.cli.options import Model, RunnerName, Shapes, Tier, TierName
from tinyinfer.cli.pictures import (
    Color,
    Labels,
    Layout,
    Mean,
    Resize,
    Std,
    read_labels,
    read_preprocessing,
    say_preprocessing,
)
from tinyinfer.cli.scores import show_outputs
from tinyinfer.compiler import CompiledModel
from tinyinfer.errors import FeedError, ModelError
from tinyinfer.ref import interpreter
from tinyinfer.session import InferenceSession
from tinyinfer.types import Array
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.feeding import check_feeds, choose_plan

Runner = Callable[[Mapping[str, Array]], Mapping[str, Array]]

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="[NAME=]FILE...",
        help=".npz (names, or input_<position>), .npy or pictures. Several pictures without a name are run in turn.",
    ),
]
Random = Annotated[int | None, typer.Option("--random", metavar="SEED", help="Random values for inputs without file.")]
Fill = Annotated[float | None, typer.Option(metavar="VALUE", help="One value for all elements of inputs without file.")]
Engine = Annotated[RunnerName, typer.Option(help="What runs the model; `ref` is the NumPy reference.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE.npz", help="Write all outputs.")]
Top = Annotated[int | None, typer.Option(metavar="K", min=1, help="How many classes to show; default: 5.")]


def run(
    model: Model,
    inputs: Inputs = [],
    random: Random = None,
    fill: Fill = None,
    engine: Engine = RunnerName.WASMTIME,
    tier: Tier = TierName.SIMD128,
    output: Output = None,
    shape: Shapes = [],
    labels: Labels = None,
    top: Top = None,
    mean: Mean = None,
    std: Std = None,
    layout: Layout = None,
    color: Color = None,
    resize: Resize = None,
) -> None:
    """Run a model and print its outputs: the best classes where they are scores, else a summary.

    Pictures become inputs as the model's metadata states (tinyinfer.preprocess), or as the options say; what neither
    states is assumed, and the command says so.

    Examples:

      tinyinfer run digits.tinf picture.png
      tinyinfer run model.onnx photo.jpg --mean 123.675,116.28,103.53 --std 58.395,57.12,57.375 --resize 256
      tinyinfer run model.onnx inputs.npz -o outputs.npz
      tinyinfer run model.onnx tokens=tokens.npy mask=mask.npy --engine ref
      tinyinfer run model.onnx --random 0
    """
    if output is not None:
        check_target(output, model, *(Path(text.rpartition("=")[2]) for text in inputs))
    compiled = tinf.read(model) if is_compiled(model) else None
    names = [b.name for b in compiled.plans[0].inputs] if compiled else input_names(model)
    given = read_arguments(inputs, names)
    source = compiled or compile_onnx(model, shape, feeds=only(given.arrays, names))
    file = source if isinstance(source, tinf.ModelFile) else source.file
    preprocessing = read_preprocessing(mean, std, layout, color, resize)
    bindings = choose_plan(file.plans, given.arrays).inputs
    for binding in picture_inputs(given, bindings):
        say_preprocessing(file.metadata, binding, preprocessing)
    wanted = runs(given, bindings, file.metadata, preprocessing, random, fill)
    if output is not None and len(wanted) > 1:
        raise FeedError(f"--output takes the outputs of one run; {len(wanted)} pictures are {len(wanted)} runs")
    names_of_classes = read_labels(labels) if labels else images.labels_of(file.metadata)
    execute = runner(source, engine, tier.value)
    for one in wanted:
        outputs = execute(one.feeds)
        if one.label:
            console.say(one.label, "bold")
        show_outputs(outputs, names_of_classes, top)
        if output is not None:
            write_arrays(output, outputs)
            console.say(f"{output}: {', '.join(outputs)}")


def runner(model: CompiledModel | tinf.ModelFile, engine: RunnerName, tier: str = "simd128") -> Runner:
    """A function from feeds to outputs."""
    if engine is not RunnerName.REF:
        return InferenceSession(model, engine.value, tier).run
    if isinstance(model, tinf.ModelFile):
        raise ModelError(f"{model.name}: a compiled model holds no graph for the reference; give the .onnx file")

    def reference(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        plan = choose_plan(model.file.plans, feeds)
        graph = model.optimized[model.file.plans.index(plan)]
        return interpreter.run(graph, check_feeds(plan.inputs, feeds), registry.reference_of, tier)

    return reference


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an `.npz` file, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    tinf.write_atomically(path, buffer.getvalue())
