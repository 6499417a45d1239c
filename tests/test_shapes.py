"""Several sets of shapes in one file: one set of weights, and each plan gives the reference's bits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.differential import assert_same_bits
from tests.models import conv_graph, reference, tinf_of
from tinyinfer import InferenceSession
from tinyinfer.errors import FeedError
from tinyinfer.wasm_backend import tinf

SIZES = (9, 40, 5)
TOGETHER = tinf_of(*map(conv_graph, SIZES))
ALONE = tinf_of(conv_graph(SIZES[0]))


def test_constants_that_depend_on_the_shape(engine: str) -> None:
    """The mean divides by a constant that each plan has for itself."""
    session = InferenceSession(TOGETHER, engine)
    for size in (40, 9, 5, 40):
        feeds = {"x": np.random.default_rng(size).standard_normal((1, 4, size, size)).astype(np.float32)}
        actual = session.run(feeds)
        for name, expected in reference(conv_graph(size), feeds).items():
            assert_same_bits(actual[name], expected, f"{name} at {size}×{size} under {engine}")


def test_weights_are_stored_once() -> None:
    together = tinf.decode(TOGETHER)
    assert len({plan.weights_offset for plan in together.plans}) == 1
    assert len({plan.arena_offset for plan in together.plans}) == 1
    sizes = [sum(w.data.nbytes for w in tinf.decode(blob).plans[0].weights) for blob in (ALONE, TOGETHER)]
    assert sizes[1] - sizes[0] == 64 * (len(SIZES) - 1), "one padded constant for each further shape"


def test_a_shape_without_a_plan_is_an_error() -> None:
    session = InferenceSession(TOGETHER)
    with pytest.raises(FeedError, match=r"input 'x' has shape \[1, 4, 6, 6\]"):
        session.run({"x": np.zeros((1, 4, 6, 6), np.float32)})
