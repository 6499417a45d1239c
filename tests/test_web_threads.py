"""Threads in headless Chromium: the same bits for any number of them, and what happens when one cannot take part."""

from __future__ import annotations

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
from tests.website import Few, Site, answering_workers, assert_no_workers, run_in_browser, serve
from tinyinfer import compiler
from tinyinfer.bundle import web_files
from tinyinfer.graph import Graph
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes, load_kernels

KERNELS = {f"kernels.{tier}.wasm": load_kernels(tier).wasm for tier in TIERS}
SIZE = 40
FAILED = "EngineError: the session's Worker failed: Uncaught EngineError: a thread failed"
UNSERVED = "its script could not be loaded (is it served, and allowed by worker-src?)"
FEEDS = {"x": np.random.default_rng(5).standard_normal((1, 4, SIZE, SIZE)).astype(np.float32)}


def shared_tinf(*graphs: Graph) -> bytes:
    """The `.tinf` file of graphs that differ in shapes only, every step cut as finely as possible."""
    plans = tuple(shared(plan) for plan in compiler.lower_together(graphs))
    assert any(step.split for plan in plans for step in plan.steps)
    return tinf.encode(tinf.ModelFile(graphs[0].name, plans, hashes(), {}))


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({**web_files(demo=False), **KERNELS, "model.tinf": shared_tinf(conv_graph(SIZE))}) as running:
        yield running


def attempt(page: Page, site: Site, body: str, **values: Any) -> Any:
    """The value of the JavaScript function body `body`, or `"<error name>: <message>"`; `x` is the model's input."""
    site.files["x"] = FEEDS["x"].tobytes()
    site.open(page)
    script = f"""async values => {{
        const {{ InferenceSession, Tensor }} = await import("/index.js");
        const create = (options, url = "/model.tinf") => InferenceSession.create(url, {{ cache: false, ...options }});
        const data = new Float32Array(await (await fetch("/x")).arrayBuffer());
        const x = new Tensor("float32", data, [1, 4, {SIZE}, {SIZE}]);
        const equal = (a, b) => a.data.every((value, i) => value === b.data[i]);
        const same = (a, b) => equal(a.y, b.y) && equal(a.m, b.m);
        try {{ {body} }} catch (error) {{ return `${{error.name}}: ${{error.message}}` }}
    }}"""
    return page.evaluate(script, values)


# ── the same bits ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_digits_have_the_bits_of_the_reference(tier: str, threads: int, page: Page, site: Site) -> None:
    model = tinyinfer.compile(ROOT / "examples" / "digits" / "digits.onnx")
    site.files["model.tinf"] = tinf.encode(replace(model.file, plans=(shared(model.plan),)))
    feeds = {"image": np.random.default_rng(9).random((1, 1, 28, 28)).astype(np.float32)}
    site.open(page)
    outputs = run_in_browser(page, site, "/model.tinf", feeds, cache=False, tier=tier, threads=threads)
    for name, expected in reference(model.optimized[0], feeds, tier).items():
        assert_same_bits(outputs[name], expected, f"{name} with {threads} threads on {tier}")


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_convolutions_have_the_bits_of_the_reference(threads: int, page: Page, site: Site) -> None:
    site.open(page)
    outputs = run_in_browser(page, site, "/model.tinf", FEEDS, cache=False, threads=threads)
    for name, expected in reference(conv_graph(SIZE), FEEDS).items():
        assert_same_bits(outputs[name], expected, f"{name} with {threads} threads")


def test_every_run_gives_the_same(page: Page, site: Site) -> None:
    """Threads wake and fall asleep between runs, and meet them at any moment."""
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


def test_plans_for_several_shapes(page: Page, site: Site) -> None:
    sizes = [9, 40, 5]
    site.files["model.tinf"] = shared_tinf(*map(conv_graph, sizes))
    body = """const [alone, team] = await Promise.all([create({ threads: 1 }), create({ threads: 2 })]);
        const right = [];
        for (const n of [40, 9, 5, 40, 9, 9]) {
            const x = new Tensor("float32", data.slice(0, 4 * n * n), [1, 4, n, n]);
            right.push(same(await team.run({ x }), await alone.run({ x })));
        }
        return right;"""
    assert attempt(page, site, body) == [True] * 6


def test_sessions_run_at_the_same_time(page: Page, site: Site) -> None:
    body = """const [a, b, c] = await Promise.all([2, 3, 1].map(threads => create({ threads })));
        const runs = await Promise.all(Array.from({ length: 60 }, (_, i) => [a, b, c][i % 3].run({ x })));
        return runs.every(run => same(run, runs[0]));"""
    assert attempt(page, site, body) is True


def test_profile_times_every_step(page: Page, site: Site) -> None:
    body = "return await (await create({ threads: 2 })).profile({ x });"
    plan = compiler.lower(conv_graph(SIZE))
    times = attempt(page, site, body)
    assert [time["kernel"] for time in times] == [step.kernel for step in plan.steps]
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
    site.files["model.tinf"] = tinf_of(tiny_graph())
    body = """const session = await create({ threads: 3 });
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


# ── the end, and errors ──────────────────────────────────────────────────────────────────────────────────────────────


def test_release_ends_all_threads(page: Page, site: Site) -> None:
    body = """const session = await create({ threads: 3 });
        await session.run({ x });
        await session.release();"""
    attempt(page, site, body)
    assert_no_workers(page)


def test_a_call_that_traps_in_a_thread_names_the_node(page: Page, site: Site) -> None:
    """An address beyond memory in every piece: each run fails, none hangs, and the session lives."""
    plan = shared(compiler.lower(tiny_graph(64)))
    (step,) = plan.steps
    assert step.split is not None
    broken = replace(plan, steps=(replace(step, args=(2**32 - 64 * 1024, *step.args[1:])),))
    site.files["model.tinf"] = tinf.encode(tinf.ModelFile("tiny", (broken,), hashes(), {}))
    body = """const session = await create({ threads: 2 });
        const x = new Tensor("float32", new Float32Array(192), [64, 3]);
        const runs = [1, 2].map(() => session.run({ x }).catch(error => `${error.name}: ${error.message}`));
        return await Promise.all(runs);"""
    message = "EngineError: node MatMul_0 (MatMul), kernel f32_gemm: memory access out of bounds"
    assert attempt(page, site, body) == [message, message]


def test_a_thread_that_cannot_start(page: Page, site: Site) -> None:
    """The session may have begun to work before that shows; then it ends."""
    site.files = Few(site.files, "index.js", 2)  # for the page and the session, not for its threads
    body = """const session = await create({ threads: 2 });
        await new Promise(resolve => setTimeout(resolve, 1000));
        const runs = [1, 2].map(() => session.run({ x }).then(() => "ran", error => `${error.name}: ${error.message}`));
        return await Promise.all(runs);"""
    assert attempt(page, site, body) == [f"{FAILED}: {UNSERVED}"] * 2
    assert answering_workers(page) == 0


def test_a_session_without_threads_answers_until_it_is_released(page: Page, site: Site) -> None:
    """What the test before this one looks for can be seen."""
    assert attempt(page, site, "self.kept = await create({ threads: 1 }); return 1;") == 1
    assert answering_workers(page) == 1
    page.evaluate("self.kept.release()")
    assert_no_workers(page)
    assert answering_workers(page) == 0


def test_a_thread_that_dies_ends_the_session(page: Page, site: Site) -> None:
    served = site.files["index.js"]
    site.files["index.js"] = served.replace(b"serve(){", b'serve(){return setTimeout(()=>{throw Error("lost")},50);')
    assert site.files["index.js"] != served
    body = """const session = await create({ threads: 2 });
        await new Promise(resolve => setTimeout(resolve, 500));
        return await session.run({ x }).then(() => "ran");"""
    assert attempt(page, site, body) == f"{FAILED}: Uncaught Error: lost"
    assert_no_workers(page)
