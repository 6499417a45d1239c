"""Real models: every node bit for bit as the reference, and the results another runtime gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinyinfer
from tinyinfer.cli.models import input_names, read_feeds
from tinyinfer.feeds import read_arrays
from tinyinfer.images import Preprocess, read_image
from tinyinfer.wasm_backend.memory import PAGE

MODELS = [
    "basic-pitch-nmp",
    "bodypix-mobilenetv1-050-s16",
    "deeplabv3-mobilenetv2-257",
    "fast-style-modelfast",
    "fast-style-small-eff48",
    "hand-keypoint-classifier",
    "lenet1-keras",
    "mnist-8",
    "mobilenetv2-fp32-dequant",
    "mobilenetv2-int8-dynamic",
    "mobilenetv2-int8-qdq-perchannel",
    "mobilenetv2-qoperator",
    "resnet2b-cifar10",
    "resnet4b-cifar10-qoperator",
    "super-resolution-3x",
    "ultraface-slim-320-simplified",
    "vit-ibp-3-3-8-cifar10",
    "vit-ibp-3-3-8-qlinear",
    "yolox-nano",
]
RTOL = 1e-3
# Integers round where the expected results were computed in float: one quantum a step at most, three of the last here.
ROUNDED = {"mobilenetv2-int8-qdq-perchannel": 0.02}


@pytest.mark.parametrize("name", MODELS)
def test_every_node_is_identical_and_the_outputs_are_the_expected_ones(
    shared_models: Path, name: str, engine: str
) -> None:
    folder = shared_models / name
    feeds = read_feeds(folder / "io_0.npz", input_names(folder / "model.onnx"))
    expected = {key: array for key, array in read_arrays(folder / "io_0.npz").items() if key.startswith("output_")}
    report = tinyinfer.verify(
        folder / "model.onnx",
        engines=[engine],
        shapes={key: array.shape for key, array in feeds.items()},
        feeds=feeds,
        expected=expected,
        rtol=ROUNDED.get(name, RTOL),
    )
    assert report.first_mismatch is None
    assert report.rewriting.broken == ()
    assert len(report.differences) == len(expected) > 0
    assert [d for d in report.differences if not d.ok] == []


@pytest.mark.parametrize("name", MODELS)
def test_peak_memory_is_near_what_the_network_needs(shared_models: Path, name: str) -> None:
    """Weights and activations, whatever the plan, and 15 %; memory is in whole pages, and small scratch is allowed."""
    folder = shared_models / name
    feeds = read_feeds(folder / "io_0.npz", input_names(folder / "model.onnx"))
    shapes = {key: array.shape for key, array in feeds.items()}
    plan = tinyinfer.compile(folder / "model.onnx", shapes=shapes).plan
    assert plan.memory_bytes <= 1.15 * (plan.weight_bytes + plan.live_bytes) + 2 * PAGE


def test_photos_get_their_labels(shared_models: Path, engine: str) -> None:
    media = shared_models / "_media"
    top3 = json.loads((media / "imagenet" / "expected_top3.json").read_text())["top3"]["mobilenetv2-fp32-dequant"]
    photos = {path: classes for path, classes in top3.items() if (media / path).is_file()}
    session = tinyinfer.InferenceSession(shared_models / "mobilenetv2-fp32-dequant" / "model.onnx", engine)
    (binding,) = session.inputs
    # The exporter's normalization, (byte / 255 - mean) / std, in bytes.
    preprocess = Preprocess(224, 224, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), resize="256")
    assert len(photos) > 5
    for name, classes in photos.items():
        image = read_image(media / name, preprocess, binding)
        (scores,) = session.run({binding.name: image}).values()
        assert int(np.argmax(scores)) == classes[0]["index"], name
