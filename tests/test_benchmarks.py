"""The benchmark's arithmetic and its reports, on made-up measurements: nothing is timed here."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from benchmarks.chart import chart
from benchmarks.kernels import Entry, entries, rows
from benchmarks.models import macs
from benchmarks.report import markdown, ratio
from benchmarks.results import ColdStart, ModelResult, Results, Timing, Transfer, quantile
from tests.models import conv_graph, tiny_graph
from tinyinfer import compiler, registry
from tinyinfer.types import DType, TensorType

OURS, PEER, WORKER = "tinyinfer-simd128-1t", "onnxruntime-1t", "tinyinfer-simd128-worker-1t"


@pytest.fixture
def results() -> Results:
    """One model of 2 G MAC on a machine that makes 20 G MAC/s and reads 10 GB/s: no run takes less than 100 ms."""
    model = ModelResult("net", "Some Net", macs=2_000_000_000, weight_bytes=400_000_000)
    model.timings[OURS] = Timing([[120.0, 130.0, 125.0], [124.0, 126.0, 125.0]], [], 1e-6, [20e9] * 6)
    model.timings[WORKER] = Timing([[129.0, 131.0]], [127.0, 128.0], 1e-6, [20e9] * 2)
    model.timings[PEER] = Timing([[250.0, 250.0], [300.0, 300.0]], [], 1e-6, [20e9] * 4)
    model.cold[OURS] = ColdStart([40.0, 44.0, 42.0], [20.0, 21.0, 22.0])
    model.memory[OURS] = 12_000_000
    model.missing["tfjs-1t"] = "cannot do it\nfor a reason"
    return Results(
        "2020-01-02",
        "Chromium 1.2",
        "2 cores of Abacus",
        {"threads": [1], "effort": {"launches": 2, "rounds": 3}},
        titles={OURS: "TinyInfer", PEER: "onnxruntime-web", "tfjs-1t": "TF.js wasm", WORKER: "TinyInfer in a Worker"},
        limits={"1": {"mul_add": [18e9, 19e9, 17e9], "relaxed_madd": [20e9, 21e9, 19e9], "read": [10e9]}},
        models=[model],
        transfer={OURS: Transfer(50_000, 20_000, 17_000)},
    )


def test_quantiles_are_interpolated():
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([0, 10], 0.1) == pytest.approx(1)
    assert quantile([7], 0.9) == 7


def test_bound_is_the_slower_of_arithmetic_and_memory(results):
    (model,) = results.models
    assert results.bound(model, 1) == pytest.approx(100)
    model.weight_bytes = 3_000_000_000
    assert results.bound(model, 1) == pytest.approx(300)
    assert results.bound(model, 2) is None


def test_integer_products_have_a_limit_of_their_own(results):
    (model,) = results.models
    results.limits["1"]["dot_i16"] = [40e9]
    assert results.bound(model, 1) == pytest.approx(100)
    model.quantized = True
    assert results.bound(model, 1) == pytest.approx(50)


def test_results_survive_their_file(results, tmp_path):
    results.save(tmp_path / "deep" / "results.json")
    assert Results.load(tmp_path / "deep" / "results.json") == results


def test_ratios_are_of_medians(results):
    (model,) = results.models
    assert ratio(model, OURS, PEER) == pytest.approx(275 / 125)
    assert ratio(model, OURS, "tfjs-1t") is None


def test_launches_that_differ_are_unsteady(results):
    (model,) = results.models
    assert not model.timings[OURS].unsteady
    assert model.timings[PEER].unsteady


def test_samples_count_where_the_loop_beside_them_had_its_speed(results):
    (model,) = results.models
    model.timings = {key: model.timings[key] for key in (OURS, WORKER)}
    model.timings[OURS].speeds = [20e9, 10e9, 19e9, 20e9, 20e9, 20e9]
    model.timings[WORKER] = Timing([[1.0, 2.0, 3.0], [4.0], [5.0, 6.0, 7.0]], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    model.timings[WORKER].speeds = [20e9, 20e9, 20e9, 11e9, 20e9, 20e9, 17e9]
    assert results.undisturbed_speed == pytest.approx(18e9)
    kept = results.undisturbed()
    assert kept.models[0].timings[OURS].launches == [[120.0, 125.0], [124.0, 126.0, 125.0]]
    assert kept.models[0].timings[WORKER].launches == [[1.0, 2.0, 3.0], [5.0, 6.0]]
    assert kept.models[0].timings[WORKER].inside == [0.1, 0.2, 0.3, 0.5, 0.6]
    assert len(model.timings[OURS].samples) == 6
    assert results.undisturbed().undisturbed().models == kept.models


def test_too_few_undisturbed_samples_are_not_a_median(results):
    (model,) = results.models
    model.timings = {OURS: model.timings[OURS], PEER: Timing([[1.0] * 6])}
    model.timings[OURS].speeds = [20e9, 20e9, 20e9, 20e9, 20e9, 9e9]
    model.timings[PEER].speeds = [20e9, 20e9, 20e9, 20e9, 9e9, 9e9]
    assert results.undisturbed().models == results.models
    model.timings["tinyinfer-simd128-2t"] = Timing([[1.0] * 6], speeds=[20e9] * 5 + [9e9])
    model.timings[WORKER] = Timing([[1.0] * 7], speeds=[20e9] * 6 + [9e9])
    assert [len(t.samples) for t in results.undisturbed().models[0].timings.values()] == [6, 6, 5, 6]
    model.timings[PEER].speeds[-1] = 20e9
    assert [len(t.samples) for t in results.undisturbed().models[0].timings.values()] == [5, 5, 5, 6]


def test_limits_are_those_of_a_core_alone(results):
    results.limits["1"]["relaxed_madd"] = [20e9, 20e9, 20e9, 12e9, 12e9, 12e9, 12e9]
    assert results.peak(1) == pytest.approx(18e9)
    assert results.undisturbed().peak(1) == pytest.approx(20e9)


def test_markdown_tells_what_was_left_out(results):
    assert "With the disturbed samples" not in markdown(results)
    (model,) = results.models
    ours = Timing([[120.0, 130.0, 125.0], [124.0, 126.0, 225.0]], speeds=[20e9] * 5 + [12e9])
    peer = Timing([[250.0, 250.0, 275.0], [300.0, 300.0]], speeds=[20e9] * 5)
    model.timings = {OURS: ours, PEER: peer}
    text = markdown(results)
    assert "10 of 11 samples were undisturbed" in text
    assert cells_of(text, "| Some Net | 125 (122–128) | 275")[3] == "**2.20**"
    *_, all_of_them = [line for line in text.splitlines() if line.startswith("| Some Net | **")]
    assert all_of_them == "| Some Net | **2.19** | – |"
    peer.speeds[0] = 12e9
    assert "* Some Net, 1 thread: all samples count, as too few were undisturbed.\n" in markdown(results)


def cells_of(text: str, start: str) -> list[str]:
    (row,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_markdown_tells_times_rates_and_reasons(results):
    text = markdown(results)
    times = ["125 (122–128)", "275 (250–300) ⚠", "**2.20**", "–", "–"]
    assert cells_of(text, "| Some Net | 125 (122–128) | 275")[1:] == times
    assert cells_of(text, "| Some Net | 2.000")[1:] == ["2.000", "100", "125", "32.0", "80%"]
    assert cells_of(text, "| Some Net | 125 (122–128) | 130")[1:] == ["125 (122–128)", "130 (129–131)", "2.50"]
    assert "| Some Net | 42.0 / 21.0 |" in text
    assert "| TinyInfer, 1 thread | 50.0 | 20.0 | 17.0 |" in text
    assert "* TF.js wasm, 1 thread, Some Net: cannot do it\n" in text


def test_every_table_row_has_a_cell_for_each_column(results):
    tables = [block.splitlines() for block in markdown(results).split("\n\n") if block.startswith("|")]
    assert tables
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1


def test_chart_has_a_bar_for_every_contender(results):
    root = ElementTree.fromstring(chart(results))
    bars = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if float(rect.get("y")) > 30]
    widths = [float(bar.get("width")) for bar in bars]
    assert len(widths) == 2
    assert widths[0] / widths[1] == pytest.approx(125 / 275, rel=0.01)


def test_chart_compares_with_the_bars_beside(results):
    results.models[0].timings["tinyinfer-simd128-2t"] = Timing([[1.0]])
    assert "275 ms · 2.20×" in chart(results)


def test_chart_of_two_threads_alone(results):
    results.settings["threads"] = [2]
    assert "Some Net" not in chart(results)
    results.titles["tinyinfer-simd128-2t"] = "TinyInfer simd128"
    results.models[0].timings["tinyinfer-simd128-2t"] = Timing([[70.0]])
    assert "70.0 ms" in chart(results)


def test_multiplications_are_counted_per_output():
    assert macs(tiny_graph()) == 2 * 5 * 3
    assert macs(conv_graph(size=9)) == (4 * 9 * 9) * (4 * 3 * 3)


def test_multiplications_of_integers_are_counted_too():
    builder = registry.builder("integers")
    a = builder.input("a", TensorType(DType.UINT8, (2, 3)))
    b = builder.constant(np.ones((3, 5), np.int8), "b")
    zeros = (builder.constant(np.zeros((), dtype), "zero") for dtype in (np.uint8, np.int8))
    builder.output("y", builder.add1("MatMulInteger", a, b, *zeros))
    assert macs(builder.build()) == 2 * 3 * 5


def test_kernels_and_layers_of_a_plan_are_listed_once_with_their_work():
    graph = conv_graph(size=9)
    found = {entry.kernel: entry for entry in entries(graph, compiler.lower(graph))}
    conv = found["f32_conv"]
    assert (conv.layer, conv.count, conv.unit) == ("Conv 1×4×9×9 → 1×4×9×9, 3×3", 1, "GFLOP/s")
    assert conv.work == 2 * (4 * 9 * 9) * (4 * 3 * 3)
    assert found["f32_reduce_sum"].work == 4 * (4 * 9 * 9 + 4)


def test_parts_of_a_larger_tensor_are_restored_to_their_last_element():
    builder = registry.builder("parts")
    x = builder.input("x", TensorType(DType.FLOAT, (1, 4, 3, 3)))
    window = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
    convs = [
        builder.add1("Conv", x, builder.constant(np.full((8, 4, 3, 3), v, np.float32), "w"), **window) for v in (1, 2)
    ]
    builder.output("y", builder.add1("Concat", *(builder.add1("Swish", c) for c in convs), axis=1))
    graph = builder.build()
    (swish,) = (e for e in entries(graph, compiler.lower(graph)) if e.kernel == "f32_swish")
    assert swish.restore is not None
    assert swish.restore[1] == (8 * 16 + 8) * 4  # 9 pixels, 16 channels apart, of which the last one has 8


def test_kernel_gains_compare_neighbouring_samples():
    entry = Entry("f32_add", "Add 8 → 8", 2, [0], 10**6, "GB/s", ms=[[2.0, 20.0, 4.0], [1.0, 10.0, 2.0]])
    assert entry.gain() == pytest.approx(2)
    assert entry.rate() == pytest.approx(0.25)
    (row,) = rows([entry], peak=50)
    assert row == ["f32_add", "Add 8 → 8", "2", "4.000", "100.0%", "0.2 GB/s", "", "0.5", "2.00×"]
