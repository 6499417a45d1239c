"""Kernel ≡ reference, bit for bit: every row of KERNELS on every engine and tier."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import CASES
from tests.conftest import ENGINES
from tests.differential import check_case
from tinyinfer.wasm_backend import engines
from tinyinfer.wasm_backend.kernel_module import BUILD, MANIFEST, TIERS, load_kernels
from tinyinfer.wasm_backend.kernels import KERNELS


def test_every_kernel_is_a_row_an_export_and_a_case() -> None:
    assert set(KERNELS) == set(load_kernels().signatures) == set(CASES)


def runs() -> list[tuple[str, str, str]]:
    """Kernel, engine and tier; what has the same code on the portable tier, which is proven there, is left out.

    Equal sizes are equal code: a fused multiply-add is shorter than product and sum (tests/test_build.py).
    """
    load_kernels()
    manifest = json.loads((BUILD / MANIFEST).read_text(encoding="utf-8"))
    portable, *_ = sizes = [manifest["tiers"][tier]["code"] for tier in TIERS]
    return [
        (kernel, engine, tier)
        for kernel in sorted(CASES)
        for engine in ENGINES
        for tier, code in zip(TIERS, sizes)
        if tier in engines.ENGINES[engine].tiers and (code is portable or code[kernel] != portable[kernel])
    ]


@pytest.mark.parametrize(("kernel", "engine", "tier"), runs())
def test_kernel_equals_reference(kernel: str, engine: str, tier: str) -> None:
    @given(CASES[kernel], st.integers(0, 2**20))
    def check(case, split):
        check_case(case, engine, kernel, split, tier)

    check()


@pytest.mark.skipif("wasmtime" not in ENGINES, reason="only wasmtime has a shared memory")
@pytest.mark.parametrize("kernel", sorted(CASES))
def test_any_number_of_threads_gives_the_same_bits(kernel: str) -> None:
    """Under wasmtime's shared memory; every call is cut as finely as it can be, by rows or by columns."""

    @settings(max_examples=8)
    @given(CASES[kernel], st.integers(2, 3))
    def check(case, threads):
        check_case(case, "wasmtime", kernel, threads=threads)

    check()
