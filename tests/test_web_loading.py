"""Loading ends: whatever does not answer is done without, asked once more, or named in an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser_sessions import BOTH
from tests.models import tinf_of, tiny_graph, wide_graph
from tests.website import Site, library, serve

MODEL, KERNELS = "tiny.tinf", "kernels.simd128.wasm"
MINUTE = 60_000
STANDSTILL = 31_000
"""Milliseconds in which one attempt is given up, and a second one is not."""

START = """options => {
    globalThis.answer = undefined;
    const create = async () => {
        const { InferenceSession } = await import("/index.js");
        const session = await InferenceSession.create("/tiny.tinf", options);
        const names = session.outputNames;
        await session.release();
        return names;
    };
    create().catch(error => `${error.name}: ${error.message}`).then(answer => { globalThis.answer = answer; });
}"""

KEEP = """async names => {
    const cache = await caches.open("tinyinfer");
    await Promise.all(names.map(name => cache.add(`/${name}`)));
}"""

ASLEEP = """name => {
    const { match } = CacheStorage.prototype;
    CacheStorage.prototype.match = async function (url, options) {
        const kept = await match.call(this, url, options);
        if (!kept || !url.endsWith(name)) return kept;
        const start = (await kept.arrayBuffer()).slice(0, 100);
        const body = new ReadableStream({ type: "bytes", start: to => to.enqueue(new Uint8Array(start)) });
        return new Response(body, { headers: kept.headers });
    };
}"""

SLOW = """(() => {
    const { match } = CacheStorage.prototype;
    CacheStorage.prototype.match = async function (...args) {
        await new Promise(resolve => setTimeout(resolve, 3000));
        return match.apply(this, args);
    };
})()"""

COUNT = """(() => {
    const { match } = CacheStorage.prototype;
    globalThis.lookups = [];
    CacheStorage.prototype.match = function (url, options) {
        globalThis.lookups.push(url.split("/").at(-1));
        return match.call(this, url, options);
    };
})()"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({**library(), MODEL: tinf_of(tiny_graph())}) as running:
        yield running


def start(page: Page, **options: Any) -> None:
    """Begin to load."""
    page.evaluate(START, options)


def answer(page: Page) -> Any:
    """The outputs' names, or the error, in the end."""
    deadline = time.monotonic() + 60
    while (found := page.evaluate("globalThis.answer")) is None:
        assert time.monotonic() < deadline, "loading does not end"
        page.wait_for_timeout(10)  # milliseconds
    return found


def keep(page: Page, site: Site) -> None:
    site.open(page)
    page.evaluate(KEEP, [MODEL, KERNELS])
    site.requests.clear()


def wait_for(page: Page, site: Site, path: str) -> None:
    """Until the server has been asked for it, and a while more in which the answer may come."""
    deadline = time.monotonic() + 60
    while path not in site.requests:
        assert time.monotonic() < deadline, f"{path} is not asked for"
        page.wait_for_timeout(10)
    page.wait_for_timeout(300)


def preload(site: Site) -> None:
    """A page that names what it will load."""
    links = "".join(f'<link rel="preload" href="{name}" as="fetch" crossorigin>' for name in (MODEL, KERNELS))
    site.files["blank.html"] = f"<!doctype html><title>test</title>{links}".encode()


@BOTH
@pytest.mark.parametrize("name", [MODEL, KERNELS])
def test_a_kept_file_that_stops_is_fetched(name: str, worker: bool, page: Page, site: Site) -> None:
    keep(page, site)
    page.evaluate(ASLEEP, name)
    start(page, worker=worker)
    assert answer(page) == ["y"]
    assert (site.fetched(".tinf"), site.fetched(".wasm")) == (1, 1)


def test_a_kept_file_that_stops_can_be_aborted(page: Page, site: Site) -> None:
    keep(page, site)
    page.evaluate(ASLEEP, MODEL)
    error = page.evaluate(
        """async () => {
            const { InferenceSession } = await import("/index.js");
            const controller = new AbortController();
            const onProgress = ({ url }) => url.endsWith(".tinf") && controller.abort();
            const options = { onProgress, signal: controller.signal };
            const error = await InferenceSession.create("/tiny.tinf", options).catch(error => error);
            return error.name;
        }"""
    )
    assert error == "AbortError"
    assert site.fetched(".tinf") == 0


def test_a_slow_lookup_serves_without_the_network(page: Page, site: Site) -> None:
    keep(page, site)
    page.evaluate(SLOW)
    del site.files[MODEL], site.files[KERNELS]
    start(page)
    assert answer(page) == ["y"]


@pytest.mark.parametrize("name", [MODEL, KERNELS])
def test_a_server_that_stops_is_asked_again(name: str, page: Page, site: Site) -> None:
    page.clock.install()
    site.open(page)
    site.stalled[name] = 100
    start(page)
    wait_for(page, site, name)
    site.stalled.clear()
    page.clock.run_for(STANDSTILL)
    assert answer(page) == ["y"]


@BOTH
@pytest.mark.parametrize("name", [MODEL, KERNELS])
def test_a_server_that_stops_twice(name: str, worker: bool, page: Page, site: Site) -> None:
    page.clock.install()
    site.open(page)
    site.stalled[name] = 100
    start(page, worker=worker)
    wait_for(page, site, name)
    site.requests.clear()
    page.clock.run_for(STANDSTILL)
    wait_for(page, site, name)
    page.clock.run_for(STANDSTILL)
    assert answer(page) == f"ModelError: nothing has come for 30 s of {site.url}/{name}"


def test_a_page_that_was_asleep_waits_on(page: Page, site: Site) -> None:
    """For hours, during which nothing could come."""
    page.clock.install()
    site.open(page)
    site.stalled[MODEL] = 100
    start(page)
    wait_for(page, site, MODEL)
    page.clock.fast_forward(100 * MINUTE)
    page.wait_for_timeout(100)
    assert page.evaluate("globalThis.answer") is None


def test_a_worker_that_does_not_start(page: Page, site: Site) -> None:
    page.clock.install()
    site.open(page)
    page.evaluate("import('/index.js').then(() => {})")
    site.stalled["index.js"] = 100
    site.requests.clear()
    start(page)
    for name in ("index.js", MODEL, KERNELS):
        wait_for(page, site, name)
    page.clock.run_for(STANDSTILL)
    page.wait_for_timeout(500)
    page.clock.run_for(STANDSTILL)
    assert answer(page) == "ModelError: nothing has come for 30 s of the session"


@pytest.mark.parametrize(
    ("times", "expected"), [(1, ["y"]), (2, "ModelError: nothing has come for 30 s of the compiler")]
)
def test_a_compiler_that_does_not_answer(times: int, expected: Any, page: Page, site: Site) -> None:
    page.clock.install()
    site.open(page)
    page.evaluate(
        """times => {
            const { compile } = WebAssembly;
            globalThis.calls = 0;
            WebAssembly.compile = bytes => ++globalThis.calls > times ? compile(bytes) : new Promise(() => {});
        }""",
        times,
    )
    start(page)
    for call in range(times):
        page.wait_for_function("call => globalThis.calls > call", arg=call)
        page.wait_for_timeout(300)
        page.clock.run_for(STANDSTILL)
    assert answer(page) == expected


@pytest.mark.parametrize("side", ["page", "Worker"])
def test_a_message_that_cannot_be_read(side: str, page: Page, site: Site) -> None:
    """As when there is no memory to read it into."""
    if side == "Worker":
        spoil = "setTimeout(() => self.dispatchEvent(new MessageEvent('messageerror')))"
        site.files["index.js"] += f"\nif ('DedicatedWorkerGlobalScope' in self) {spoil};".encode()
        expected = "EngineError: the session's Worker failed: Uncaught EngineError: a message cannot be read"
    else:
        page.add_init_script(
            """globalThis.Worker = class extends Worker {
                constructor(...args) {
                    super(...args);
                    setTimeout(() => this.dispatchEvent(new MessageEvent("messageerror")));
                }
            };"""
        )
        expected = "EngineError: the session's Worker failed: its answer cannot be read"
    site.open(page)
    site.stalled[MODEL] = 100
    start(page)
    assert answer(page).startswith(expected)


@BOTH
def test_what_a_page_preloads_needs_no_lookup(worker: bool, page: Page, site: Site) -> None:
    preload(site)
    page.add_init_script(COUNT)
    site.open(page)
    start(page, worker=worker)
    assert answer(page) == ["y"]
    assert page.evaluate("globalThis.lookups") == []
    assert (site.fetched(".tinf"), site.fetched(".wasm")) == (1, 1)
    start(page, worker=worker)
    assert answer(page) == ["y"]
    assert sorted(page.evaluate("globalThis.lookups")) == [KERNELS, MODEL]


@pytest.mark.parametrize("cut", [False, True])
def test_what_a_page_preloads_is_kept(cut: bool, page: Page, site: Site) -> None:
    """And serves where the network does not, or not in time."""
    keep(page, site)
    preload(site)
    if cut:
        del site.files[MODEL], site.files[KERNELS]
    else:
        page.add_init_script("globalThis.fetch = () => new Promise(() => {})")
    site.open(page)
    start(page)
    assert answer(page) == ["y"]


def test_a_large_kept_file_is_preferred_to_its_preload(page: Page, site: Site) -> None:
    site.files[MODEL] = tinf_of(wide_graph())
    keep(page, site)
    preload(site)
    page.add_init_script(COUNT)
    site.stalled[MODEL] = 100
    site.open(page)
    start(page)
    assert answer(page) == ["y"]
    assert page.evaluate("globalThis.lookups") == [MODEL]
