"""Sessions in the calling thread, a page's own or that of an application's Worker: the same bits, the same errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser_sessions import BOTH, FEEDS, ISOLATED, assert_posted, attempt, script, serve_sessions
from tests.models import tinf_of, tiny_graph
from tests.website import Site, answering_workers


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_sessions() as running:
        yield running


def in_a_worker(page: Page, site: Site, script: str, values: Any) -> Any:
    """The value of the JavaScript function `script` in a Worker of the application, which answers messages itself."""
    site.files["application.js"] = f"onmessage = async ({{ data }}) => postMessage(await ({script})(data));".encode()
    site.open(page)
    return page.evaluate(
        """values => new Promise((resolve, reject) => {
            const worker = new Worker("/application.js", { type: "module", name: "tinyinfer" });
            worker.onmessage = ({ data }) => { worker.terminate(); resolve(data); };
            worker.onerror = ({ message }) => reject(Error(message));
            worker.postMessage(values);
        })""",
        values,
    )


@ISOLATED
@pytest.mark.parametrize("threads", [1, 2])
def test_an_applications_worker_has_the_bits_of_the_reference(
    isolated: bool, threads: int, page: Page, site: Site
) -> None:
    if not isolated:
        site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """const session = await create();
        await post(await session.run({ x }));
        const { threads } = session;
        await session.release();
        return threads;"""
    used = in_a_worker(page, site, script(body), {"worker": False, "threads": threads})
    assert used == (threads if isolated else 1)
    assert_posted(site, FEEDS)
    assert answering_workers(page) == 0


@BOTH
def test_without_isolation(worker: bool, page: Page, site: Site) -> None:
    site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """for (const run of [1, 2]) {
            const session = await create({ threads: 1 });
            await post(await session.run({ x }), run);
            await session.release();
        }"""
    assert attempt(page, site, body, worker=worker) is None
    for run in "12":
        assert_posted(site, FEEDS, run=run)


def test_it_describes_itself_as_in_a_worker(page: Page, site: Site) -> None:
    body = """const describe = async worker => {
            const s = await create({ worker });
            const { inputMetadata, outputMetadata, tier, threads, metadata, memory, fileSizes } = s;
            return { inputMetadata, outputMetadata, tier, threads, metadata, memory, fileSizes };
        };
        return [await describe(false), await describe(true)];"""
    inline, remote = attempt(page, site, body)
    assert inline == remote


def test_there_is_no_worker(page: Page, site: Site) -> None:
    body = """globalThis.Worker = class { constructor() { throw new Error("no Workers here") } };
        const session = await create({ threads: 1 });
        return Object.keys(await session.run({ x }));"""
    assert attempt(page, site, body, worker=False) == ["y", "m"]
    assert site.fetched("index.js") == 1


def test_errors_are_the_same(page: Page, site: Site) -> None:
    """Loading, feeds and kernels: whatever the thread, the same class says the same."""
    tiny = site.files["tiny.tinf"]
    site.files |= {
        "short.tinf": tiny[:-64],
        "junk.tinf": b"<!doctype html><title>index</title>",
        "other.tinf": tinf_of(tiny_graph(), kernels={"simd128": "f" * 64}),
        "kernels.wasm": b"\0asm\1\0\0\0\1\7",
    }
    body = """const all = async worker => {
            const make = (url, options) => told(create({ worker, ...options }, url));
            const session = await create({ worker });
            const run = (...args) => told(session.run(...args));
            return [
                await make("/short.tinf"),
                await make("/junk.tinf"),
                await make("/other.tinf"),
                await make("/none.tinf"),
                await make("/tiny.tinf", { sha256: "0".repeat(64) }),
                await make("/tiny.tinf", { wasmUrl: "/none.wasm" }),
                await make("/tiny.tinf", { wasmUrl: "/kernels.wasm" }),
                await make("/tiny.tinf", { tier: "fast" }),
                await make("/tiny.tinf", { threads: 0 }),
                await run({}),
                await run({ x: 1 }),
                await run({ x: new Tensor("float32", [1]) }),
                await run({ x, z: x }),
                await run({ x }, ["q"]),
                await run({ x }),
            ];
        };
        return [await all(false), await all(true)];"""
    inline, remote = attempt(page, site, body)
    assert inline == remote
    kinds = ["PlanError", "PlanError", "PlanError", "ModelError", "ModelError", "ModelError", "EngineError"]
    kinds += ["TypeError", "RangeError", *["FeedError"] * 5, "fine"]
    assert [message.partition(":")[0] for message in inline] == kinds


@pytest.mark.parametrize("value", ["1", "null", '"inline"'])
def test_worker_is_yes_or_no(value: str, page: Page, site: Site) -> None:
    message = f"TypeError: 'worker' must be boolean, not {value.strip(chr(34))}"
    assert attempt(page, site, f"return await create({{ worker: {value} }});") == message
