"""What ends without a word, and what is asked for wrongly: a promise is never left pending, and nothing is ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser_sessions import attempt, serve_sessions
from tests.website import Site, assert_no_workers


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    with serve_sessions() as running:
        yield running


@pytest.fixture
def site(served: Site) -> Iterator[Site]:
    files = dict(served.files)
    yield served
    served.files = files


KEEP_WORKERS = """globalThis.workers = [];
globalThis.Worker = class extends Worker {
    constructor(...args) { super(...args); workers.push(this); }
};"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_terminated_worker_ends_the_session(threads: int, page: Page, site: Site) -> None:
    page.add_init_script(KEEP_WORKERS)
    body = """const session = await create();
        await session.run({ x });
        workers[0].terminate();
        return [await told(session.run({ x })), await told(session.run({ x })), await told(session.profile({ x }))];"""
    message = "EngineError: the session's Worker ended: closed, or out of memory"
    assert attempt(page, site, body, threads=threads) == [message] * 3


def test_a_worker_that_closes_itself_ends_the_session(page: Page, site: Site) -> None:
    script = site.files["index.js"]
    start = script.index(b"self.onmessage=async({data:")
    head = script[start : script.index(b"{", start + len(b"self.onmessage=async({data:")) + 1]
    name = head.removeprefix(b"self.onmessage=async({data:").partition(b"}")[0]
    site.files["index.js"] = script.replace(head, head + b"if(" + name + b'.call==="run")return self.close();')
    body = "return await told((await create({ threads: 1 })).run({ x }));"
    expected = "EngineError: the session's Worker ended: closed, or out of memory"
    assert attempt(page, site, body) == expected
    assert_no_workers(page)


@pytest.mark.parametrize("worker", [False, True], ids=["inline", "worker"])
def test_a_thread_that_closes_itself_ends_the_session(worker: bool, page: Page, site: Site) -> None:
    script = site.files["index.js"]
    site.files["index.js"] = script.replace(b"serve(){", b"serve(){return setTimeout(()=>self.close(),50);")
    assert site.files["index.js"] != script
    body = """const session = await create({ threads: 2 });
        for (;;) {
            const answer = await told(session.run({ x }));
            if (answer !== "fine") return answer;
            await new Promise(resolve => setTimeout(resolve, 20));
        }"""
    assert "ended: closed, or out of memory" in attempt(page, site, body, worker=worker)


WRONG = {
    "create('/model.tinf', null)": "options must be object, not null",
    "create('/model.tinf', 7)": "options must be object, not 7",
    "create('/model.tinf', { workers: 2 })": "unknown option 'workers'; expected worker, transfer, cache",
    "create('/model.tinf', { toString: 1 })": "unknown option 'toString'",
    "create('/model.tinf', { cache: 'reload' })": "'cache' must be boolean or no-cache, not reload",
    "create('/model.tinf', { onProgress: 1 })": "'onProgress' must be function, not 1",
    "create('/model.tinf', { sha256: 1 })": "'sha256' must be string, not 1",
    "create('/model.tinf', { signal: 1 })": "'signal' must be object, not 1",
    "create('/model.tinf', { transfer: 1 })": "'transfer' must be boolean, not 1",
    "create('/model.tinf', { wasmUrl: 1 })": "'wasmUrl' must be string or object, not 1",
    "create('http://')": "'http://' is not a URL",
    "create()": "a model must be a URL, an ArrayBuffer or a Uint8Array, not undefined",
    "session.run()": "'feeds' must be Tensors by the names of inputs (x: float32[1,4,40,40]), not undefined",
    "session.run(null)": "'feeds' must be Tensors",
    "session.run(x)": "'feeds' must be Tensors",
    "session.run([x])": "'feeds' must be Tensors",
    "session.run({ x }, {})": "'fetches' must be names of outputs (y,m), or Tensors by such names",
    "session.run({ x }, [])": "'fetches' must be names of outputs (y,m), or Tensors by such names",
    "session.run({ x }, 'y')": "'fetches' must be names of outputs (y,m), or Tensors by such names, not y",
    "session.run({ x }, null)": "'fetches' must be names of outputs (y,m), or Tensors by such names, not null",
    "session.run({ x }, ['y'], { transfers: true })": "unknown option 'transfers'; expected transfer",
    "session.run({ x }, ['y'], null)": "options must be object, not null",
    "session.profile()": "'feeds' must be Tensors",
    "new Tensor('float32')": "'data' must be array, not undefined",
    "new Tensor('float32', null)": "'data' must be array, not null",
    "new Tensor('float32', [1], null)": "'dims' must be array, not null",
    "new Tensor('toString', [1])": "Unsupported tensor type: toString",
}


def test_wrong_arguments_are_told(page: Page, site: Site) -> None:
    calls = ", ".join(f"() => {call.replace('create(', 'InferenceSession.create(')}" for call in WRONG)
    body = f"""const session = await create({{ worker: false, threads: 1 }});
        const answers = [];
        for (const call of [{calls}]) answers.push(await told((async () => call())()));
        return answers;"""
    for call, told in zip(WRONG, attempt(page, site, body)):
        assert told.startswith(f"TypeError: {WRONG[call]}"), call


def test_a_feed_that_has_lost_its_data(page: Page, site: Site) -> None:
    body = """const session = await create({ worker: false, threads: 1 });
        structuredClone(x.data.buffer, { transfer: [x.data.buffer] });
        return await told(session.run({ x }));"""
    assert attempt(page, site, body).startswith("FeedError: input 'x' has no data any more")


def test_kernels_that_are_a_page(page: Page, site: Site) -> None:
    site.files["kernels.simd128.wasm"] = b"<!doctype html>"
    expected = f"ModelError: {site.url}/kernels.simd128.wasm: not the kernels: this is HTML (HTTP status 200)"
    assert attempt(page, site, "return await told(create());") == expected


def in_worker(page: Page, site: Site, kind: str, **options: Any) -> Any:
    """What a service or shared worker is told that runs a model and counts its outputs."""
    site.files["work.js"] = f"""
        import {{ InferenceSession, Tensor }} from "./index.js";
        const run = async options => {{
            try {{
                const session = await InferenceSession.create("/model.tinf", options);
                const x = new Tensor("float32", new Float32Array({4 * 40 * 40}), [1, 4, 40, 40]);
                return Object.keys(await session.run({{ x }}));
            }} catch (error) {{ return `${{error.name}}: ${{error.message}}` }}
        }};
        const answer = async ({{ data, ports }}) => ports[0].postMessage(await run(data));
        self.onmessage = answer;
        self.onconnect = ({{ ports }}) => {{ ports[0].onmessage = answer; }};""".encode()
    site.open(page)
    return page.evaluate(
        """async ({ kind, options }) => {
            const { port1, port2 } = new MessageChannel();
            const answer = new Promise(resolve => { port1.onmessage = ({ data }) => resolve(data); });
            if (kind === "shared") {
                new SharedWorker("/work.js", { type: "module" }).port.postMessage(options, [port2]);
            } else {
                const { installing, waiting, active } = await navigator.serviceWorker.register(
                    "/work.js", { type: "module" });
                (installing ?? waiting ?? active).postMessage(options, [port2]);
            }
            return await answer;
        }""",
        {"kind": kind, "options": options},
    )


@pytest.mark.parametrize("kind", ["shared", "service"])
def test_shared_and_service_workers_run_models(kind: str, page: Page, site: Site) -> None:
    assert in_worker(page, site, kind, threads=1) == ["y", "m"]


def test_a_service_worker_is_told_that_it_starts_no_other(page: Page, site: Site) -> None:
    expected = "EngineError: no Worker can start here: leave out 'worker: true'"
    assert in_worker(page, site, "service", worker=True) == expected
