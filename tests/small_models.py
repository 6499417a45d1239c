"""Small ONNX files for the tests of whole-model features: commands, verification, bundles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.onnx_models import model

LABELS = ["nothing", "a dot", "a line", "a blot"]


def classifier(batch: Any = "batch") -> onnx.ModelProto:
    """8 × 8 gray pictures to four classes: two convolutions with a residual, ReLU, mean, product, softmax."""
    rng = np.random.default_rng(5)

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    nodes = [
        helper.make_node("Conv", ["image", "w0", "b0"], ["c0"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["r0"], name="stem_relu"),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], name="body"),
        helper.make_node("Add", ["c1", "r0"], ["s1"], name="skip"),
        helper.make_node("Relu", ["s1"], ["r1"], name="skip_relu"),
        helper.make_node("GlobalAveragePool", ["r1"], ["g"], name="pool"),
        helper.make_node("Flatten", ["g"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["scores"], name="head"),
    ]
    weights = {"w0": normal(6, 1, 3, 3), "b0": normal(6), "w1": normal(6, 6, 1, 1), "w2": normal(6, 4), "b2": normal(4)}
    proto = model(nodes, {"image": (TensorProto.FLOAT, [batch, 1, 8, 8])}, ["scores"], weights)
    proto.graph.name = "blots"
    return with_metadata(
        proto,
        {
            "tinyinfer.labels": "\n".join(LABELS),
            "tinyinfer.preprocess": json.dumps({"color": "gray", "layout": "NCHW", "width": 8, "height": 8}),
        },
    )


def adder(shape: Sequence[Any] = (2, 3)) -> onnx.ModelProto:
    """sum = a + b and product = a · b of two float inputs."""
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"], name="adds"),
        helper.make_node("Mul", ["a", "b"], ["product"], name="multiplies"),
    ]
    inputs = {name: (TensorProto.FLOAT, list(shape)) for name in ("a", "b")}
    return model(nodes, inputs, ["sum", "product"])


def with_metadata(proto: onnx.ModelProto, entries: dict[str, str]) -> onnx.ModelProto:
    """`proto` with these metadata_props."""
    helper.set_model_props(proto, entries)
    return proto


def save(proto: onnx.ModelProto, path: Path) -> Path:
    """Write the file and return its path."""
    path.write_bytes(proto.SerializeToString())
    return path
