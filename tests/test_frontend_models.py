"""Whole models: what the frontend imports, run by the reference, gives the outputs that came with the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.onnx_models import assert_close, imported

# The models this release's operators cover.
COVERED = ["mnist-8", "mobilenetv2-fp32-dequant", "resnet2b-cifar10"]


@pytest.mark.parametrize("name", COVERED)
def test_a_shared_model_gives_the_expected_outputs(shared_models: Path, name: str) -> None:
    """Within 1e-3 of the largest magnitude: the expected outputs are onnxruntime's, with its rounding order."""
    path = shared_models / name / "model.onnx"
    proto = onnx.load(path)
    case = np.load(path.with_name("io_0.npz"))
    fixed = {tensor.name for tensor in proto.graph.initializer}
    inputs = [info.name for info in proto.graph.input if info.name not in fixed]
    feeds = {input_name: case[f"input_{j}"] for j, input_name in enumerate(inputs)}
    expected = {info.name: case[f"output_{j}"] for j, info in enumerate(proto.graph.output)}
    assert_close(imported(proto, feeds), expected, 1e-3, name)
