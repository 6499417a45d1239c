"""ONNX's own node tests: every one whose model imports gives the expected outputs, within the test's own tolerance."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.onnx_models import imported
from tinyinfer.errors import ShapeError, UnsupportedError
from tinyinfer.types import Array

# At least so many import and agree; the number only ever rises.
LEAST = 698

# Where we hold to the specification's text rather than to the expected output beside the test.
DIFFERENT = {
    "test_resize_downsample_scales_linear_align_corners": "its length_resized is size · scale, not the output's length",
    "test_resize_downsample_scales_cubic_align_corners": "its length_resized is size · scale, not the output's length",
}

# ShapeErrors that mean "not supported here", not "does not fit".
LIMITS = re.compile(r"only 1-D and 2-D ")


def cases() -> list[Any]:
    """The node tests on arrays; those on sequences, maps and optionals are left out."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = collect_testcases(None)
    return [c for c in every if c.model is not None and c.data_sets and _on_arrays(c.data_sets[0])]


def _on_arrays(data_set: tuple[list[Any], list[Any]]) -> bool:
    return all(isinstance(value, (np.ndarray, np.generic)) for side in data_set for value in side)


def outputs(proto: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    """The imported model's outputs. Inputs that must be known when compiling (shapes, axes, …) become initializers."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    varying = dict(feeds)
    while True:
        try:
            return imported(fixed, varying)
        except UnsupportedError as error:
            named = re.search(r"is '([^']*)', which is only known at run time", str(error))
            if named is None or named[1] not in varying:
                raise
            fixed.graph.initializer.append(numpy_helper.from_array(varying.pop(named[1]), named[1]))


def agrees(actual: Array, expected: Array, case: Any) -> bool:
    same_type = actual.shape == expected.shape and actual.dtype == expected.dtype
    return same_type and np.allclose(actual, expected, rtol=case.rtol, atol=case.atol, equal_nan=True)


def test_the_node_tests_of_onnx(capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for case in cases():
        given, expected = case.data_sets[0]
        names = [info.name for info in case.model.graph.input]
        try:
            actual = outputs(case.model, dict(zip(names, map(np.asarray, given))))
        except UnsupportedError:
            counts["unsupported"] += 1
            continue
        except ShapeError as error:
            if not LIMITS.search(str(error)):
                raise
            counts["unsupported"] += 1
            continue
        if all(agrees(a, np.asarray(e), case) for a, e in zip(actual.values(), expected)):
            counts["agree"] += 1
        elif case.name in DIFFERENT:
            counts["different on purpose"] += 1
        else:
            wrong.append(case.name)
    with capsys.disabled():
        print("\nONNX node tests: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    assert not wrong
    assert counts["agree"] >= LEAST
