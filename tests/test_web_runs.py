"""Runs and their end: the same in a Worker of the session's own and in the calling thread."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser_sessions import BOTH, ISOLATED, SIZE, attempt, serve_sessions
from tests.models import tinf_of, wide_graph
from tests.website import Site, assert_no_workers, library, serve


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_sessions() as running:
        yield running


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
@ISOLATED
def test_overlapping_runs(worker: bool, threads: int, isolated: bool, page: Page, site: Site) -> None:
    """Feeds count as they are when `run` is called; answers come in the order of the calls, each its own."""
    if not isolated:
        site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """const [session, alone] = [await create(), await create({ worker: false, threads: 1 })];
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
    body = """const session = await create();
        const first = await session.run({ x });
        const before = { y: { data: first.y.data.slice() }, m: { data: first.m.data.slice() } };
        const kept = x.data.slice();
        await session.run({ x: times(3) });
        const { y } = await session.run({ x }, ["y"], { transfer: true });
        const buffers = [first.y, first.m, y].map(({ data }) => data.buffer instanceof ArrayBuffer);
        return [same(first, before), kept.length, buffers, y.data.every((v, i) => v === first.y.data[i])];"""
    assert attempt(page, site, body, worker=worker) == [True, 4 * SIZE * SIZE, [True] * 3, True]


@BOTH
@ISOLATED
def test_outputs_into_given_tensors(worker: bool, isolated: bool, page: Page, site: Site) -> None:
    """Again and again, some given and some new, also by overlapping runs."""
    if not isolated:
        site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """const session = await create({ threads: 1 });
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
    body = """const session = await create({}, "/tiny.tinf");
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


WIDE = """async ([url, k, columns]) => {
    const { InferenceSession, Tensor } = await import("/index.js");
    const session = await InferenceSession.create(url, { cache: false, worker: false });
    const big = [];
    globalThis.ArrayBuffer = class extends ArrayBuffer {
        constructor(bytes) { super(bytes); if (bytes === 4 * columns) big.push(this); }
    };
    const feeds = value => ({ x: new Tensor("float32", new Float32Array(k).fill(value), [1, k]) });
    const counts = [];
    const idle = async () => { await new Promise(done => setTimeout(done, 20)); counts.push(big.length); };
    const run = async (...args) => { const { y } = await session.run(...args); counts.push(big.length); return y; };
    const equal = (a, b) => a.every((value, i) => Object.is(value, b[i]));
    const first = await run(feeds(1)); // makes its own
    await idle();
    const second = await run(feeds(-3)); // has what was made meanwhile
    const third = await run(feeds(1)); // comes before there was time for another
    const right = [equal(first.data, third.data), !equal(first.data, second.data)];
    await idle();
    await run(feeds(2), { y: first }); // needs none, so none is kept or made
    await idle();
    await run(feeds(2));
    await session.release();
    await idle();
    right.push(new Set([first, second, third].map(({ data }) => data.buffer)).size === 3);
    return [counts, right];
}"""


@pytest.mark.parametrize(
    ("columns", "k", "counts"),
    [
        pytest.param(2**18, 24, [1, 2, 2, 3, 4, 4, 4, 5, 5], id="large"),
        pytest.param(2**18, 8, [1, 1, 2, 3, 3, 3, 3, 4, 4], id="large-share-of-memory"),
        pytest.param(2**18 - 8, 24, [1, 1, 2, 3, 3, 3, 3, 4, 4], id="small"),
    ],
)
def test_arrays_made_between_runs(columns: int, k: int, counts: list[int], page: Page) -> None:
    """How many buffers for the output there have been after each run, and after the thread had nothing to do.

    Outputs of 1 MiB and more that take a sixteenth of linear memory at most are made ahead, each for one run only.
    """
    with serve({**library(), "wide.tinf": tinf_of(wide_graph(columns, k))}) as site:
        site.open(page)
        assert page.evaluate(WIDE, ["/wide.tinf", k, columns]) == [counts, [True] * 3]


def test_arrays_made_between_runs_are_one_for_each_output(page: Page) -> None:
    """Outputs of the same size do not get the same array."""
    graph = wide_graph(2**18, 36, negated=True)
    script = """async url => {
        const { InferenceSession, Tensor } = await import("/index.js");
        const session = await InferenceSession.create(url, { cache: false, worker: false });
        const x = new Tensor("float32", new Float32Array(36).fill(1), [1, 36]);
        await session.run({ x });
        await new Promise(done => setTimeout(done, 20));
        const { y, z } = await session.run({ x });
        return y.data.every((value, i) => value && z.data[i] === -value);
    }"""
    with serve({**library(), "wide.tinf": tinf_of(graph)}) as site:
        site.open(page)
        assert page.evaluate(script, "/wide.tinf") is True


# ── release ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_release_gives_the_memory_back(worker: bool, threads: int, page: Page, site: Site) -> None:
    """Even while the session itself is still held."""
    body = """const { Memory } = WebAssembly;
        self.memories = [];
        WebAssembly.Memory = class extends Memory {
            constructor(...args) { super(...args); self.memories.push(new WeakRef(this.buffer)); }
        };
        self.session = await create();
        await self.session.run({ x });
        await self.session.release();
        return self.memories.length;"""
    assert attempt(page, site, body, worker=worker, threads=threads) == (0 if worker else 1)
    assert_no_workers(page)
    client = page.context.new_cdp_session(page)
    deadline = time.monotonic() + 60
    held = "self.memories.filter(memory => memory.deref()).length"
    while page.evaluate(held) and time.monotonic() < deadline:  # what a task holds, its end lets go
        client.send("HeapProfiler.collectGarbage")
    assert page.evaluate(held) == 0
    assert page.evaluate("self.session.outputNames") == ["y", "m"]


@BOTH
def test_calls_after_release_are_rejected(worker: bool, page: Page, site: Site) -> None:
    body = """const session = await create();
        await session.release();
        await session.release();
        return await Promise.all([session.run({ x }), session.profile({ x })].map(told));"""
    assert attempt(page, site, body, worker=worker) == ["TinyInferError: the session has been released"] * 2


@BOTH
def test_release_rejects_what_waits(worker: bool, page: Page, site: Site) -> None:
    body = """const session = await create();
        const runs = [1, 2, 3].map(() => told(session.run({ x })));
        session.release();
        return await Promise.all(runs);"""
    released = "TinyInferError: the session has been released"
    assert attempt(page, site, body, worker=worker) == [released if worker else "fine"] * 3


# ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_loading_can_be_aborted(worker: bool, threads: int, page: Page, site: Site) -> None:
    """Whenever: the later moments are those at which a session would just have come into being."""
    body = """const early = await create({ signal: AbortSignal.abort() }).catch(error => error.name);
        const late = new Set();
        for (const wait of [0, 0, 1, 2, 4, 8, 16]) {
            const controller = new AbortController();
            const session = create({ signal: controller.signal });
            if (wait) setTimeout(() => controller.abort(), wait);
            else controller.abort();
            await session.then(session => session.release(), error => late.add(error.name));
        }
        return [early, ...late];"""
    assert attempt(page, site, body, worker=worker, threads=threads) == ["AbortError"] * 2
    assert_no_workers(page)
