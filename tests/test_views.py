"""Plan ≡ reference where operands are views and results are parts of larger tensors, for every kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cases import CASES
from tests.conftest import PROFILE
from tests.differential import assert_same_bits, run_hostile
from tests.views import among_views
from tinyinfer import compiler, registry
from tinyinfer.ref import interpreter
from tinyinfer.types import DType, TensorType

EXAMPLES = {"dev": 3, "fuzz": 2000}.get(PROFILE, 5)
"""For each kernel: few, since there are many kernels, and what views are made of is the same for all."""


@pytest.mark.parametrize("kernel", sorted(CASES))
def test_operands_and_results_may_be_views(kernel: str, engine: str) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(CASES[kernel].flatmap(among_views), st.integers(0, 2**20), st.sampled_from([1, 1, 2, 3]))
    def check(case, split, threads):
        graph, feeds = case
        plan = compiler.lower(graph)
        actual = run_hostile(plan, feeds, engine, 0xFF, split, threads=threads if engine == "wasmtime" else 1)
        for name, expected in interpreter.run(graph, feeds, registry.reference_of).items():
            what = f"output {name} under {engine} of\n" + "\n".join(map(str, graph.nodes))
            assert_same_bits(actual[name], expected, what)

    check()


@pytest.mark.parametrize(
    ("left", "right"), [((2, 1), (1, 3)), ((1, 2), (2, 3)), ((2, 1, 2), (2, 2, 9)), ((1, 1), (1, 2))]
)
@pytest.mark.parametrize("step", [-1, -2])
def test_the_right_matrix_of_a_product_has_its_columns_backwards(left, right, step, engine):
    """Packed when running, or read where it is by a single row."""
    builder, n = registry.builder("case"), right[-1]
    wide = (*right[:-1], (n - 1) * -step + 1)
    feeds = {name: np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)
             for name, shape in (("a", left), ("b", wide))}  # fmt: skip
    a, b = (builder.input(name, TensorType(DType.FLOAT, x.shape)) for name, x in feeds.items())
    starts, steps = (0,) * (len(right) - 1) + (wide[-1] - 1,), (1,) * (len(right) - 1) + (step,)
    backwards = builder.add1("Slice", b, starts=starts, sizes=right, steps=steps)
    builder.output("y", builder.add1("MatMul", a, backwards))
    actual = run_hostile(compiler.lower(builder.build()), feeds, engine, 0xFF, 1)
    np.testing.assert_array_equal(actual["y"], feeds["a"] @ feeds["b"][..., ::step])
