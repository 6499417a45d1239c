"""Tiers in headless Chromium: which kernels are chosen, and the bits of the fused reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

import tinyinfer
from tests.conftest import ROOT
from tests.differential import assert_same_bits, same_bits
from tests.models import conv_graph, reference, tinf_of, tiny_graph
from tests.website import Site, library, run_in_browser, serve
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels

FILES = {tier: f"kernels.{tier}.wasm" for tier in TIERS}
# What the probe meets in a browser that knows the instruction, on a machine that does not fuse.
UNFUSED = """WebAssembly.Instance = class {
        exports = { f: (a, b, c) => Math.fround(Math.fround(Math.fround(a) * Math.fround(b)) + Math.fround(c)) };
    };"""
UNKNOWN = 'WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError("no") } };'
LACKS = (
    "EngineError: this browser lacks relaxed SIMD (Chrome 114, Firefox 145), or this machine a fused multiply-add; "
    "tier 'simd128' runs here"
)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({**library(), "model.tinf": tinf_of(conv_graph())}) as running:
        yield running


def create(page: Page, site: Site, setup: str = "", **options: Any) -> Any:
    """The session's tier after `setup` ran in the page, or `"<error name>: <message>"`."""
    site.open(page)
    script = f"""async options => {{
        {setup}
        const {{ InferenceSession }} = await import("/index.js");
        try {{
            return (await InferenceSession.create("/model.tinf", {{ cache: false, ...options }})).tier;
        }} catch (error) {{ return `${{error.name}}: ${{error.message}}` }}
    }}"""
    return page.evaluate(script, options)


def loaded(site: Site) -> list[str]:
    return [tier for tier, file in FILES.items() if site.fetched(file)]


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_has_the_bits_of_its_reference(tier: str, page: Page, site: Site) -> None:
    feeds = {"x": np.random.default_rng(8).standard_normal((1, 4, 9, 9)).astype(np.float32)}
    site.open(page)
    outputs = run_in_browser(page, site, "/model.tinf", feeds, cache=False, tier=tier)
    for name, expected in reference(conv_graph(), feeds, tier).items():
        assert_same_bits(outputs[name], expected, f"{name} on {tier} in Chromium")
    other = reference(conv_graph(), feeds, *(t for t in TIERS if t != tier))
    assert not same_bits(outputs["y"], other["y"]).all()
    assert loaded(site) == [tier]


def test_digits_have_the_bits_of_the_fused_reference(page: Page, site: Site) -> None:
    model = tinyinfer.compile(ROOT / "examples" / "digits" / "digits.onnx")
    image = np.random.default_rng(9).random((1, 1, 28, 28)).astype(np.float32)
    site.files["model.tinf"] = model.to_bytes()
    site.open(page)
    (name,) = (binding.name for binding in model.plan.inputs)
    feeds = {name: image}
    outputs = run_in_browser(page, site, "/model.tinf", feeds, cache=False, tier="relaxed")
    wasmtime = tinyinfer.InferenceSession(model, tier="relaxed").run(feeds)
    for output, expected in reference(model.optimized[0], feeds, "relaxed").items():
        assert_same_bits(outputs[output], expected, f"{output}: Chromium and the reference")
        assert_same_bits(wasmtime[output], expected, f"{output}: wasmtime and the reference")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "simd128"),
        ({"tier": "simd128"}, "simd128"),
        ({"tier": "relaxed"}, "relaxed"),
        ({"tier": "auto"}, "relaxed"),
    ],
)
def test_a_browser_that_fuses(options: dict[str, str], expected: str, page: Page, site: Site) -> None:
    assert create(page, site, **options) == expected
    assert loaded(site) == [expected]


@pytest.mark.parametrize("setup", [UNFUSED, UNKNOWN], ids=["unfused", "unknown"])
def test_a_browser_that_does_not_fuse(setup: str, page: Page, site: Site) -> None:
    assert create(page, site, setup) == "simd128"
    assert create(page, site, setup, tier="auto") == "simd128"
    assert create(page, site, setup, tier="relaxed") == LACKS
    assert loaded(site) == ["simd128"]


def test_unknown_tier(page: Page, site: Site) -> None:
    assert create(page, site, tier="fast") == (
        "TypeError: unknown tier 'fast'; expected 'simd128', 'relaxed' or 'auto'"
    )


def test_other_address_of_the_kernels(page: Page, site: Site) -> None:
    site.files["k.wasm"] = site.files.pop(FILES["relaxed"])
    assert create(page, site, wasmUrl="k.wasm", tier="relaxed") == "relaxed"
    assert create(page, site, wasmUrl="k.wasm", tier="auto") == (
        "TypeError: 'wasmUrl' needs a 'tier': 'simd128' or 'relaxed'"
    )


def test_a_model_without_the_tier(page: Page, site: Site) -> None:
    site.files["model.tinf"] = tinf_of(tiny_graph(), kernels={"simd128": load_kernels().sha256})
    assert create(page, site) == "simd128"
    assert create(page, site, tier="relaxed") == (
        f"PlanError: tiny was compiled for other kernels (SHA-256 undefined…, {site.url}/kernels.relaxed.wasm has "
        f"{load_kernels('relaxed').sha256[:12]}…). Author of this page: compile it again, and upload it with index.js "
        "and kernels of the same version (`tinyinfer bundle`)"
    )
