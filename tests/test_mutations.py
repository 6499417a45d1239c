"""A model that was damaged is compiled or refused in our own words, in little memory and time."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests import confined
from tests.conftest import PROFILE
from tests.mutations import damaged
from tests.onnx_models import model
from tests.test_compile_time import (
    a_tree,
    branches,
    bytes_between_floats,
    chain,
    constants_that_fold,
    embeddings,
    many_parts,
)
from tests.test_frontend_reading import SAMPLE
from tests.test_limits import functions
from tinyinfer import compiler, frontend
from tinyinfer.errors import TinyInferError, UnsupportedError
from tinyinfer.frontend.converters import CONVERTERS

MUTANTS = 50_000 if PROFILE == "fuzz" else 1_000
AT_ONCE = 500


def seed_models() -> list[bytes]:
    """Compilable models that have every operator, made of ONNX's own node tests; operands that decide about shapes and
    every second one of the others' small operands are constants."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    made, seen = [SAMPLE], dict.fromkeys(CONVERTERS, 0)
    for case in cases:
        if case.model is None or not case.data_sets or len(case.model.SerializeToString()) > 20_000:
            continue
        ops = {node.op_type for node in case.model.graph.node} & seen.keys()
        if not ops or min(seen[op] for op in ops) >= 3:
            continue
        for constant in (True, False):
            blob = _fixed(case.model, case.data_sets[0][0], all_but_first=constant)
            if blob is not None:
                made.append(blob)
                for op in ops:
                    seen[op] += 1
                break
    return made


def _fixed(proto: onnx.ModelProto, given: list[object], all_but_first: bool) -> bytes | None:
    """The model with operands as constants, if it compiles."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    for info, array in list(zip(proto.graph.input, given, strict=False))[1:] if all_but_first else []:
        if not isinstance(array, (np.ndarray, np.generic)):
            return None
        fixed.graph.initializer.append(numpy_helper.from_array(np.asarray(array), info.name))
    blob = fixed.SerializeToString()
    try:
        compiler.compile(blob)  # type: ignore[arg-type]
    except TinyInferError:
        return None
    return blob


def small_seeds() -> list[bytes]:
    """A few models, of many kinds, in no time."""
    makers = (chain, many_parts, embeddings, bytes_between_floats, branches, constants_that_fold, a_tree)
    return [SAMPLE, *(make(2) for make in makers), functions([["f1"] * 2, []]).SerializeToString()]


def test_an_operator_that_is_not_converted_and_has_no_operands() -> None:
    node = helper.make_node("Loop", ["x", "lost"], ["y"])
    node.op_type = "RandomNormal"
    with pytest.raises(UnsupportedError, match="RandomNormal"):
        frontend.load(model([node], {"x": (TensorProto.FLOAT, [2])}))


@pytest.mark.parametrize("part", range(MUTANTS // AT_ONCE))
def test_a_damaged_model_is_a_plan_or_an_error_of_ours(part: int, seeds: list[bytes]) -> None:
    blobs = [damaged(seeds[n % len(seeds)], n) for n in range(part * AT_ONCE, (part + 1) * AT_ONCE)]
    outcomes = confined.compile_all(blobs)
    foreign = [(part * AT_ONCE + n, o.text) for n, o in enumerate(outcomes) if o.kind == "foreign"]
    assert not foreign
    assert sum(o.kind == "plan" for o in outcomes) > AT_ONCE // 20
    assert sum(o.kind != "plan" for o in outcomes) > AT_ONCE // 5


@pytest.fixture(scope="module")
def seeds() -> list[bytes]:
    return small_seeds() + (seed_models() if PROFILE == "fuzz" else [])
