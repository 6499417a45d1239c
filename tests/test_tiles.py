"""Tiles: weights larger than a cache, few rows by many columns, and feature maps of all widths."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import ENGINES
from tests.differential import Case, assert_same_bits, check_case, describe, run_hostile
from tinyinfer import compiler, registry
from tinyinfer.ref import interpreter
from tinyinfer.types import Array, Clamp, DType, TensorType
from tinyinfer.wasm_backend import engines
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels
from tinyinfer.wasm_backend.memory import PAGE

RUNS = [(engine, tier) for engine in ENGINES for tier in TIERS if tier in engines.ENGINES[engine].tiers]
RANDOM = np.random.default_rng(7)
LARGE = 2 * 1024 * 1024  # bytes of weights from which the tiles of a convolution come in blocks


def random(*shape: int) -> Array:
    return RANDOM.standard_normal(shape, np.float32)


def product(m: int, k: int, n: int) -> Case:
    inputs = (random(m, k), random(k, n), random(n), random(m, n))
    return Case("MatMul", inputs, {"clamp": Clamp(-30.0, 30.0)}, frozenset({1, 2}))


def convolution(channels: int, filters: int, height: int, width: int, stride: int = 1, **attributes: bool) -> Case:
    out = [(extent - 1) // stride + 1 for extent in (height, width)]
    inputs = (random(2, channels, height, width), random(filters, channels, 3, 3), random(filters))
    attrs = {"strides": (stride,) * 2, "pads": (1,) * 4, "dilations": (1, 1), "group": 1, "clamp": Clamp(-99.0, 99.0)}
    return Case("Conv", (*inputs, random(2, filters, *out)), {**attrs, **attributes}, frozenset({1, 2}))


# Weights come in groups of columns, rows in blocks of about 832 KB: 230 rows of 2050 are three, and either half two.
@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize("rows", [13, 80, 230])
@pytest.mark.parametrize(("k", "n"), [(2050, 261), (515, 390), (200, 600)])
def test_large_product(rows: int, k: int, n: int, engine: str, tier: str) -> None:
    check_case(product(rows, k, n), engine, "f32_gemm", rows // 2, tier)


# Tiles touch what lies behind the group of panels that they use, 128 KiB and more: few rows take long steps, many rows
# arrive early.
@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize("rows", [4, 6, 7, 49, 700])
@pytest.mark.parametrize(("k", "n"), [(1024, 33), (1024, 36), (1024, 48), (768, 145), (4100, 17), (200, 393)])
@pytest.mark.parametrize("behind", [0, (1 << 17) - 64, 1 << 17, 9 << 14])
def test_tiles_touch_nothing_outside_of_memory(k: int, n: int, rows: int, behind: int, engine: str, tier: str) -> None:
    """Memory ends so many bytes behind the weights. All numbers are small and whole: sums in any order are exact."""
    a, b = RANDOM.integers(-9, 10, (rows, k)).astype(np.float32), RANDOM.integers(-9, 10, n).astype(np.float32)
    w = RANDOM.integers(-9, 10, (k, n)).astype(np.float32)
    columns = -(-n // 8) * 8
    panels = np.pad(w, ((0, 0), (0, columns - n))).reshape(k, -1, 8).transpose(1, 0, 2)
    parts = {"b": np.pad(b, (0, columns - n)), "a": a, "c": np.zeros((rows, n), np.float32), "w": panels}
    size = 4096 + sum(part.nbytes + 64 for part in parts.values()) + behind
    size = -(-size // PAGE) * PAGE
    (running,) = engines.create(engine, load_kernels(tier), size)
    places, at = {"w": size - behind - panels.nbytes}, 4096
    for name, part in parts.items():
        if name != "w":
            places[name], at = at, at + part.nbytes + 64
        running.memory[places[name] :][: part.nbytes] = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
    shape = {"k": k, "n": n, "lda": 4 * k, "ldc": 4 * n, "m0": 0, "m1": rows}
    args = {**places, **shape, "r": 0, "lo": -np.inf, "hi": np.inf}
    running.kernel("f32_gemm")(*(args[p.name] for p in load_kernels(tier).signature("f32_gemm")))
    c = running.memory[places["c"] :][: 4 * rows * n].view(np.float32).reshape(rows, n)
    assert_same_bits(c, a @ w + b, f"{engine} ({tier})")


@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize("rows", [4, 5, 17, 110])
def test_large_product_in_the_place_of_its_residual(rows: int, engine: str, tier: str) -> None:
    """A tile reads its residual before it stores, also where two of its rows are the same."""
    builder = registry.builder("sum")
    x, r = (builder.input(name, TensorType(DType.FLOAT, (rows, n))) for name, n in (("x", 2050), ("r", 50)))
    weights = builder.constant(random(2050, 50), "w")
    builder.output("y", builder.add("MatMul", x, weights, None, builder.add("Neg", r)[0])[0])
    graph, feeds = builder.build(), {"x": random(rows, 2050), "r": random(rows, 50)}
    plan = compiler.lower(graph)
    names = [parameter.name for parameter in load_kernels().signature("f32_gemm")]
    args = dict(zip(names, plan.steps[-1].args))
    assert args["r"] == args["c"]
    expected = interpreter.run(graph, feeds, registry.reference_of, tier)["y"]
    assert_same_bits(run_hostile(plan, feeds, engine, 0xFF, 6, tier)["y"], expected, describe(plan))


@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize(("size", "stride"), [(4, 1), (13, 1), (13, 2)])
def test_large_convolution(size: int, stride: int, engine: str, tier: str) -> None:
    case = convolution(448, 135, size, size - 1, stride)
    assert case.inputs[1] is not None
    assert case.inputs[1].nbytes > LARGE
    check_case(case, engine, "f32_conv", size // 2, tier)


# Blocks are of 12 tiles with 1056 channels, and two images of 9 × 7 have 40.
@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize(("channels", "filters", "height", "width"), [(1056, 9, 9, 7), (20, 21, 26, 25)])
def test_minimal_filtering(channels: int, filters: int, height: int, width: int, engine: str, tier: str) -> None:
    check_case(convolution(channels, filters, height, width, winograd=True), engine, "f32_winograd", height, tier)


@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 16, 17, 20])
@pytest.mark.parametrize("columns", [8, 24, 32, 41, 63, 72])
def test_rows_left_over(rows: int, columns: int, engine: str, tier: str) -> None:
    check_case(product(rows, 13, columns), engine, "f32_gemm", 0, tier)


def depthwise(channels: int, height: int, width: int, stride: int = 1, pads: tuple[int, ...] = (1, 1, 1, 1)) -> Case:
    out = [(n + before + after - 3) // stride + 1 for n, before, after in zip((height, width), pads, pads[2:])]
    inputs = (
        random(2, channels, height, width),
        random(channels, 1, 3, 3),
        random(channels),
        random(2, channels, *out),
    )
    attrs = {"strides": (stride,) * 2, "pads": pads, "dilations": (1, 1), "group": channels, "clamp": Clamp(-3.0, 3.0)}
    return Case("Conv", inputs, attrs, frozenset({1, 2}))


@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 0, 0, 0), (2, 2, 2, 2), (0, 0, 1, 1), (0, 3, 0, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("columns", [*range(1, 15), 16, 29])
def test_depthwise_tiles(columns: int, stride: int, pads: tuple[int, ...], engine: str, tier: str) -> None:
    """Seven, five or three pixels; the last tile of a row may begin earlier; wide padding is left to single pixels."""
    width = max((columns - 1) * stride + 3 - pads[1] - pads[3], 1)
    check_case(depthwise(5, 4, width, stride, pads), engine, "f32_dwconv", 3, tier)


@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize(("height", "width"), [(70, 5), (33, 6), (6, 9)])
def test_depthwise_of_tall_maps(height: int, width: int, engine: str, tier: str) -> None:
    """Two images whose work is cut in the second one."""
    check_case(depthwise(6, height, width), engine, "f32_dwconv", height + 3, tier)


@pytest.mark.parametrize(("engine", "tier"), RUNS)
@pytest.mark.parametrize("width", [3, 4, 5, 6, 11, 12, 13, 14, 17])
def test_depthwise_in_place(width: int, engine: str, tier: str) -> None:
    """A residual that the result replaces is added once to every pixel, also where tiles would overlap."""
    case = depthwise(8, 3, width)
    x, w, bias, _ = (a for a in case.inputs if a is not None)
    builder = registry.builder("in place")
    pixels = builder.input("x", TensorType(DType.FLOAT, x.shape))
    weights = builder.constant(w, "w"), builder.constant(bias, "b")
    (residual,) = builder.add("Conv", pixels, *weights, **case.attrs)
    (y,) = builder.add("Conv", pixels, *weights, residual, **case.attrs)
    builder.output("y", y)
    graph = builder.build()
    plan = compiler.lower(graph)
    names = [parameter.name for parameter in load_kernels().signature("f32_dwconv")]
    *_, args = (dict(zip(names, step.args)) for step in plan.steps if step.kernel == "f32_dwconv")
    assert args["r"] == args["y"]
    feeds = {"x": x}
    expected = interpreter.run(graph, feeds, registry.reference_of, tier)["y"]
    assert_same_bits(run_hostile(plan, feeds, engine, 0xFF, 1, tier)["y"], expected, f"{engine} ({tier})")
