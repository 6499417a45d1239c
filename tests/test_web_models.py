"""Real models in headless Chromium: the bits of the reference and of wasmtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from playwright.sync_api import Page

import tinyinfer
from tests.conftest import ROOT
from tests.differential import assert_same_bits
from tests.models import reference
from tests.onnx_models import model as onnx_model
from tests.test_shared_models import MODELS
from tests.website import Site, library, run_in_browser, serve
from tinyinfer.cli.models import input_names, read_feeds
from tinyinfer.quantization import QuantType, quantize_weights
from tinyinfer.types import Array

DIGITS = ROOT / "examples" / "digits"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve(library()) as running:
        yield running


def check(model: tinyinfer.CompiledModel, feeds: Mapping[str, Array], page: Page, site: Site) -> dict[str, Array]:
    """Assert that Chromium, wasmtime and the reference agree bit for bit; the outputs."""
    site.files["model.tinf"] = model.to_bytes()
    site.open(page)
    browser = run_in_browser(page, site, "/model.tinf", feeds, cache=False)
    wasmtime = tinyinfer.InferenceSession(model).run(feeds)
    expected = reference(model.optimized[0], feeds)
    assert list(browser) == list(wasmtime) == list(expected)
    for name, array in expected.items():
        assert_same_bits(browser[name], array, f"{name}: Chromium and the reference")
        assert_same_bits(browser[name], wasmtime[name], f"{name}: Chromium and wasmtime")
    return browser


@pytest.mark.parametrize("name", MODELS)
def test_shared_model_has_the_same_bits(name: str, shared_models: Path, page: Page, site: Site) -> None:
    folder = shared_models / name
    feeds = read_feeds(folder / "io_0.npz", input_names(folder / "model.onnx"))
    model = tinyinfer.compile(folder / "model.onnx", {key: array.shape for key, array in feeds.items()})
    check(model, feeds, page, site)


@pytest.mark.parametrize(("kind", "kernel"), [(QuantType.QInt4, "f32_gemm_x4"), (QuantType.QInt8, "f32_gemm_x8")])
def test_weights_of_few_bits_give_the_same_bits(
    kind: QuantType, kernel: str, shared_models: Path, page: Page, site: Site
) -> None:
    folder = shared_models / "vit-ibp-3-3-8-cifar10"
    feeds = read_feeds(folder / "io_0.npz", input_names(folder / "model.onnx"))
    quantised = quantize_weights(folder / "model.onnx", None, kind, 16).SerializeToString()
    model = tinyinfer.compile(quantised, {key: array.shape for key, array in feeds.items()})
    assert kernel in {step.kernel for step in model.plan.steps}
    check(model, feeds, page, site)


def test_bytes_pooled_resized_and_normalised_have_the_same_bits(page: Page, site: Site) -> None:
    x = np.random.default_rng(3).integers(0, 256, (1, 19, 9, 10)).astype(np.uint8)
    constants: dict[str, Any] = {"s": np.float32(0.04), "z": np.uint8(90), "t": np.float32(1 / 256), "u": np.uint8(0)}
    constants["n"] = np.asarray([1, 19, 9, 13])
    window = {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("QLinearAveragePool", [*"xszsz"], ["p"], domain="com.microsoft", **window),
        helper.make_node("DequantizeLinear", [*"psz"], ["f"]),
        helper.make_node("Resize", ["f", "", "", "n"], ["r"], mode="linear"),
        helper.make_node("QuantizeLinear", [*"rsz"], ["q"]),
        helper.make_node("QLinearSoftmax", [*"qsztu"], ["y"], domain="com.microsoft", axis=1, opset=13),
    ]
    proto = onnx_model(nodes, {"x": x}, ("y",), constants, 19)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model = tinyinfer.compile(proto.SerializeToString())
    assert {"x8_avgpool", "x8_resize", "x8_softmax"} <= {step.kernel for step in model.plan.steps}
    check(model, {"x": x}, page, site)


def test_digits_has_the_same_bits_and_reads_its_samples(page: Page, site: Site) -> None:
    model = tinyinfer.compile(DIGITS / "digits.onnx")
    samples = sorted((DIGITS / "samples").glob("*.png"))
    assert len(samples) == 20
    for path in samples:
        image = np.asarray(Image.open(path), np.float32).reshape(1, 1, 28, 28) / np.float32(255)
        (probabilities,) = check(model, {"image": image}, page, site).values()
        assert int(np.argmax(probabilities)) == int(path.stem.split("_")[1])
