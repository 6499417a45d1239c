"""The pipeline: passes in order."""

from __future__ import annotations

from tinyinfer.graph import Graph


def run(graph: Graph) -> Graph:
    return graph
