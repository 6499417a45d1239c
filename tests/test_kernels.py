"""Kernel ≡ reference, bit for bit: every row of KERNELS on every engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import CASES
from tests.differential import check_case
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.wasm_backend.kernels import KERNELS


def test_every_kernel_is_a_row_an_export_and_a_case() -> None:
    assert set(KERNELS) == set(load_kernels().signatures) == set(CASES)


@pytest.mark.parametrize("kernel", sorted(CASES))
def test_kernel_equals_reference(kernel: str, engine: str) -> None:
    @given(CASES[kernel], st.integers(0, 2**20))
    def check(case, split):
        check_case(case, engine, kernel, split)

    check()
