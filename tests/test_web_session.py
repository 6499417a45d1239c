"""The session in headless Chromium: the API, the reference's bits, and what is said when something is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser_sessions import shared_tinf
from tests.damage import with_header
from tests.differential import assert_same_bits
from tests.models import add_graph, conv_graph, logic_graph, reference, tinf_of, tiny_graph, wide_graph
from tests.small_models import adder
from tests.website import Few, Site, assert_no_workers, library, run_in_browser, serve
from tinyinfer import InferenceSession
from tinyinfer.graph import Graph
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.kernel_module import load_kernels

METADATA = {"author": "Ada", "tinyinfer.labels": "a\nb"}


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({**library(), "tiny.tinf": tinf_of(tiny_graph(), metadata=METADATA)}) as running:
        yield running


def attempt(page: Page, site: Site, body: str, **values: Any) -> Any:
    """The value of the JavaScript function body `body`, or `"<error name>: <message>"`. `create()` loads tiny.tinf."""
    site.open(page)
    script = f"""async values => {{
        const {{ InferenceSession, Tensor, features }} = await import("/index.js");
        const create = (options, url = "/tiny.tinf") => InferenceSession.create(url, {{ cache: false, ...options }});
        const x = new Tensor("float32", [1, 2, 3, 4, 5, 6], [2, 3]);
        try {{ {body} }} catch (error) {{ return `${{error.name}}: ${{error.message}}` }}
    }}"""
    return page.evaluate(script, values)


def feeds_for(graph: Graph, seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    feeds = {}
    for name, value in graph.inputs.items():
        raw = random.integers(0, 256, value.type.nbytes, np.uint8).view(value.dtype.numpy).reshape(value.shape)
        # Any bits at all for integers; for floats ordinary numbers with some adversarial ones between them.
        if value.dtype is DType.FLOAT:
            special = random.choice(np.float32([0.0, -0.0, 1e-42, np.inf, -np.inf, np.nan, 3e38]), value.shape)
            usual = random.standard_normal(value.shape).astype(np.float32)
            raw = np.where(random.random(value.shape) < 0.05, special, usual)
        elif value.dtype is DType.BOOL:
            raw = random.random(value.shape) < 0.5
        feeds[name] = raw
    return feeds


# ── the same bits ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(tiny_graph(), id="matmul"),
        pytest.param(conv_graph(), id="conv-two-outputs"),
        pytest.param(add_graph(DType.FLOAT), id="float32"),
        pytest.param(add_graph(DType.INT32), id="int32"),
        pytest.param(add_graph(DType.INT64), id="int64"),
        pytest.param(logic_graph(), id="bool-uint8"),
    ],
)
def test_same_bits_as_reference_and_wasmtime(graph: Graph, page: Page, site: Site) -> None:
    blob = tinf_of(graph)
    site.files["model.tinf"] = blob
    site.open(page)
    python = InferenceSession(blob)
    for seed in range(3):
        feeds = feeds_for(graph, seed)
        browser = run_in_browser(page, site, "/model.tinf", feeds)
        expected, wasmtime = reference(graph, feeds), python.run(feeds)
        assert list(browser) == list(expected)
        for name in expected:
            assert_same_bits(browser[name], expected[name], f"{name} in Chromium")
            assert_same_bits(wasmtime[name], expected[name], f"{name} in wasmtime")


def test_a_shape_without_a_plan(page: Page, site: Site) -> None:
    site.files["conv.tinf"] = tinf_of(*map(conv_graph, (9, 40, 5)))
    body = """const session = await create({}, "/conv.tinf");
        return await session.run({ x: new Tensor("float32", new Float32Array(4), [1, 4, 1, 1]) });"""
    assert attempt(page, site, body) == (
        "FeedError: input 'x' has shape [1,4,1,1]. "
        "Expected: float32[1,4,9,9] or float32[1,4,40,40] or float32[1,4,5,5]."
    )


def test_shapes_of_different_plans_do_not_mix(page: Page, site: Site) -> None:
    site.files["add.tinf"] = tinf_of(add_graph(DType.FLOAT, 2), add_graph(DType.FLOAT, 4))
    body = """const session = await create({}, "/add.tinf");
        const [a, b] = [2, 4].map(n => new Tensor("float32", new Float32Array(3 * n), [n, 3]));
        return await session.run({ a, b });"""
    assert attempt(page, site, body) == (
        "FeedError: these shapes of inputs do not go together. Expected: "
        "a: float32[2,3], b: float32[2,3] or a: float32[4,3], b: float32[4,3]."
    )


# ── the API ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_session_describes_its_model(page: Page, site: Site) -> None:
    described = attempt(
        page,
        site,
        """const s = await create();
        const { inputNames, outputNames, inputMetadata, outputMetadata, metadata, memory, fileSizes } = s;
        return { inputNames, outputNames, inputMetadata, outputMetadata, metadata, memory, fileSizes };""",
    )
    (plan,) = InferenceSession(site.files["tiny.tinf"])._file.plans
    assert described == {
        "inputNames": ["x"],
        "outputNames": ["y"],
        "inputMetadata": [{"name": "x", "isTensor": True, "type": "float32", "shape": [2, 3]}],
        "outputMetadata": [{"name": "y", "isTensor": True, "type": "float32", "shape": [2, 5]}],
        "metadata": METADATA,
        "memory": {
            "weights": plan.weight_bytes,
            "arena": plan.memory_bytes - plan.arena_offset,
            "total": plan.memory_bytes,
        },
        "fileSizes": {"model": len(site.files["tiny.tinf"]), "kernels": len(load_kernels().wasm)},
    }


@pytest.mark.parametrize("source", ["buffer", "new Uint8Array(buffer)", "new URL('/tiny.tinf', location)"])
def test_model_from_bytes_and_url(source: str, page: Page, site: Site) -> None:
    body = f"""const buffer = await (await fetch("/tiny.tinf")).arrayBuffer();
        const session = await create({{}}, {source});
        return [session.outputNames, buffer.byteLength];"""
    assert attempt(page, site, body) == [["y"], len(site.files["tiny.tinf"])]


def test_a_header_of_many_pieces(page: Page, site: Site) -> None:
    notes = "".join(f"{i:07}" for i in range(150_000))
    site.files["model.tinf"] = tinf_of(tiny_graph(), metadata={"notes": notes})
    feeds = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
    site.open(page)
    (actual,) = run_in_browser(page, site, "/model.tinf", feeds, cache=False).values()
    assert_same_bits(actual, reference(tiny_graph(), feeds)["y"], "y")
    body = """return (await create({}, "/model.tinf")).metadata.notes;"""
    assert attempt(page, site, body) == notes


@pytest.mark.parametrize("source", ["url", "url without BYOB", "buffer", "taken buffer", "part of a buffer"])
def test_weights_of_many_pieces(source: str, page: Page, site: Site) -> None:
    """However they come, every byte is in its place."""
    graph = wide_graph()
    site.files["model.tinf"] = tinf_of(graph)
    body = """const url = "/model.tinf";
        const file = new Uint8Array(await (await fetch(url)).arrayBuffer());
        const padded = new Uint8Array(file.length + 77);
        padded.set(file, 66);
        const getReader = ReadableStream.prototype.getReader;
        if (values.source === "url without BYOB") {
            ReadableStream.prototype.getReader = function (options) {
                if (options) throw new TypeError("no such mode");
                return getReader.call(this);
            };
        }
        const models = { "buffer": file.buffer, "taken buffer": file, "part of a buffer": padded.subarray(66, -11) };
        const session = await create({ transfer: values.source === "taken buffer" }, models[values.source] ?? url);
        const { y } = await session.run({ x: new Tensor("float32", [0.3, -1.7], [1, 2]) });
        await fetch("/y", { method: "POST", body: y.data });
        return file.length > 0;"""
    assert attempt(page, site, body, source=source) is (source != "taken buffer")
    expected = reference(graph, {"x": np.array([[0.3, -1.7]], np.float32)})["y"]
    assert_same_bits(np.frombuffer(site.received["y"], np.float32).reshape(expected.shape), expected, "y")


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "not-isolated"])
def test_buffers_are_taken_on_request_only(isolated: bool, page: Page, site: Site) -> None:
    """And feeds only where they have to travel."""
    if not isolated:
        site.headers.pop("Cross-Origin-Embedder-Policy")
    body = """const model = await (await fetch("/tiny.tinf")).arrayBuffer();
        const session = await create({ transfer: true, threads: 1 }, model);
        await session.run({ x });
        const kept = x.data.length;
        await session.run({ x }, ["y"], { transfer: true });
        return [model.byteLength, kept, x.data.length];"""
    assert attempt(page, site, body) == [0, 6, 6 if isolated else 0]


def test_sessions_are_independent(page: Page, site: Site) -> None:
    site.files["conv.tinf"] = tinf_of(conv_graph())
    body = """const [a, b] = await Promise.all([create(), create({}, "/conv.tinf")]);
        await a.release();
        const { m } = await b.run({ x: new Tensor("float32", new Float32Array(324), [1, 4, 9, 9]) });
        return m.dims;"""
    assert attempt(page, site, body) == [1, 4]


def test_outputs_can_be_chosen(page: Page, site: Site) -> None:
    site.files["conv.tinf"] = tinf_of(conv_graph())
    body = """const session = await create({}, "/conv.tinf");
        const feeds = { x: new Tensor("float32", new Float32Array(324), [1, 4, 9, 9]) };
        return [Object.keys(await session.run(feeds)), Object.keys(await session.run(feeds, ["m"]))];"""
    assert attempt(page, site, body) == [["y", "m"], ["m"]]


def test_release_ends_the_worker(page: Page, site: Site) -> None:
    site.open(page)
    page.evaluate("""async () => {
        const { InferenceSession, Tensor } = await import("/index.js");
        globalThis.session = await InferenceSession.create("/tiny.tinf");
        globalThis.feeds = { x: new Tensor("float32", new Float32Array(6), [2, 3]) };
    }""")
    assert [worker.url for worker in page.workers] == [f"{site.url}/index.js"]
    page.evaluate("session.release()")
    assert_no_workers(page)


def test_download_progress(page: Page, site: Site) -> None:
    body = """const events = [];
        await create({ onProgress: event => events.push(event) });
        return events;"""
    events = attempt(page, site, body)
    for name in ("tiny.tinf", "kernels.simd128.wasm"):
        own = [event for event in events if event["url"] == f"{site.url}/{name}"]
        size = len(site.files[name])
        loaded = [event["loaded"] for event in own]
        assert loaded == sorted(loaded)
        assert (loaded[-1], {event["total"] for event in own}) == (size, {size})


def test_other_address_of_the_kernels(page: Page, site: Site) -> None:
    site.files["assets/k.wasm"] = site.files.pop("kernels.simd128.wasm")
    body = 'return (await create({ wasmUrl: "assets/k.wasm" })).outputNames;'
    assert attempt(page, site, body) == ["y"]


def test_features(page: Page, site: Site) -> None:
    body = "return features();"
    names = ["webAssembly", "simd", "relaxedSimd", "moduleWorker", "cacheStorage", "secureContext"]
    shared = ["crossOriginIsolated", "sharedMemory"]
    assert attempt(page, site, body) == dict.fromkeys([*names, *shared], True)
    site.headers.pop("Cross-Origin-Opener-Policy")
    assert attempt(page, site, body) == {**dict.fromkeys(names, True), **dict.fromkeys(shared, False)}
    assert_no_workers(page)


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ("{}", "input 'x' is missing in 'feeds'. Expected: float32[2,3]."),
        ("{ x: 1 }", "input 'x' is not a Tensor. Expected: float32[2,3]."),
        ("{ x: null }", "input 'x' is not a Tensor. Expected: float32[2,3]."),
        (
            '{ x: new Tensor("int32", new Int32Array(6), [2, 3]) }',
            "input 'x' has type int32. Expected: float32[2,3].",
        ),
        (
            '{ x: new Tensor("float32", new Float32Array(6), [3, 2]) }',
            "input 'x' has shape [3,2]. Expected: float32[2,3].",
        ),
        ("{ x, z: x }", "invalid input 'z'. The model's inputs are x: float32[2,3]."),
        (
            '{ x }, ["q"]',
            "'fetches' contains invalid output name: q. The model's outputs are y: float32[2,5].",
        ),
    ],
)
def test_feeds_that_do_not_fit(feeds: str, message: str, page: Page, site: Site) -> None:
    body = f"""const session = await create();
        const error = await session.run({feeds}).catch(error => error);
        const {{ y }} = await session.run({{ x }});
        return [error.name, error.message, y.dims];"""
    assert attempt(page, site, body) == ["FeedError", message, [2, 5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            '"float16", [1]',
            "TypeError: Unsupported tensor type: float16. Supported: float32, int64, int32, uint8, int8, bool.",
        ),
        ('"float32", [1, 2], [3]', "RangeError: Tensor's size(3) does not match data length(2)."),
        ('"float32", [1], [-1]', "RangeError: Invalid dims: [-1]."),
        ('"float32", new Int32Array(1)', "TypeError: A float32 tensor needs a Float32Array, not a Int32Array."),
    ],
)
def test_tensors_that_are_none(arguments: str, message: str, page: Page, site: Site) -> None:
    assert attempt(page, site, f"return new Tensor({arguments});") == message


def test_tensors_from_plain_arrays(page: Page, site: Site) -> None:
    body = """const tensors = [new Tensor("bool", [true, false]), new Tensor("int64", [1n, -2n], [2, 1])];
        return tensors.map(({ type, dims, data, size }) => [type, dims, Array.from(data, String), size]);"""
    assert attempt(page, site, body) == [["bool", [2], ["1", "0"], 2], ["int64", [2, 1], ["1", "-2"], 2]]


TINY = tinf_of(tiny_graph())
HEADER = 8 + int.from_bytes(TINY[:8], "little")


ONNX = "this is an ONNX file, to be compiled with `tinyinfer compile model.onnx -o model.tinf`"


def save_onnx() -> bytes:
    return adder().SerializeToString()


JUNK = TINY[:8] + b"\xff" * (len(TINY) - 8)
NO_PLANS = (2).to_bytes(8, "little") + b"{}"
UNREADABLE = "not a TinyInfer model, or truncated:"
DATA = len(TINY) - HEADER
CUT = shared_tinf(conv_graph())
CUT_STEP = next(step.split for step in InferenceSession(CUT)._file.plans[0].steps if step.split)
SPLIT = b"],[%d,%%d" % CUT_STEP.pieces
DAMAGED = {
    "empty": (b"", f"{UNREADABLE} it has only 0 bytes"),
    "short-header": (TINY[:100], f"{UNREADABLE} the header needs {HEADER - 8} bytes, the file has 92"),
    "short-data": (TINY[:-64], f"{UNREADABLE} the weights need {DATA} bytes, the file has {DATA - 64}"),
    "web-page": (b" \n<!doctype html><title>index</title>", "not a TinyInfer model: this is HTML (HTTP status 200)"),
    "onnx": (save_onnx(), f"not a TinyInfer model: {ONNX} (HTTP status 200)"),
    "bytes": (b"PK\x03\x04" * 10, "not a TinyInfer model: it is damaged"),
    "junk": (JUNK, "not a TinyInfer model, or damaged: its header is not a JSON object"),
    "safetensors": (NO_PLANS, "a safetensors file without TinyInfer plans; make one with `tinyinfer compile`"),
    "version": (
        with_header(TINY, b'\\"version\\":3', b'\\"version\\":7'),
        "format version 7, this TinyInfer reads version 3; compile the model again",
    ),
    "long": (TINY + bytes(64), "damaged: 64 bytes follow the weights"),
    "gap": (with_header(TINY, b'"data_offsets":[0', b'"data_offsets":[1'), "damaged: a tensor lies at 1 to"),
    "function": (with_header(TINY, b'\\"f32_gemm\\"', b"1"), "damaged: step 0"),
    "plans": (with_header(TINY, b'\\"plans\\":[', b'\\"plans\\":[],\\"q\\":['), "damaged: no plan"),
    "type": (with_header(TINY, b'\\"float32\\"', b'\\"float16\\"'), "damaged: tensor x of type float16"),
    "place": (with_header(TINY, b"[2,3],1280", b"[2,3],1281"), "damaged: tensor x at 1281"),
    "split": (with_header(CUT, SPLIT % 1, SPLIT % 0), "damaged: step"),
    "memory": (with_header(TINY, b'\\"memory\\":65536', b'\\"memory\\":65537'), "damaged: memory map"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_models(kind: str, page: Page, site: Site) -> None:
    blob, message = DAMAGED[kind]
    site.files["tiny.tinf"] = blob
    assert attempt(page, site, "return await create();").startswith(f"PlanError: {site.url}/tiny.tinf: {message}")
    assert_no_workers(page)


def test_a_damaged_header_is_reported_before_the_weights_have_come(page: Page, site: Site) -> None:
    blob = tinf_of(wide_graph())
    site.files["tiny.tinf"] = with_header(blob, b'\\"version\\":3', b'\\"version\\":7')
    site.stalled["tiny.tinf"] = len(blob) // 2
    message = attempt(page, site, "return await create();")
    assert message.startswith(f"PlanError: {site.url}/tiny.tinf: format version 7")
    assert_no_workers(page)


def test_loading_can_be_aborted_while_the_weights_come(page: Page, site: Site) -> None:
    site.files["tiny.tinf"] = tinf_of(wide_graph())
    site.stalled["tiny.tinf"] = 6_000_000
    body = """const controller = new AbortController();
        const onProgress = ({ url, loaded }) => url.endsWith(".tinf") && loaded > 5e6 && controller.abort();
        return await create({ signal: controller.signal, onProgress });"""
    assert attempt(page, site, body).startswith("AbortError: ")
    assert_no_workers(page)


def test_steps_that_do_not_fit_their_kernel(page: Page, site: Site) -> None:
    site.files["tiny.tinf"] = with_header(TINY, b'\\"f32_gemm\\"', b'\\"f32_nope\\"')
    assert attempt(page, site, "return await create();") == "PlanError: tiny: damaged: kernel f32_nope is missing"
    site.files["tiny.tinf"] = with_header(TINY, b'\\"f32_gemm\\"', b'\\"f32_clip\\"')
    taken = len(load_kernels().signature("f32_clip"))
    given = len(load_kernels().signature("f32_gemm"))
    assert attempt(page, site, "return await create();") == (
        f"PlanError: tiny: damaged: kernel f32_clip takes {taken} arguments, not {given}"
    )


def test_model_for_other_kernels(page: Page, site: Site) -> None:
    site.files["tiny.tinf"] = tinf_of(tiny_graph(), kernels={"simd128": "f" * 64})
    own = hashlib.sha256(site.files["kernels.simd128.wasm"]).hexdigest()
    assert attempt(page, site, "return await create();") == (
        f"PlanError: tiny was compiled for other kernels (SHA-256 ffffffffffff…, "
        f"{site.url}/kernels.simd128.wasm has {own[:12]}…). Author of this page: compile it again, and upload it with "
        "index.js and kernels of the same version (`tinyinfer bundle`)"
    )


def test_missing_files(page: Page, site: Site) -> None:
    message = "cannot be loaded: the server answered 404 Not Found"
    assert attempt(page, site, 'return await create({}, "/no.tinf");') == f"ModelError: {site.url}/no.tinf: {message}"
    del site.files["kernels.simd128.wasm"]
    kernels = f"{site.url}/kernels.simd128.wasm"
    assert attempt(page, site, "return await create();") == f"ModelError: {kernels}: {message}"


def test_no_network(page: Page, site: Site) -> None:
    body = 'return await create({}, "http://127.0.0.1:9/m.tinf");'
    assert attempt(page, site, body) == "ModelError: http://127.0.0.1:9/m.tinf: cannot be loaded: Failed to fetch"


def test_missing_worker(page: Page, site: Site) -> None:
    site.files = Few(site.files, "index.js", 1)
    assert attempt(page, site, "return await create();") == (
        "EngineError: the session's Worker failed: its script could not be loaded "
        "(is it served, and allowed by worker-src?)"
    )


def test_policy_without_webassembly(page: Page, site: Site) -> None:
    site.headers["Content-Security-Policy"] = "script-src 'self'"
    message = attempt(page, site, "return await create();")
    assert message.startswith("EngineError: the kernels cannot be compiled: ")
    assert "Content Security Policy" in message


def test_missing_features_are_named(page: Page, site: Site) -> None:
    body = """WebAssembly.validate = () => false;
        globalThis.Worker = class { constructor() { throw new Error() } };
        return await create();"""
    assert attempt(page, site, body) == (
        "EngineError: this browser lacks WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4) and "
        "module Workers (Chrome 80, Firefox 114, Safari 15); those versions or newer have it"
    )


def test_something_that_is_no_model(page: Page, site: Site) -> None:
    assert attempt(page, site, "return await create({}, 7);") == (
        "TypeError: a model must be a URL, an ArrayBuffer or a Uint8Array, not 7"
    )


def test_too_much_memory(page: Page, site: Site) -> None:
    site.files["tiny.tinf"] = with_header(TINY, b'\\"memory\\":65536', b'\\"memory\\":4294967296')
    body = """return await create().then(() => "created");"""
    assert attempt(page, site, body) in (
        "created",  # where the machine has that much to promise
        "EngineError: the browser did not give the 4096.0 MiB of memory that the model needs",
    )
