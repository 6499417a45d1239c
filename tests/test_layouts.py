"""Plan ≡ reference where the first operand is stored channels-last."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.cases import CASES
from tests.differential import Case, assert_same_bits, feeds_of, run_hostile
from tinyinfer import compiler, registry
from tinyinfer.graph import Graph
from tinyinfer.ref import interpreter
from tinyinfer.types import DType, TensorType

KERNELS = ["f32_add", "f32_clip", "f32_gemm", "f32_reduce_sum", "f32_resize", "x32_copy"]


def after_a_pooling(case: Case) -> Graph:
    """A graph of this node whose first operand comes out of a pooling that keeps every element."""
    builder = registry.builder("case")
    values = [
        None
        if a is None
        else builder.constant(a, f"c{i}")
        if i in case.constants
        else builder.input(f"x{i}", TensorType(DType.of(a.dtype), a.shape))
        for i, a in enumerate(case.inputs)
    ]
    unit, none = (1,) * (case.inputs[0].ndim - 2), (0, 0) * (case.inputs[0].ndim - 2)
    first = builder.add1("MaxPool", values[0], kernel_shape=unit, strides=unit, dilations=unit, pads=none)
    for i, value in enumerate(builder.add(case.op, first, *values[1:], **case.attrs)):
        builder.output(f"y{i}", value)
    return builder.build()


@pytest.mark.parametrize("kernel", KERNELS)
def test_channels_last_operand(kernel: str, engine: str) -> None:
    @settings(suppress_health_check=list(HealthCheck))  # only rank 3 and 4 can be pooled
    @given(CASES[kernel], st.integers(0, 2**20))
    def check(case, split):
        x = case.inputs[0]
        assume(x.dtype == np.float32 and x.ndim in (3, 4) and 0 not in case.constants)
        graph, feeds = after_a_pooling(case), feeds_of(case)
        actual = run_hostile(compiler.lower(graph), feeds, engine, 0xFF, split)
        for name, expected in interpreter.run(graph, feeds, registry.reference_of).items():
            assert_same_bits(actual[name], expected, f"{case}: output {name} under {engine}")

    check()
