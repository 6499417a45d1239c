"""ONNX → Graph."""

from __future__ import annotations

from tinyinfer.graph import Graph


def load(model: object, shapes: object) -> Graph:
    raise NotImplementedError
