"""Products of bytes against exact integers: sums and biases that int32 does not hold, extreme scales and zero points.

The expected results are computed here, sums in int64 and what follows in float64. Integers and floats may differ from
them by a quantum, and floats by what their additions round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from tests.commands import cells
from tests.commands import run as command
from tests.onnx_models import model, run
from tests.strategies import seeds
from tinyinfer import frontend, passes
from tinyinfer.equivalence import compare
from tinyinfer.graph import Graph
from tinyinfer.types import Array

S = np.float32
PRODUCTS = ("MatMul", "Conv", "ConvTranspose")


def node(op: str, inputs: str, output: str, **attrs: Any) -> Any:
    return helper.make_node(op, inputs.split(), [output], name=op.lower(), **attrs)


def between_quantisations(op: str, constants: dict[str, Array], x: Array, axis: int, **attrs: Any) -> Any:
    """Dequantise x and w, multiply, add a bias where there is one, quantise."""
    product = node(op, "xf wf" if op == "MatMul" or "bias" not in constants else "xf wf bias", "p", **attrs)
    added = op == "MatMul" and "bias" in constants
    nodes = [
        node("DequantizeLinear", "x xs xz", "xf"),
        node("DequantizeLinear", "w ws wz", "wf", axis=axis),
        product,
        *([node("Add", "p bias", "s")] if added else []),
        node("QuantizeLinear", f"{'s' if added else 'p'} ys yz", "y"),
    ]
    return model(nodes, {"x": x}, ("y",), constants, 19)


def sums(op: str, x: Array, w: Array) -> Array:
    """Σ x·w over int64 with padding of 1: a product of matrices, or a convolution by 3×3 filters, stride 1."""
    if op == "MatMul":
        return np.asarray(x @ w)
    if op == "ConvTranspose":
        w = w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, w))


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, Array], Array, int]:
    """An operator, its constants, its activations, and the axis of the weights that counts filters."""
    op, rng = draw(st.sampled_from(PRODUCTS)), np.random.default_rng(draw(seeds()))
    kinds = draw(st.tuples(*[st.sampled_from([np.uint8, np.int8])] * 3))
    x_info, w_info, y_info = (np.iinfo(kind) for kind in kinds)
    depth, filters = 5, 4
    axis = {"MatMul": 1, "Conv": 0, "ConvTranspose": 1}[op]
    shape = {"MatMul": (depth, filters), "Conv": (filters, depth, 3, 3), "ConvTranspose": (depth, filters, 3, 3)}[op]
    x = rng.integers(x_info.min, x_info.max + 1, (3, depth) if op == "MatMul" else (1, depth, 4, 5)).astype(kinds[0])
    count = draw(st.sampled_from([(), (filters,)]))

    def scale(shape: tuple[int, ...] = ()) -> Array:
        return np.asarray(10.0 ** rng.uniform(*draw(st.sampled_from([(-3, -1), (-12, 3), (-38, -20)])), shape), S)

    def zero(info: Any, shape: tuple[int, ...] = ()) -> Array:
        return np.asarray(rng.choice([info.min, info.max, (info.min + info.max) // 2], shape), info.dtype)

    w = rng.choice([w_info.min, w_info.max, 3], shape) if draw(st.booleans()) else rng.integers(-9, 9, shape) & 0x7F
    constants = {
        "w": w.astype(kinds[1]), "xs": scale(), "ws": scale(count), "ys": scale(),
        "xz": zero(x_info), "wz": zero(w_info, count), "yz": zero(y_info),
    }  # fmt: skip
    if draw(st.booleans()):
        size = np.float64(constants["ys"]) * draw(st.sampled_from([1, 100, 1e6]))
        constants["bias"] = np.asarray(np.clip(rng.uniform(-size, size, filters), -1e38, 1e38), S)
    return op, constants, x, axis


def expected(op: str, constants: dict[str, Array], x: Array, axis: int) -> tuple[Array, Array]:
    """Results before rounding, in quanta, and how many quanta float32 may lose on the way."""
    w, wz = (constants[name].astype(np.int64) for name in ("w", "wz"))
    centred = w - wz.reshape([-1 if i == axis and wz.size > 1 else 1 for i in range(w.ndim)])
    left = x.astype(np.int64) - constants["xz"].astype(np.int64)
    form = (-1,) if op == "MatMul" else (-1, 1, 1)
    ws, xs, ys = (constants[name].astype(np.float64) for name in ("ws", "xs", "ys"))
    unit = (xs * ws).reshape(form if ws.size > 1 else ())
    bias = constants.get("bias", np.zeros(1, S)).astype(np.float64).reshape(form)
    exact = (sums(op, left, centred) * unit + bias) / ys
    large = (sums(op, np.abs(left), np.abs(centred)) * unit + np.abs(bias)) / ys
    smallest = 2.0**-148 * 50 / ys  # products that float32 does not have with all bits
    return exact, large * 2.0**-23 * 50 + smallest


def check(graph: Graph, op: str, constants: dict[str, Array], x: Array, axis: int) -> None:
    exact, lost = expected(op, constants, x, axis)
    zero, info = int(constants["yz"]), np.iinfo(constants["yz"].dtype)
    y = run(graph, {"x": x})["y"].astype(np.float64)
    low, high = (np.clip(np.rint(exact + side * lost) + zero, info.min, info.max) for side in (-1, 1))
    assert y.shape == exact.shape
    assert ((y >= low - 1) & (y <= high + 1)).all(), f"{y} is not {exact} + {zero}\n{constants}\n{graph}"


@given(case=cases())
def test_products_are_right_whatever_weights_scales_zero_points_and_bias(
    case: tuple[str, dict[str, Array], Array, int],
) -> None:
    op, constants, x, axis = case
    pads = {} if op == "MatMul" else {"pads": [1, 1, 1, 1]}
    imported = frontend.load(between_quantisations(op, constants, x, axis, **pads))
    rewritten = passes.run(imported)
    for graph in (imported, rewritten):
        check(graph, op, constants, x, axis)
    assert compare(imported, rewritten, {"x": x}).deviations == []


def small(op: str, filters: int = 2, **constants: Any) -> tuple[Any, dict[str, Array], Array]:
    shape = {"MatMul": (3, filters), "Conv": (filters, 3, 3, 3), "ConvTranspose": (3, filters, 3, 3)}[op]
    found = {
        "xs": S(0.5), "xz": np.int8(0), "ws": S(0.01), "wz": np.int8(0), "ys": S(0.05), "yz": np.int8(0),
        "w": np.full(shape, 10, np.int8), **constants,
    }  # fmt: skip
    x = np.arange(3, dtype=np.int8).reshape((1, 3) if op == "MatMul" else (1, 3, 1, 1))
    pads = {} if op == "MatMul" else {"pads": [1, 1, 1, 1]}
    return between_quantisations(op, found, x, 1 if op != "Conv" else 0, **pads), found, x


@pytest.mark.parametrize("op", PRODUCTS)
@pytest.mark.parametrize(
    ("constants", "stays_float"),
    [
        ({"bias": np.array([5, -4.5], S)}, False),
        ({"bias": np.array([5, -4.5], S), "ws": S(7.843e-10)}, True),
        ({"bias": np.array([2**31 - 1, 0], S) * S(0.005)}, True),
        ({"bias": np.array([np.inf, 0], S)}, True),
        ({"bias": np.array([0.3, 0.1], S), "ws": S(0.5), "ys": S(0.01)}, True),
        ({"xs": S(1e-25), "ws": S(1e-25), "ys": S(1e-38)}, False),
    ],
    ids=["fits", "saturates", "leaves with the sums", "infinite", "rounds too far", "scales below float32"],
)
def test_what_does_not_fit_is_left_out_of_integers(op: str, constants: dict[str, Any], stays_float: bool) -> None:
    proto, found, x = small(op, **constants)
    graph = passes.run(frontend.load(proto))
    assert any(n.op in ("QLinearConv", "QLinearMatMul") for n in graph.nodes) != stays_float
    if np.isfinite(found.get("bias", np.zeros(1, S))).all():
        check(graph, op, found, x, 1 if op != "Conv" else 0)


@pytest.mark.parametrize(("rows", "stays_float"), [(33_025, False), (33_026, True)])
@pytest.mark.parametrize("quantised", [True, False])
def test_long_rows(rows: int, stays_float: bool, quantised: bool) -> None:
    constants = {
        "xs": S(2**-14), "xz": np.uint8(0), "ws": S(2**-10), "wz": np.uint8(0), "ys": S(1.0), "yz": np.uint8(0),
        "w": np.full((rows, 1), 255, np.uint8),
    }  # fmt: skip
    x = np.full((1, rows), 255, np.uint8)
    proto = between_quantisations("MatMul", constants, x, 1)
    if not quantised:
        del proto.graph.node[-1]
        proto.graph.output[0].name = "p"
    graph = passes.run(frontend.load(proto))
    assert any(n.op in ("QLinearMatMul", "MatMulInteger") for n in graph.nodes) != stays_float
    (y,) = run(graph, {"x": x}).values()
    exact = rows * 255 * 255 / 2**24
    assert abs(float(y[0, 0]) - exact) <= (1 if quantised else exact * 1e-3)


def test_rows_whose_weights_are_small_may_be_long() -> None:
    constants = {
        "xs": S(0.01), "xz": np.uint8(128), "ws": S(0.01), "wz": np.int8(0), "ys": S(1.0), "yz": np.uint8(0),
        "w": np.ones((40_000, 1), np.int8),
    }  # fmt: skip
    x = np.full((1, 40_000), 255, np.uint8)
    graph = passes.run(frontend.load(between_quantisations("MatMul", constants, x, 1)))
    assert [n.op for n in graph.nodes] == ["QLinearMatMul"]
    check(graph, "MatMul", constants, x, 1)


def test_two_variable_matrices_are_bounded_by_their_types() -> None:
    for rows, found in ((33_025, ["QLinearMatMul"]), (33_026, ["DequantizeLinear"] * 2 + ["MatMul", "QuantizeLinear"])):
        constants = {"xs": S(0.01), "xz": np.uint8(0), "ws": S(0.01), "wz": np.uint8(0), "ys": S(1), "yz": np.uint8(0)}
        shapes = {"x": np.zeros((1, rows), np.uint8), "w": np.zeros((rows, 1), np.uint8)}
        nodes = [
            node("DequantizeLinear", "x xs xz", "xf"), node("DequantizeLinear", "w ws wz", "wf"),
            node("MatMul", "xf wf", "p"), node("QuantizeLinear", "p ys yz", "y"),
        ]  # fmt: skip
        graph = passes.run(frontend.load(model(nodes, shapes, ("y",), constants, 19)))
        assert [n.op for n in graph.nodes] == found


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_sums_of_bytes_that_cancel_stay_float(op: str) -> None:
    """In float32, 255·10⁸ has no quanta."""
    constants = {"as": S(1e8), "bs": S(0.999e8), "ys": S(1.0), "z": np.uint8(0)}
    nodes = [
        node("DequantizeLinear", "a as z", "af"), node("DequantizeLinear", "b bs z", "bf"),
        node(op, "af bf", "p"), node("QuantizeLinear", "p ys z", "y"),
    ]  # fmt: skip
    bytes_ = {name: np.arange(256, dtype=np.uint8) for name in "ab"}
    graph = passes.run(frontend.load(model(nodes, bytes_, ("y",), constants, 19)))
    assert op in [n.op for n in graph.nodes]


def test_windows_too_large_for_int32_are_averaged_in_float() -> None:
    info = {"x": (2, [1, 1, 2902, 2903])}
    constants = {"s": S(0.5), "z": np.uint8(0)}
    attrs = {"domain": "com.microsoft"}
    proto = model([node("QLinearGlobalAveragePool", "x s z s z", "y", **attrs)], info, ("y",), constants, 19)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    graph = passes.run(frontend.load(proto))
    assert [n.op for n in graph.nodes] == ["DequantizeLinear", "AveragePool", "QuantizeLinear"]


@pytest.mark.parametrize("value", [0.5, -3.0, 1000.0, -np.inf])
def test_padding_is_a_byte_of_the_result(value: float) -> None:
    constants = {
        "xs": S(1.0),
        "xz": np.uint8(9),
        "ys": S(0.01),
        "yz": np.int8(3),
        "v": S(value),
        "pads": np.array([1, 2]),
    }
    nodes = [
        node("DequantizeLinear", "x xs xz", "xf"), node("Pad", "xf pads v", "p"), node("QuantizeLinear", "p ys yz", "y")
    ]  # fmt: skip
    x = np.arange(7, 12).astype(np.uint8)
    graph = passes.run(frontend.load(model(nodes, {"x": x}, ("y",), constants, 19)))
    assert "QuantizeLinear" not in [n.op for n in graph.nodes]
    padded = np.concatenate([[value], x.astype(np.float64) - 9, [value] * 2])
    assert run(graph, {"x": x})["y"].tolist() == np.clip(np.rint(padded / 0.01) + 3, -128, 127).tolist()


def test_inspect_says_which_product_stays_float_and_why(tmp_path: Any) -> None:
    proto, _, _ = small("Conv", bias=np.array([5, -4.5], S), ws=S(7.843e-10))
    path = tmp_path / "wide.onnx"
    path.write_bytes(proto.SerializeToString())
    out = command("inspect", path).stdout
    assert cells(out, "conv")[1:3] == ["Conv", "float"]
    assert "leave int32" in out
