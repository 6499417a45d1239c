"""Sessions in the calling thread, a page's own or that of an application's Worker: the same bits, the same errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

import tinyinfer
from tests.conftest import ROOT
from tests.differential import assert_same_bits, shared
from tests.models import conv_graph, reference, tinf_of, tiny_graph
from tests.test_web_threads import FEEDS, KERNELS, SIZE, shared_tinf
from tests.website import Few, Site, answering_workers, assert_no_workers, run_in_browser, serve
from tinyinfer import compiler
from tinyinfer.bundle import web_files
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes

BOTH = pytest.mark.parametrize("worker", [False, True], ids=["inline", "worker"])
SCRIPT = """async values => {{
    const {{ InferenceSession, Tensor }} = await import("/index.js");
    const create = (options, url = "/model.tinf") =>
        InferenceSession.create(url, {{ cache: false, worker: false, ...options }});
    const data = new Float32Array(await (await fetch("/x")).arrayBuffer());
    const x = new Tensor("float32", data, [1, 4, {size}, {size}]);
    const times = k => new Tensor("float32", data.map(value => value * k), x.dims);
    const same = (a, b) => ["y", "m"].every(name => a[name].data.every((v, i) => Object.is(v, b[name].data[i])));
    const told = promise => promise.then(() => "fine", error => `${{error.name}}: ${{error.message}}`);
    try {{ {body} }} catch (error) {{ return `${{error.name}}: ${{error.message}}` }}
}}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({**web_files(demo=False), **KERNELS, "model.tinf": shared_tinf(conv_graph(SIZE))}) as running:
        running.files["x"] = FEEDS["x"].tobytes()
        running.files["tiny.tinf"] = tinf_of(tiny_graph())
        yield running


def attempt(page: Page, site: Site, body: str, **values: Any) -> Any:
    """The value of the JavaScript function body `body`, or `"<error name>: <message>"`. `create()` loads model.tinf."""
    site.open(page)
    return page.evaluate(SCRIPT.format(size=SIZE, body=body), values)


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


def bits_of(array: Any, like: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(array, like.dtype).reshape(like.shape)


# ── the same bits ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_digits_have_the_bits_of_the_reference(tier: str, threads: int, page: Page, site: Site) -> None:
    model = tinyinfer.compile(ROOT / "examples" / "digits" / "digits.onnx")
    site.files["digits.tinf"] = tinf.encode(replace(model.file, plans=(shared(model.plan),)))
    feeds = {"image": np.random.default_rng(9).random((1, 1, 28, 28)).astype(np.float32)}
    options: dict[str, Any] = {"worker": False, "cache": False, "tier": tier, "threads": threads}
    site.open(page)
    outputs = run_in_browser(page, site, "/digits.tinf", feeds, **options)
    for name, expected in reference(model.optimized[0], feeds, tier).items():
        assert_same_bits(outputs[name], expected, f"{name} with {threads} threads on {tier}")
    assert_no_workers(page)


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "not-isolated"])
@pytest.mark.parametrize("threads", [1, 2])
def test_an_applications_worker_has_the_bits_of_the_reference(
    isolated: bool, threads: int, page: Page, site: Site
) -> None:
    if not isolated:
        site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """const session = await create({ threads: values.threads });
        const { y, m } = await session.run({ x });
        await fetch("/y", { method: "POST", body: y.data });
        await fetch("/m", { method: "POST", body: m.data });
        const { threads } = session;
        await session.release();
        return threads;"""
    script = SCRIPT.format(size=SIZE, body=body)
    assert in_a_worker(page, site, script, {"threads": threads}) == (threads if isolated else 1)
    for name, expected in reference(conv_graph(SIZE), FEEDS).items():
        assert_same_bits(bits_of(site.received[name], expected), expected, name)
    assert answering_workers(page) == 0


@pytest.mark.parametrize("worker", [False, True])
def test_without_isolation(worker: bool, page: Page, site: Site) -> None:
    site.headers.pop("Cross-Origin-Embedder-Policy")
    site.open(page)
    for _ in range(2):
        outputs = run_in_browser(page, site, "/model.tinf", FEEDS, worker=worker, threads=1)
        for name, expected in reference(conv_graph(SIZE), FEEDS).items():
            assert_same_bits(outputs[name], expected, name)


def test_every_run_gives_the_same(page: Page, site: Site) -> None:
    """A page cannot sleep, its threads do: they meet at any moment."""
    body = """const alone = await create({ threads: 1 });
        const team = await create({ threads: 3 });
        const expected = await alone.run({ x });
        let right = 0;
        for (let i = 0; i < 300; i++) {
            if (i % 50 === 0) await new Promise(resolve => setTimeout(resolve, 20));
            right += same(await team.run({ x }), expected);
        }
        return [alone.threads, team.threads, right];"""
    assert attempt(page, site, body) == [1, 3, 300]


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "not-isolated"])
def test_overlapping_runs(worker: bool, threads: int, isolated: bool, page: Page, site: Site) -> None:
    """Feeds count as they are when `run` is called; answers come in the order of the calls, each its own."""
    if not isolated:
        site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """const [session, alone] = [await create(values), await create({ threads: 1 })];
        const scales = [1, -2, 0.5, 3, 7, -1, 0.25, 9];
        const expected = [];
        for (const k of scales) expected.push(await alone.run({ x: times(k) }));
        const order = [];
        const right = [];
        const feed = times(1);
        for (const transfer of [false, true]) {
            const runs = scales.map(async (k, i) => {
                const x = transfer ? times(k) : feed;
                if (!transfer) feed.data.set(times(k).data);
                if (i === 3) await session.profile({ x });
                if (i === 3) feed.data.set(times(k).data);
                const outputs = await session.run({ x }, undefined, { transfer });
                order.push(i);
                right[i] = same(outputs, expected[i]);
            });
            feed.data.fill(NaN);
            await Promise.all(runs);
        }
        return [order, right];"""
    order, right = attempt(page, site, body, worker=worker, threads=threads if isolated else 1)
    assert sorted(order) == sorted([*range(8), *range(8)])
    assert [i for i in order if i != 3] == [0, 1, 2, 4, 5, 6, 7] * 2
    assert right == [True] * 8


@BOTH
def test_outputs_and_feeds_are_the_callers_own(worker: bool, page: Page, site: Site) -> None:
    body = """const session = await create(values);
        const first = await session.run({ x });
        const before = { y: { data: first.y.data.slice() }, m: { data: first.m.data.slice() } };
        const kept = x.data.slice();
        await session.run({ x: times(3) });
        const { y } = await session.run({ x }, ["y"], { transfer: true });
        const buffers = [first.y, first.m, y].map(({ data }) => data.buffer instanceof ArrayBuffer);
        return [same(first, before), kept.length, buffers, y.data.every((v, i) => v === first.y.data[i])];"""
    assert attempt(page, site, body, worker=worker) == [True, 4 * SIZE * SIZE, [True] * 3, True]


@BOTH
@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "not-isolated"])
def test_outputs_into_given_tensors(worker: bool, isolated: bool, page: Page, site: Site) -> None:
    """Again and again, some given and some new, also by overlapping runs."""
    if not isolated:
        site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """const session = await create({ ...values, threads: 1 });
        const scales = [1, -2, 0.5];
        const expected = [];
        for (const k of scales) expected.push(await session.run({ x: times(k) }));
        const empty = ({ size, dims }) => new Tensor("float32", new Float32Array(size), dims);
        const [y, m] = [empty(expected[0].y), empty(expected[0].m)];
        const kept = y.data;
        const right = [];
        for (const [i, k] of scales.entries()) {
            const outputs = await session.run({ x: times(k) }, { y, m: i % 2 ? null : m });
            right.push(same(outputs, expected[i]), outputs.y === y, y.data === kept, (outputs.m === m) === !(i % 2));
        }
        const three = scales.map(() => empty(y));
        await Promise.all(scales.map((k, i) => session.run({ x: times(k) }, { y: three[i] })));
        right.push(...three.map((y, i) => same({ y, m: expected[i].m }, expected[i])));
        return [right, Object.keys(await session.run({ x }, { m }))];"""
    assert attempt(page, site, body, worker=worker) == [[True] * 15, ["m"]]


@BOTH
def test_tensors_that_no_output_fits(worker: bool, page: Page, site: Site) -> None:
    body = """const session = await create(values, "/tiny.tinf");
        const feeds = { x: new Tensor("float32", new Float32Array(6), [2, 3]) };
        const wrong = [{ y: 1 }, { y: undefined }, { y: new Tensor("int32", new Int32Array(10), [2, 5]) },
            { y: new Tensor("float32", new Float32Array(10), [5, 2]) }, { q: null }];
        return await Promise.all(wrong.map(fetches => told(session.run(feeds, fetches))));"""
    expected = "Expected: float32[2,5]."
    assert attempt(page, site, body, worker=worker) == [
        f"FeedError: output 'y' is not a Tensor. {expected}",
        f"FeedError: output 'y' is not a Tensor. {expected}",
        f"FeedError: output 'y' has type int32. {expected}",
        f"FeedError: output 'y' has shape [5,2]. {expected}",
        "FeedError: 'fetches' contains invalid output name: q. The model's outputs are y: float32[2,5].",
    ]


@BOTH
def test_plans_for_several_shapes(worker: bool, page: Page, site: Site) -> None:
    sizes = [40, 9, 5, 40, 9]
    site.files["model.tinf"] = shared_tinf(*map(conv_graph, (9, 40, 5)))
    body = """const session = await create({ worker: values.worker, threads: 2 });
        for (const [i, n] of values.sizes.entries()) {
            const x = new Tensor("float32", data.slice(0, 4 * n * n), [1, 4, n, n]);
            const { y, m } = await session.run({ x });
            await fetch(`/y${i}`, { method: "POST", body: y.data });
            await fetch(`/m${i}`, { method: "POST", body: m.data });
        }"""
    attempt(page, site, body, worker=worker, sizes=sizes)
    for i, n in enumerate(sizes):
        x = FEEDS["x"].ravel()[: 4 * n * n].reshape(1, 4, n, n)
        for name, expected in reference(conv_graph(n), {"x": x}).items():
            assert_same_bits(bits_of(site.received[f"{name}{i}"], expected), expected, f"{name} at {n}×{n}")


def test_profile_times_every_step(page: Page, site: Site) -> None:
    body = """const sessions = await Promise.all([1, 2].map(threads => create({ threads })));
        return await Promise.all(sessions.map(session => session.profile({ x })));"""
    plan = compiler.lower(conv_graph(SIZE))
    for times in attempt(page, site, body):
        assert [time["kernel"] for time in times] == [step.kernel for step in plan.steps]
        assert all(0 <= time["ms"] < 10_000 for time in times)


def test_it_describes_itself_as_in_a_worker(page: Page, site: Site) -> None:
    body = """const describe = async worker => {
            const s = await create({ worker });
            const { inputMetadata, outputMetadata, tier, threads, metadata, memory, fileSizes } = s;
            return { inputMetadata, outputMetadata, tier, threads, metadata, memory, fileSizes };
        };
        return [await describe(false), await describe(true)];"""
    inline, remote = attempt(page, site, body)
    assert inline == remote


# ── threads and memory ───────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_no_worker(page: Page, site: Site) -> None:
    body = """globalThis.Worker = class { constructor() { throw new Error("no Workers here") } };
        const session = await create({ threads: 1 });
        return Object.keys(await session.run({ x }));"""
    assert attempt(page, site, body) == ["y", "m"]
    assert site.fetched("index.js") == 1


def test_release_ends_the_threads(page: Page, site: Site) -> None:
    body = """self.session = await create({ threads: 3 });
        await self.session.run({ x });"""
    attempt(page, site, body)
    deadline = time.monotonic() + 10
    while len(page.workers) < 2 and time.monotonic() < deadline:  # their start is reported late
        page.wait_for_timeout(10)  # milliseconds
    assert len(page.workers) == 2
    page.evaluate("self.session.release()")
    assert_no_workers(page)


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_release_gives_the_memory_back(worker: bool, threads: int, page: Page, site: Site) -> None:
    """Even while the session itself is still held."""
    body = """const { Memory } = WebAssembly;
        self.memories = [];
        WebAssembly.Memory = class extends Memory {
            constructor(...args) { super(...args); self.memories.push(new WeakRef(this.buffer)); }
        };
        self.session = await create(values);
        await self.session.run({ x });
        await self.session.release();
        return self.memories.length;"""
    assert attempt(page, site, body, worker=worker, threads=threads) == (0 if worker else 1)
    assert_no_workers(page)
    client = page.context.new_cdp_session(page)
    page.wait_for_timeout(50)  # milliseconds; what a task holds, its end lets go
    client.send("HeapProfiler.collectGarbage")
    assert page.evaluate("self.memories.filter(memory => memory.deref()).length") == 0
    assert page.evaluate("self.session.outputNames") == ["y", "m"]


def test_calls_after_release_are_rejected(page: Page, site: Site) -> None:
    body = """const session = await create();
        await session.release();
        await session.release();
        return await Promise.all([session.run({ x }), session.profile({ x })].map(told));"""
    assert attempt(page, site, body) == ["TinyInferError: the session has been released"] * 2


@BOTH
def test_release_rejects_what_waits(worker: bool, page: Page, site: Site) -> None:
    body = """const session = await create(values);
        const runs = [1, 2, 3].map(() => told(session.run({ x })));
        session.release();
        return await Promise.all(runs);"""
    released = "TinyInferError: the session has been released"
    assert attempt(page, site, body, worker=worker) == [released if worker else "fine"] * 3


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_traps_name_the_node(worker: bool, threads: int, page: Page, site: Site) -> None:
    """An address beyond memory in every piece: each run fails, none hangs, and the session lives."""
    plan = shared(compiler.lower(tiny_graph(64)))
    (step,) = plan.steps
    broken = replace(plan, steps=(replace(step, args=(2**32 - 64 * 1024, *step.args[1:])),))
    site.files["trap.tinf"] = tinf.encode(tinf.ModelFile("tiny", (broken,), hashes(), {}))
    body = """const session = await create(values, "/trap.tinf");
        const feeds = { x: new Tensor("float32", new Float32Array(192), [64, 3]) };
        const messages = await Promise.all([1, 2, 3].map(() => told(session.run(feeds))));
        return [session.threads, ...messages];"""
    message = "EngineError: node MatMul_0 (MatMul), kernel f32_gemm: memory access out of bounds"
    assert attempt(page, site, body, worker=worker, threads=threads) == [threads, *[message] * 3]


def test_a_thread_that_cannot_start(page: Page, site: Site) -> None:
    """The session may have begun to work before that shows; then it ends."""
    site.files = Few(site.files, "index.js", 1)  # for the page, not for the thread
    body = """const session = await create({ threads: 2 });
        await new Promise(resolve => setTimeout(resolve, 500));
        return await told(session.run({ x }));"""
    assert attempt(page, site, body) == (
        "EngineError: a thread failed: its script could not be loaded (is it served, and allowed by worker-src?)"
    )
    assert answering_workers(page) == 0


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_loading_can_be_aborted(worker: bool, threads: int, page: Page, site: Site) -> None:
    """Whenever: the later moments are those at which a session would just have come into being."""
    body = """const messages = new Set();
        for (const wait of [0, 0, 1, 2, 4, 8, 16]) {
            const controller = new AbortController();
            const late = create({ ...values, signal: controller.signal });
            if (wait) setTimeout(() => controller.abort(), wait);
            else controller.abort();
            await late.then(session => session.release(), error => messages.add(error.name));
        }
        return [...messages];"""
    assert attempt(page, site, body, worker=worker, threads=threads) == ["AbortError"]
    assert_no_workers(page)


@pytest.mark.parametrize("value", ["1", "null", '"inline"'])
def test_worker_is_yes_or_no(value: str, page: Page, site: Site) -> None:
    message = f"TypeError: 'worker' is true or false, not {value.strip(chr(34))}"
    assert attempt(page, site, f"return await create({{ worker: {value} }});") == message
