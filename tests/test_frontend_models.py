"""Whole models: what the frontend imports, run by the reference, gives the outputs that came with the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.conftest import ROOT
from tests.onnx_models import assert_close, imported, oracle, run
from tinyinfer import frontend
from tinyinfer.errors import UnsupportedError

COVERED = [
    "basic-pitch-nmp", "bodypix-mobilenetv1-050-s16", "deeplabv3-mobilenetv2-257", "fast-style-modelfast",
    "fast-style-small-eff48", "hand-keypoint-classifier", "lenet1-keras", "mnist-8", "mobilenetv2-fp32-dequant",
    "resnet2b-cifar10", "super-resolution-3x", "ultraface-slim-320-simplified", "vit-ibp-3-3-8-cifar10", "yolox-nano",
]  # fmt: skip


# Rounded to quanta, which no tolerance of float models covers; `test_shared_models.py` compares these.
QUANTIZED = [
    "mobilenetv2-int8-dynamic", "mobilenetv2-int8-qdq-perchannel", "mobilenetv2-qoperator",
    "resnet4b-cifar10-qoperator", "vit-ibp-3-3-8-qlinear",
]  # fmt: skip


# What binds the open dimensions of those whose operators would do, but for an If on an input.
SHAPES = {"silero-vad-v4": {"input": (1, 512)}, "silero-vad-v6-ifless": {"input": (1, 576)}}
MISSING = r"operators? (is|are) not supported:\n  \S+ ×\d+, for example node|\(If\): If is supported only with a"


@pytest.mark.parametrize("name", COVERED)
def test_a_shared_model_gives_the_expected_outputs(shared_models: Path, name: str) -> None:
    """Within 1e-3 of the largest magnitude: the expected outputs are onnxruntime's, with its rounding order."""
    folder = shared_models / name
    case = json.loads((folder / "io.json").read_text())["cases"][0]
    arrays = np.load(folder / case["file"])
    feeds = {item["name"]: arrays[item["key"]] for item in case["inputs"]}
    expected = {item["name"]: arrays[item["key"]] for item in case["outputs"]}
    graph = frontend.load(folder / "model.onnx", {key: array.shape for key, array in feeds.items()})
    assert_close(run(graph, feeds), expected, 1e-3, name)


def test_every_other_shared_model_is_refused_with_what_is_missing(shared_models: Path) -> None:
    names = {path.parent.name for path in shared_models.glob("*/model.onnx")}
    others = sorted(names - set(COVERED) - set(QUANTIZED))
    assert others
    for name in others:
        with pytest.raises(UnsupportedError, match=MISSING):
            frontend.load(shared_models / name / "model.onnx", SHAPES.get(name))


def test_the_digits_example_agrees_with_the_oracle() -> None:
    proto = onnx.load(ROOT / "examples" / "digits" / "digits.onnx")
    name = proto.graph.input[0].name
    shape = frontend.load(proto).inputs[name].shape
    feeds = {name: np.random.default_rng(0).random(shape, np.float32)}
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-5)
