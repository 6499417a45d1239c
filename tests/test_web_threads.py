"""Threads in headless Chromium: the same bits for any number of them, and what happens when one cannot take part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

import tinyinfer
from tests.browser_sessions import BOTH, FEEDS, SIZE, assert_posted, attempt, serve_sessions, shared_tinf
from tests.conftest import ROOT
from tests.differential import assert_same_bits, shared
from tests.models import conv_graph, reference, tiny_graph, winograd_graph
from tests.website import Few, Site, answering_workers, assert_no_workers, run_in_browser
from tinyinfer import compiler
from tinyinfer.graph import Graph
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes

ALONE = "EngineError: a thread failed"
LOST = "EngineError: the session's Worker failed: Uncaught EngineError: a thread failed"
UNSERVED = "its script could not be loaded (is it served, and allowed by worker-src?)"

RUN_UNTIL_IT_FAILS = """for (
    const late = performance.now() + 60000;
    await told(session.run({ x })) === "fine" && performance.now() < late;
) await new Promise(resolve => setTimeout(resolve, 10));"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_sessions() as running:
        yield running


# ── the same bits ────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_digits_have_the_bits_of_the_reference(worker: bool, tier: str, threads: int, page: Page, site: Site) -> None:
    model = tinyinfer.compile(ROOT / "examples" / "digits" / "digits.onnx")
    site.files["digits.tinf"] = tinf.encode(replace(model.file, plans=(shared(model.plan),)))
    feeds = {"image": np.random.default_rng(9).random((1, 1, 28, 28)).astype(np.float32)}
    options: dict[str, Any] = {"worker": worker, "cache": False, "tier": tier, "threads": threads}
    site.open(page)
    outputs = run_in_browser(page, site, "/digits.tinf", feeds, **options)
    for name, expected in reference(model.optimized[0], feeds, tier).items():
        assert_same_bits(outputs[name], expected, f"{name} with {threads} threads on {tier}")


@BOTH
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_convolutions_have_the_bits_of_the_reference(worker: bool, threads: int, page: Page, site: Site) -> None:
    body = """const session = await create();
        await post(await session.run({ x }));
        return session.threads;"""
    assert attempt(page, site, body, worker=worker, threads=threads) == threads
    assert_posted(site, FEEDS)


@BOTH
@pytest.mark.parametrize("graph", [conv_graph, winograd_graph])
def test_every_run_gives_the_same(graph: Callable[[int], Graph], worker: bool, page: Page, site: Site) -> None:
    """Threads wake and fall asleep between runs, and meet them at any moment; a page cannot sleep meanwhile. Where
    kernels need scratch, threads have one each."""
    site.files["model.tinf"] = shared_tinf(graph(SIZE))
    body = """const alone = await create({ threads: 1 });
        const team = await create({ threads: 3 });
        const expected = await alone.run({ x });
        let right = 0;
        for (let i = 0; i < 300; i++) {
            if (i % 50 === 0) await new Promise(resolve => setTimeout(resolve, 20));
            right += same(await team.run({ x }), expected);
        }
        return [alone.threads, team.threads, right];"""
    assert attempt(page, site, body, worker=worker) == [1, 3, 300]


@BOTH
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_that_are_held_up_anywhere(worker: bool, threads: int, page: Page, site: Site) -> None:
    """Before and after any look at what is shared, for longer than others need for a run."""
    hold = b"""for (const name of ["load", "add", "store", "compareExchange"]) {
        const original = Atomics[name];
        const hold = () => {
            if (Math.random() > 0.01) return;
            for (const end = performance.now() + Math.random(); performance.now() < end; );
        };
        Atomics[name] = (...args) => { hold(); const value = original(...args); hold(); return value; };
    }
    """
    site.files["index.js"] = hold + site.files["index.js"]
    body = """const team = await create();
        const expected = await (await create({ threads: 1 })).run({ x });
        let right = 0;
        for (let i = 0; i < 100; i++) right += same(await team.run({ x }), expected);
        return right;"""
    assert attempt(page, site, body, worker=worker, threads=threads) == 100


@BOTH
def test_a_thread_that_starts_late(worker: bool, page: Page, site: Site) -> None:
    """Nobody waits for it; it joins in the middle of a run or between two."""
    served = site.files["index.js"]
    late = b"serve(){for(const end=performance.now()+500;performance.now()<end;);"
    site.files["index.js"] = served.replace(b"serve(){", late)
    assert site.files["index.js"] != served
    body = """const team = await create({ threads: 2 });
        const expected = await (await create({ threads: 1 })).run({ x });
        let runs = 0, right = 0;
        for (const end = performance.now() + 1000; performance.now() < end; runs++) {
            right += same(await team.run({ x }), expected);
        }
        return right === runs && runs > 10;"""
    assert attempt(page, site, body, worker=worker) is True


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_plans_for_several_shapes(worker: bool, threads: int, page: Page, site: Site) -> None:
    """Runs alternate between plans with different constants in one memory."""
    sizes = [40, 9, 5, 40, 9, 9]
    site.files["model.tinf"] = shared_tinf(*map(conv_graph, (9, 40, 5)))
    body = f"""const session = await create();
        for (const [i, n] of {sizes}.entries()) {{
            const x = new Tensor("float32", data.slice(0, 4 * n * n), [1, 4, n, n]);
            await post(await session.run({{ x }}), i);
        }}
        return session.threads;"""
    assert attempt(page, site, body, worker=worker, threads=threads) == threads
    for i, n in enumerate(sizes):
        assert_posted(site, {"x": FEEDS["x"].ravel()[: 4 * n * n].reshape(1, 4, n, n)}, n, str(i))


def test_sessions_run_at_the_same_time(page: Page, site: Site) -> None:
    body = """const [a, b, c] = await Promise.all([2, 3, 1].map(threads => create({ threads })));
        const runs = await Promise.all(Array.from({ length: 60 }, (_, i) => [a, b, c][i % 3].run({ x })));
        return runs.every(run => same(run, runs[0]));"""
    assert attempt(page, site, body) is True


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_profile_times_every_step(worker: bool, threads: int, page: Page, site: Site) -> None:
    times = attempt(page, site, "return await (await create()).profile({ x });", worker=worker, threads=threads)
    plan = compiler.lower(conv_graph(SIZE))
    assert [time["kernel"] for time in times] == [step.kernel for step in plan.steps]
    assert [time["op"] for time in times] == [plan.nodes[step.node].op for step in plan.steps]
    assert all(0 <= time["ms"] < 10_000 for time in times)
    assert sum(time["ms"] for time in times) > 0


# ── how many ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 2), (8, 4), (64, 4), ("undefined", 1)])
def test_default_is_half_of_the_cores_at_most_four(cores: Any, threads: int, page: Page, site: Site) -> None:
    body = f"""Object.defineProperty(navigator, "hardwareConcurrency", {{ value: {cores} }});
        return (await create()).threads;"""
    assert attempt(page, site, body) == threads


@pytest.mark.parametrize("threads", ["0", "-1", "1.5", "65", '"2"', "null"])
def test_numbers_of_threads_that_cannot_be(threads: str, page: Page, site: Site) -> None:
    message = f"RangeError: 'threads' is a whole number from 1 to 64, not {threads.strip(chr(34))}"
    assert attempt(page, site, f"return await create({{ threads: {threads} }});") == message
    assert_no_workers(page)


def test_small_models_have_one_thread(page: Page, site: Site) -> None:
    body = """const session = await create({ threads: 3 }, "/tiny.tinf");
        const { y } = await session.run({ x: new Tensor("float32", new Float32Array(6), [2, 3]) });
        return [session.threads, y.dims];"""
    assert attempt(page, site, body) == [1, [2, 5]]
    assert len(page.workers) == 1


def test_without_isolation_there_is_one_thread_and_one_warning(page: Page, site: Site) -> None:
    site.headers.pop("Cross-Origin-Embedder-Policy")
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    body = """const sessions = [];
        for (const threads of [3, 2, 1]) sessions.push(await create({ threads }));
        const runs = await Promise.all(sessions.map(session => session.run({ x })));
        return [sessions.map(session => session.threads), runs.every(run => same(run, runs[0]))];"""
    assert attempt(page, site, body) == [[1, 1, 1], True]
    headers = "Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp"
    assert warnings == [
        f"tinyinfer: one thread instead of 3: the page is not cross-origin isolated ({headers})",
    ]


@BOTH
def test_without_shared_memory_there_is_one_thread(worker: bool, page: Page, site: Site) -> None:
    """WebKitGTK says that pages are isolated, but has no SharedArrayBuffer."""
    page.add_init_script("delete globalThis.SharedArrayBuffer")
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    body = """const session = await create({ threads: 2 });
        await post(await session.run({ x }));
        return [crossOriginIsolated, session.threads];"""
    assert attempt(page, site, body, worker=worker) == [True, 1]
    assert_posted(site, FEEDS)
    assert warnings == ["tinyinfer: one thread instead of 2: there is no SharedArrayBuffer or Worker here"]


# ── the end, and errors ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("worker", "workers"), [(False, 2), (True, 3)], ids=["inline", "worker"])
def test_release_ends_all_threads(worker: bool, workers: int, page: Page, site: Site) -> None:
    body = """self.session = await create({ threads: 3 });
        await self.session.run({ x });"""
    attempt(page, site, body, worker=worker)
    deadline = time.monotonic() + 60
    while len(page.workers) < workers and time.monotonic() < deadline:  # their start is reported late
        page.wait_for_timeout(10)  # milliseconds
    assert len(page.workers) == workers
    page.evaluate("self.session.release()")
    assert_no_workers(page)


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_traps_name_the_node(worker: bool, threads: int, page: Page, site: Site) -> None:
    """An address beyond memory in every piece: each run fails and writes nothing, none hangs, and the session lives."""
    plan = shared(compiler.lower(tiny_graph(64)))
    (step,) = plan.steps
    assert step.split is not None
    broken = replace(plan, steps=(replace(step, args=(2**32 - 64 * 1024, *step.args[1:])),))
    site.files["trap.tinf"] = tinf.encode(tinf.ModelFile("tiny", (broken,), hashes(), {}))
    body = """const session = await create({}, "/trap.tinf");
        const feeds = { x: new Tensor("float32", new Float32Array(192), [64, 3]) };
        const together = await Promise.all([1, 2, 3].map(() => told(session.run(feeds))));
        const y = new Tensor("float32", new Float32Array(320).fill(7), [64, 5]);
        const into = await told(session.run(feeds, { y }));
        return [session.threads, y.data.every(value => value === 7), ...together, into];"""
    message = "EngineError: node MatMul_0 (MatMul), kernel f32_gemm: memory access out of bounds"
    assert attempt(page, site, body, worker=worker, threads=threads) == [threads, True, *[message] * 4]


@pytest.mark.parametrize(
    ("worker", "scripts", "message"),
    [(False, 1, f"{ALONE}: {UNSERVED}"), (True, 2, f"{LOST}: {UNSERVED}")],
    ids=["inline", "worker"],
)
def test_a_thread_that_cannot_start(worker: bool, scripts: int, message: str, page: Page, site: Site) -> None:
    """The session may have begun to work before that shows; then it ends."""
    site.files = Few(site.files, "index.js", scripts)  # for the page and the session's Worker, not for threads
    body = f"""const session = await create({{ threads: 2 }});
        {RUN_UNTIL_IT_FAILS}
        return await Promise.all([1, 2].map(() => told(session.run({{ x }}))));"""
    assert attempt(page, site, body, worker=worker) == [message] * 2
    assert answering_workers(page) == 0


def test_a_session_without_threads_answers_until_it_is_released(page: Page, site: Site) -> None:
    """What the test before this one looks for can be seen."""
    assert attempt(page, site, "self.kept = await create({ threads: 1 }); return 1;") == 1
    assert answering_workers(page, least=1) == 1
    page.evaluate("self.kept.release()")
    assert_no_workers(page)
    assert answering_workers(page) == 0


@pytest.mark.parametrize(("worker", "failed"), [(False, ALONE), (True, LOST)], ids=["inline", "worker"])
def test_a_thread_that_dies_ends_the_session(worker: bool, failed: str, page: Page, site: Site) -> None:
    served = site.files["index.js"]
    site.files["index.js"] = served.replace(b"serve(){", b'serve(){return setTimeout(()=>{throw Error("lost")},50);')
    assert site.files["index.js"] != served
    body = f"""const session = await create({{ threads: 2 }});
        {RUN_UNTIL_IT_FAILS}
        return await told(session.run({{ x }}));"""
    assert attempt(page, site, body, worker=worker) == f"{failed}: Uncaught Error: lost"
    assert_no_workers(page)
