"""Damaged models in Chromium: a flipped bit is told by its digest, a wrong plan by the rule that it breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser_sessions import BOTH, ISOLATED, attempt
from tests.damage import CHANGES, MODEL, TEXTS, File
from tests.models import tinf_of, wide_graph
from tests.website import Site, library, serve

WIDE = tinf_of(wide_graph(300_000))
HEADER = 8 + int.from_bytes(WIDE[:8], "little")
AGAIN = "; download it again, or compile the model again"
FLIPS = {
    "plan": (WIDE.index(b"MatMul"), "its header has another SHA-256 than when written"),
    "first": (HEADER, "bytes 0 to 1048576 of the weights have another SHA-256 than when written"),
    "inside": (HEADER + 2_000_000, "bytes 1048576 to 2097152 of the weights have another SHA-256 than when written"),
    "last": (len(WIDE) - 1, "bytes 3145728 to 3600000 of the weights have another SHA-256 than when written"),
}

HARMLESS = (
    # What JavaScript counts further with than 32 bits, or does not read: a sixth item of a step.
    *("pieces 2147483648", "stride 1099511627776", "extent '0'", "scratch argument"),
    # What has a meaning by the parameter's name, which only Python knows.
    *("filters",),
    # What JavaScript and WebAssembly convert, and names that only people read.
    *("argument", "metadata", "node", "tensor's name", "tensor's type as a list", "step of six"),
    # Whatever an array over linear memory can be made of, and feeds and outputs are copied to.
    *("plans disagree", "two of one name", "shape of", "address before", "output before", "weights beyond"),
    # Numbers that nobody reads, and depths that JavaScript takes.
    *("infinite", "digits", "deep and closed"),
)
"""How changes begin that a browser may take, since nothing comes of them beyond wrong values."""


def flipped(at: int) -> bytes:
    blob = bytearray(WIDE)
    blob[at] ^= 1
    return bytes(blob)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({**library(), "model.tinf": WIDE, "x": bytes(4 * 4 * 40 * 40)}) as running:
        yield running


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_flipped_bits(worker: bool, threads: int, page: Page, site: Site) -> None:
    for name, (at, _) in FLIPS.items():
        site.files[f"{name}.tinf"] = flipped(at)
    names = [*FLIPS, "model"]
    body = f"return await Promise.all({names}.map(name => told(create({{}}, `/${{name}}.tinf`))));"
    damaged = [f"PlanError: {site.url}/{name}.tinf: damaged: {what}{AGAIN}" for name, (_, what) in FLIPS.items()]
    assert attempt(page, site, body, worker=worker, threads=threads) == [*damaged, "fine"]


@ISOLATED
def test_flipped_bits_in_a_buffer(isolated: bool, page: Page, site: Site) -> None:
    """Also without the browser's own SHA-256, which pages that are neither HTTPS nor localhost do not have."""
    if not isolated:
        site.headers.clear()
    page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    body = f"""const bytes = new Uint8Array(await (await fetch("/model.tinf")).arrayBuffer());
        const results = [];
        for (const at of [0, {HEADER + 5}, {WIDE.index(b"MatMul")}]) {{
            bytes[at] ^= at && 1;
            results.push(await told(create({{}}, bytes)));
            bytes[at] ^= at && 1;
        }}
        return results;"""
    fine, weights, header = attempt(page, site, body, worker=False)
    assert fine == "fine"
    assert weights == f"PlanError: the model's buffer: damaged: {FLIPS['first'][1]}{AGAIN}"
    assert header == f"PlanError: the model's buffer: damaged: {FLIPS['plan'][1]}{AGAIN}"


@BOTH
def test_a_kept_model_is_checked_and_fetched_again(worker: bool, page: Page, site: Site) -> None:
    site.files["model.tinf"] = flipped(FLIPS["last"][0])
    site.open(page)
    page.evaluate("async () => (await caches.open('tinyinfer')).add('/model.tinf')")
    site.files["model.tinf"] = WIDE
    site.requests.clear()
    assert attempt(page, site, "return told(create());", worker=worker, cache=True) == "fine"
    assert site.fetched(".tinf") == 1


def test_the_rules_of_the_format(page: Page, site: Site) -> None:
    """Those of Python on which something depends here, each broken by one file."""
    site.files["right.tinf"] = MODEL
    for i, change in enumerate(CHANGES.values()):
        file = File.of(MODEL)
        change(file)
        site.files[f"{i}.tinf"] = file.blob()
    for i, damage in enumerate(TEXTS.values(), len(CHANGES)):
        file = File.of(MODEL)
        site.files[f"{i}.tinf"] = file.blob(damage(file.text()))
    names = ["right", *range(len(CHANGES) + len(TEXTS))]
    body = f"""const answers = [];
        for (const name of {names}) answers.push(await told(create({{}}, `/${{name}}.tinf`)));
        return answers;"""
    right, *answers = attempt(page, site, body, worker=False, threads=1)
    assert right == "fine"
    kinds = [*CHANGES, *TEXTS]
    refused = {kind for kind, answer in zip(kinds, answers, strict=True) if answer.startswith("PlanError: ")}
    assert {answer for kind, answer in zip(kinds, answers) if kind not in refused} <= {"fine"}
    assert {kind for kind in kinds if kind not in refused and not kind.startswith(HARMLESS)} == set()
