"""Cases for matrix products."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.cases.conv import CLAMPS
from tests.differential import Case
from tests.strategies import near, seeds, shapes, tensors


@st.composite
def matmul(draw: st.DrawFn, constant: bool) -> Case:
    """Batches of either operand may be missing or 1; a constant B is one matrix. Y is not empty, but K may be 0."""
    m, k, n = draw(near(4, 5, 6)), draw(near(4, 8, least=0)), draw(near(8, 12, 36, most=76))
    if not constant:
        m, k = max(m, 2), max(k, 1)
    batch = draw(shapes(2, most=3))
    left, right = (
        tuple(d if draw(st.integers(0, 3)) else 1 for d in batch[draw(st.integers(0, len(batch))) :]) for _ in range(2)
    )
    if constant:
        right = (1,) * len(right)
    a, b = draw(tensors((*left, m, k))), draw(tensors((*right, k, n)))
    bias = draw(st.none() | tensors((n,)))
    residual = draw(st.none() | tensors((*_broadcast(left, right), m, n)))
    constants = frozenset({1, 2} if constant else {0} if draw(st.booleans()) else ())
    return Case("MatMul", (a, b, bias, residual), {"clamp": draw(CLAMPS)}, constants)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(len(a), len(b))
    return tuple(max(pair) for pair in zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b))


@st.composite
def heads(draw: st.DrawFn, vector: bool) -> Case:
    """Several matrices of B, each multiplied by rows of its own or by the same ones; one row of each if `vector`."""
    heads, batch = draw(st.integers(2, 3)), draw(st.sampled_from([(), (1,), (2,)]))
    m, k, n = draw(st.just(1) if vector else near(4, 5, 6, least=2)), draw(near(4, 8)), draw(near(8, 12, 16))
    a = draw(tensors((*batch, heads if draw(st.booleans()) else 1, m, k)))
    b, bias = draw(tensors((heads, k, n))), draw(st.none() | tensors((n,)))
    shared = draw(st.sampled_from([(*batch, heads), (heads,), (1, 1), ()]))
    residual = draw(st.none() | tensors((*shared[-len(batch) - 1 :], m, n)))
    constants = frozenset({1} if not vector and draw(st.booleans()) else ())
    return Case("MatMul", (a, b, bias, residual), {"clamp": draw(CLAMPS)}, constants)


@st.composite
def nbits(draw: st.DrawFn, values: int) -> Case:
    """Weights that take so many values, anywhere among the bytes; one row or several of A."""
    m, k, n = draw(st.just(1) | near(4, 8)), 2 * draw(near(4, 8, 16)), draw(near(8, 16))
    block = draw(st.sampled_from([2, 6, 16, 32, k]))
    batch = draw(st.sampled_from([(), (1,), (3,)]))
    rng = np.random.default_rng(draw(seeds()))
    least = draw(st.integers(0, 256 - values))
    weights, zeros = (rng.integers(least, least + values, shape) for shape in ((k, n), (-(-k // block), n)))
    weights[:, 0], zeros[0, 0] = least + np.arange(k) % values, least + draw(st.integers(0, values - 1))
    weights[0, 0], weights[1, 0] = least, least + values - 1
    scales = draw(tensors(zeros.shape))
    bias, residual = draw(st.none() | tensors((n,))), draw(st.none() | tensors((*batch, m, n)))
    operands = (draw(tensors((*batch, m, k))), weights.astype(np.uint8), scales, zeros.astype(np.uint8), bias, residual)
    constants = frozenset({1, 2, 3, 4} if draw(st.booleans()) else {1, 2, 3})
    return Case("MatMulNBits", operands, {"block_size": block, "clamp": draw(CLAMPS)}, constants)


CASES = {
    "f32_gemm_x8": nbits(256),
    "f32_gemm_x4": nbits(16),
    "f32_gemm": matmul(True),
    "f32_batched_gemm": heads(False),
    "f32_batched_gemv": heads(True),
    "f32_pack": matmul(False),
}
