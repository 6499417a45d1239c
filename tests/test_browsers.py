"""The law in every browser: kernels have the bits of the reference, whichever of its compilers made their code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

from tests.browsers import BROWSERS, COMPILERS, Visitor, launch_of, visiting
from tests.cases import CASES
from tests.differential import Case, assert_same_bits, shared
from tests.models import reference
from tests.website import Site, library, run_in_browser, serve
from tinyinfer import compiler, registry
from tinyinfer.graph import Graph
from tinyinfer.types import Array, DType, TensorType
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes
from tinyinfer.wasm_backend.kernels import KERNELS

EXAMPLES = 4
"""Cases of each kernel. What is rare is for the engines in Python; this is about compilers."""

FEATURES = 'async () => (await import("/index.js")).features()'


@pytest.fixture(scope="module", params=[(name, only) for name in BROWSERS for only in COMPILERS], ids="-".join)
def visitor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Visitor, Site]]:
    """A browser that has one compiler only, on a page of a site with all kernels."""
    name, only = request.param
    folder = tmp_path_factory.mktemp(f"{name}-{only}")
    with serve(library()) as site, visiting(name, site, launch_of(name, folder, only), folder) as running:
        yield running, site


def examples(cases: SearchStrategy[Case]) -> list[Case]:
    found: list[Case] = []

    @settings(max_examples=EXAMPLES, phases=[Phase.generate], database=None, derandomize=True)
    @given(cases)
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


@cache
def everything() -> tuple[Graph, dict[str, Array]]:
    """A graph of nodes that have nothing to do with each other, and its feeds; between them they need every kernel."""
    builder = registry.builder("everything")
    feeds: dict[str, Array] = {}
    for kernel in sorted(CASES):
        for number, case in enumerate(examples(CASES[kernel])):
            values = []
            for i, array in enumerate(case.inputs):
                name = f"{kernel} {number} {i}"
                if array is None:
                    values.append(None)
                elif i in case.constants:
                    values.append(builder.constant(array, name))
                else:
                    values.append(builder.input(name, TensorType(DType.of(array.dtype), array.shape)))
                    feeds[name] = array
            for i, value in enumerate(builder.add(case.op, *values, **case.attrs)):
                builder.output(f"{kernel} {number} → {i}", value)
    return builder.build(), feeds


@cache
def model() -> bytes:
    """Their plan, its steps cut wherever they can be."""
    plan = shared(compiler.lower(everything()[0]))
    assert {step.kernel for step in plan.steps} == set(KERNELS)
    return tinf.encode(tinf.ModelFile("everything", (plan,), hashes(), {}))


@cache
def expected(tier: str) -> dict[str, Array]:
    return reference(*everything(), tier)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("tier", TIERS)
def test_every_kernel_has_the_bits_of_the_reference(tier: str, threads: int, visitor: tuple[Visitor, Site]) -> None:
    """On two threads where they can share memory; where a tier cannot run, that is said."""
    page, site = visitor
    site.files["model.tinf"] = model()
    _, feeds = everything()

    def run() -> dict[str, Array]:
        # What some browsers compile thoroughly has been called before.
        return run_in_browser(page, site, "/model.tinf", feeds, runs=2, cache=False, tier=tier, threads=threads)

    if tier == "relaxed" and not page.evaluate(FEATURES)["relaxedSimd"]:
        with pytest.raises(AssertionError, match="EngineError: this browser lacks relaxed SIMD"):
            run()
        return
    outputs = run()
    assert outputs.keys() == expected(tier).keys()
    for name, array in expected(tier).items():
        assert_same_bits(outputs[name], array, f"{page.name}, {tier}, {threads} threads: {name}")
