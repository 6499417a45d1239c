"""`tinyinfer compile`: an ONNX file to a `.tinf` file."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tinyinfer.cli import console
from tinyinfer.cli.inspect import show_fusions
from tinyinfer.cli.models import check_target, compile_onnx
from tinyinfer.cli.options import NoOptimize, OnnxModel, Shapes
from tinyinfer.cli.pictures import Color, Labels, Layout, Mean, Resize, Std, read_preprocessing, stated
from tinyinfer.compiler import CompiledModel
from tinyinfer.wasm_backend.plan import Plan

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; default: MODEL.tinf.")
]


def compile_(
    model: OnnxModel,
    output: Output = None,
    shape: Shapes = [],
    no_optimize: NoOptimize = False,
    labels: Labels = None,
    mean: Mean = None,
    std: Std = None,
    layout: Layout = None,
    color: Color = None,
    resize: Resize = None,
) -> None:
    """Compile an ONNX model to one .tinf file: packed weights and a static plan of kernel calls.

    The file appears as a whole or not at all. Labels, and how pictures become inputs, are written into it, so that
    `tinyinfer run` needs no options.

    Examples:

      tinyinfer compile model.onnx -o model.tinf
      tinyinfer compile model.onnx --shape image=1x3x224x224
      tinyinfer compile model.onnx --shape tokens=1x128 --shape mask=1x128
      tinyinfer compile model.onnx --shape image=1x3x224x224 --shape image=8x3x224x224   (two plans, one set of weights)
      tinyinfer compile model.onnx --labels classes.txt --mean 127.5 --std 127.5 --resize crop
    """
    target = output or model.parent / f"{model.stem}.tinf"
    check_target(target, model)
    preprocessing = read_preprocessing(mean, std, layout, color, resize)
    compiled = compile_onnx(model, shape, optimize=not no_optimize)
    plan = compiled.plan
    metadata = stated(compiled.file.metadata, plan.inputs, preprocessing, labels, plan.outputs)
    compiled = replace(compiled, file=replace(compiled.file, metadata=metadata))
    nbytes = compiled.save(target)
    console.say(f"{target}: {console.size(nbytes)}, {console.size(len(gzip.compress(compiled.to_bytes())))} gzipped")
    show_compiled(compiled)


def show_compiled(compiled: CompiledModel) -> None:
    """Print the plans in figures, and what fused."""
    console.show_table(
        "Plans",
        ["inputs", ">nodes", ">steps", ">weights", ">arena",
         ">memory"],
        [plan_row(plan) for plan in compiled.file.plans],
    )  # fmt: skip
    show_fusions(compiled.imported[0], compiled.optimized[0])


def plan_row(plan: Plan) -> list[str | int]:
    """A plan in figures: its inputs, nodes, steps, weights, arena at its fullest, and whole linear memory."""
    inputs = ", ".join(f"{b.name} {'×'.join(map(str, b.shape))}" for b in plan.inputs)
    sizes = (plan.weight_bytes, plan.arena_bytes, plan.memory_bytes)
    return [inputs, len(plan.nodes), len(plan.steps), *map(console.size, sizes)]
