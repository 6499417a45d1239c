"""MatMul and Gemm in every form, against ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from tests.onnx_models import assert_close, imported, oracle, single
from tinyinfer import frontend
from tinyinfer.errors import ShapeError

RNG = np.random.default_rng(1)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("constants", [(), (1,)])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)), ((4,), (2, 4, 5)), ((2, 3, 4), (4,)), ((3, 0), (0, 2)),
    ],
)  # fmt: skip
def test_matmul(a: tuple[int, ...], b: tuple[int, ...], constants: tuple[int, ...]) -> None:
    proto, feeds = single("MatMul", [normal(*a), normal(*b)], constants)
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6)


@pytest.mark.parametrize("c", [None, (5,), (1, 5), (3, 5), (3, 1), (1,), (), (1, 1)])
@pytest.mark.parametrize(
    "attrs", [{}, {"transA": 1}, {"transB": 1}, {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}, {"beta": 0.0}]
)
def test_gemm(c: tuple[int, ...] | None, attrs: dict) -> None:
    a = normal(4, 3) if attrs.get("transA") else normal(3, 4)
    b = normal(5, 4) if attrs.get("transB") else normal(4, 5)
    bias = [] if c is None else [normal(*c)]
    for constants in ([1, *([2] if bias else [])], []):
        proto, feeds = single("Gemm", [a, b, *bias], constants, **attrs)
        assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6)


def test_gemm_with_constant_weights_is_one_node() -> None:
    """Transpose and scales fold into the weights; the bias joins the product."""
    proto, _ = single("Gemm", [normal(3, 4), normal(5, 4), normal(5)], [1, 2], transB=1, alpha=0.5, beta=2.0)
    graph = frontend.load(proto)
    assert [(node.op, node.name, node.output.name) for node in graph.nodes] == [("MatMul", "node", "y")]


def test_gemm_of_a_column_bias_and_one_column() -> None:
    proto, feeds = single("Gemm", [normal(3, 4), normal(4, 1), normal(3, 1)], [1, 2])
    assert_close(imported(proto, feeds), oracle(proto, feeds), 1e-6)


@pytest.mark.parametrize(
    ("op", "a", "b", "message"),
    [
        ("MatMul", (3, 4), (3, 4), "inner dimensions must be equal"),
        ("MatMul", (), (4,), "expected rank ≥ 1"),
        ("Gemm", (2, 3, 4), (4, 5), r"A is float32\[2×3×4\]; expected rank 2"),
    ],
)
def test_shapes_that_do_not_fit(op: str, a: tuple[int, ...], b: tuple[int, ...], message: str) -> None:
    proto, _ = single(op, [normal(*a), normal(*b)])
    with pytest.raises(ShapeError, match=rf"test: node node \({op}\): .*{message}"):
        frontend.load(proto)
    if op == "Gemm":
        proto, _ = single(op, [normal(3, 4), normal(4, 5), normal(2, 3, 5)])
        with pytest.raises(ShapeError, match=r"C is .* does not broadcast"):
            frontend.load(proto)
