"""Model and kernels are kept in the browser's cache storage, and fetched again when they are not right."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.differential import assert_same_bits
from tests.models import reference, tinf_of, tiny_graph, wide_graph
from tests.website import Site, library, run_in_browser, serve, tag_of
from tinyinfer.graph import Graph
from tinyinfer.wasm_backend.kernel_module import load_kernels
from tinyinfer.web_build import WEB

MODEL, KERNELS = "tiny.tinf", "kernels.simd128.wasm"

CREATE = """async options => {
    const { InferenceSession } = await import("/index.js");
    try {
        const session = await InferenceSession.create("/tiny.tinf", options);
        const names = session.outputNames;
        await session.release();
        return names;
    } catch (error) {
        return `${error.name}: ${error.message}`;
    }
}"""

FROM_BUFFER = """async transfer => {
    const { InferenceSession } = await import("/index.js");
    const buffer = await (await fetch("/tiny.tinf")).arrayBuffer();
    return (await InferenceSession.create(buffer, { transfer })).outputNames;
}"""

EDIT = """async ({ name, edit, tag }) => {
    const cache = await caches.open("tinyinfer");
    const bytes = new Uint8Array(await (await cache.match(name)).arrayBuffer());
    if (edit === "delete") return await cache.delete(name);
    if (edit === "flip") bytes[bytes.length >> 1] ^= 1;
    const headers = edit === "tag" ? { etag: tag } : {};
    await cache.put(name, new Response(edit === "junk" ? "junk" : bytes, { headers }));
}"""

KEPT = """async () => {
    if (!await caches.has("tinyinfer")) return [];
    const requests = await (await caches.open("tinyinfer")).keys();
    return requests.map(({ url }) => new URL(url).pathname.slice(1)).sort();
}"""


IS_KEPT = """async ({ name, sha256 }) => {
    const response = await caches.match(name, { cacheName: "tinyinfer" });
    if (!response) return false;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.arrayBuffer()));
    return Array.from(digest, byte => byte.toString(16).padStart(2, "0")).join("") === sha256;
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serve({**library(), MODEL: tinf_of(tiny_graph())}) as running:
        yield running


def create(page: Page, site: Site, **options: Any) -> Any:
    site.open(page)
    return page.evaluate(CREATE, options)


def wait_until_kept(page: Page, site: Site, *names: str) -> None:
    """Files are kept in the background."""
    deadline = time.monotonic() + 60
    for name in names:
        file = {"name": name, "sha256": hashlib.sha256(site.files[name]).hexdigest()}
        while not page.evaluate(IS_KEPT, file):
            assert time.monotonic() < deadline, f"{name} is not kept"
            page.wait_for_timeout(10)  # milliseconds


def create_and_keep(page: Page, site: Site, **options: Any) -> None:
    assert create(page, site, **options) == ["y"]
    wait_until_kept(page, site, KERNELS, MODEL)


def fetches(site: Site) -> tuple[int, int]:
    """How often the model and the kernels were fetched since the last call."""
    counts = site.fetched(".tinf"), site.fetched(".wasm")
    site.requests.clear()
    return counts


def test_second_load_needs_no_network(page: Page, site: Site) -> None:
    create_and_keep(page, site)
    assert fetches(site) == (1, 1)
    assert create(page, site) == ["y"]
    assert fetches(site) == (0, 0)
    del site.files[MODEL], site.files[KERNELS]
    assert create(page, site) == ["y"]


def test_a_kept_model_has_the_same_bits(page: Page, site: Site) -> None:
    """More of it than is written ahead."""
    graph = wide_graph()
    site.files[MODEL] = tinf_of(graph)
    feeds = {"x": np.array([[0.3, -1.7]], np.float32)}
    expected = reference(graph, feeds)["y"]
    create_and_keep(page, site)
    del site.files[MODEL], site.files[KERNELS]
    assert_same_bits(run_in_browser(page, site, f"/{MODEL}", feeds)["y"], expected, "y")


def test_progress_of_a_kept_file(page: Page, site: Site) -> None:
    create_and_keep(page, site)
    fetches(site)
    events = page.evaluate(
        """async () => {
            const { InferenceSession } = await import("/index.js");
            const events = [];
            await InferenceSession.create("/tiny.tinf", { onProgress: event => events.push(event) });
            return events;
        }"""
    )
    assert fetches(site) == (0, 0)
    for name in (MODEL, KERNELS):
        own = [event for event in events if event["url"] == f"{site.url}/{name}"]
        assert {event["total"] for event in own} == {len(site.files[name])}
        assert own[-1]["loaded"] == len(site.files[name])


@pytest.mark.parametrize(("name", "edit"), [(KERNELS, "flip"), (KERNELS, "junk"), (MODEL, "junk"), (MODEL, "flip")])
def test_bad_entry_is_fetched_again(name: str, edit: str, page: Page, site: Site) -> None:
    wanted = {"sha256": hashlib.sha256(site.files[MODEL]).hexdigest()}
    create_and_keep(page, site, **wanted)
    page.evaluate(EDIT, {"name": name, "edit": edit})
    fetches(site)
    create_and_keep(page, site, **wanted)
    assert fetches(site) == (1, 1)


def test_bad_kernels_show_while_the_model_comes(page: Page, site: Site) -> None:
    """Pieces of the first attempt do not get into the second."""
    site.files[MODEL] = tinf_of(wide_graph())
    create_and_keep(page, site)
    page.evaluate(EDIT, {"name": KERNELS, "edit": "junk"})
    assert create(page, site) == ["y"]


@pytest.mark.parametrize("transfer", [False, True])
def test_bad_kernels_show_while_a_buffer_is_taken(transfer: bool, page: Page, site: Site) -> None:
    create_and_keep(page, site)
    page.evaluate(EDIT, {"name": KERNELS, "edit": "junk"})
    site.files[MODEL] = tinf_of(wide_graph())
    assert page.evaluate(FROM_BUFFER, transfer) == ["y"]


def test_bad_entry_is_not_used_without_network(page: Page, site: Site) -> None:
    create_and_keep(page, site)
    page.evaluate(EDIT, {"name": MODEL, "edit": "junk"})
    del site.files[MODEL]
    assert create(page, site).startswith("ModelError: ")


def test_a_transfer_that_breaks_off_is_not_kept(page: Page, site: Site) -> None:
    site.files[MODEL] = tinf_of(wide_graph())
    site.cut[MODEL] = 7_000_000
    assert create(page, site) == f"ModelError: {site.url}/{MODEL}: cannot be loaded: network error"
    site.cut.clear()
    site.requests.clear()
    create_and_keep(page, site)
    assert site.fetched(".tinf") == 1


def test_no_cache_on_request(page: Page, site: Site) -> None:
    for _ in range(2):
        assert create(page, site, cache=False) == ["y"]
        assert fetches(site) == (1, 1)
    assert page.evaluate(KEPT) == []


def new_deployment(site: Site) -> None:
    """Other kernels (with an empty custom section more) and a model made for them."""
    site.files[KERNELS] += b"\x00\x02\x01x"
    digest = hashlib.sha256(site.files[KERNELS]).hexdigest()
    site.files[MODEL] = tinf_of(tiny_graph(), kernels={"simd128": digest})


def test_kept_files_of_one_version_stay_together(page: Page, site: Site) -> None:
    create_and_keep(page, site)
    new_deployment(site)
    fetches(site)
    assert create(page, site) == ["y"]
    assert fetches(site) == (0, 0)


@pytest.mark.parametrize("lost", [MODEL, KERNELS])
def test_files_of_two_versions_are_fetched_again(lost: str, page: Page, site: Site) -> None:
    create_and_keep(page, site)
    new_deployment(site)
    page.evaluate(EDIT, {"name": lost, "edit": "delete"})
    create_and_keep(page, site)
    fetches(site)
    assert create(page, site) == ["y"]
    assert fetches(site) == (0, 0)


@pytest.mark.parametrize("transfer", [False, True])
def test_kept_kernels_of_another_version_than_a_buffer(transfer: bool, page: Page, site: Site) -> None:
    create_and_keep(page, site)
    new_deployment(site)
    assert page.evaluate(FROM_BUFFER, transfer) == ["y"]


def test_wanted_hash(page: Page, site: Site) -> None:
    old = hashlib.sha256(site.files[MODEL]).hexdigest()
    create_and_keep(page, site, sha256=old)
    site.files[MODEL] = tinf_of(tiny_graph(), metadata={"version": "2"})
    new = hashlib.sha256(site.files[MODEL]).hexdigest()
    fetches(site)
    assert create(page, site, sha256=new) == ["y"]
    assert fetches(site) == (1, 1)
    wait_until_kept(page, site, MODEL)
    assert create(page, site, sha256=old) == (f"ModelError: {site.url}/{MODEL}: its SHA-256 is {new}, expected {old}")


VERSION = """async options => {
    const { InferenceSession } = await import("/index.js");
    try {
        const session = await InferenceSession.create("/tiny.tinf", options);
        await session.release();
        return session.metadata.version ?? "1";
    } catch (error) {
        return `${error.name}: ${error.message}`;
    }
}"""

TAGS = pytest.mark.parametrize("tagged", ["ETag", "Last-Modified"])


def version(page: Page, site: Site, **options: Any) -> Any:
    """Which one of the models that the server has had."""
    site.open(page)
    return page.evaluate(VERSION, options)


def replace_model(site: Site) -> None:
    site.files[MODEL] = tinf_of(tiny_graph(), metadata={"version": "2"})


def wait_for(page: Page, requests: list[str], *names: str) -> None:
    """Until the server has been asked for these, in the background."""
    deadline = time.monotonic() + 60
    while not set(names) <= set(requests):
        assert time.monotonic() < deadline, requests
        page.wait_for_timeout(10)  # milliseconds


@TAGS
def test_a_replaced_model_is_there_the_next_time(tagged: str, page: Page, site: Site) -> None:
    site.tagged = tagged
    create_and_keep(page, site)
    replace_model(site)
    assert version(page, site) == "1"
    wait_until_kept(page, site, MODEL)
    assert version(page, site) == "2"


@pytest.mark.parametrize("tagged", ["ETag", "Last-Modified", ""])
def test_the_server_is_asked_first_on_demand(tagged: str, page: Page, site: Site) -> None:
    site.tagged = tagged
    create_and_keep(page, site)
    replace_model(site)
    assert version(page, site, cache="no-cache") == "2"
    wait_until_kept(page, site, MODEL)
    assert version(page, site) == "2"


def test_a_server_that_does_not_tell_versions_apart(page: Page, site: Site) -> None:
    create_and_keep(page, site)
    replace_model(site)
    for _ in range(2):
        assert version(page, site) == "1"


@TAGS
@pytest.mark.parametrize("cache", [True, "no-cache"])
def test_what_has_not_changed_is_not_sent_again(cache: Any, tagged: str, page: Page, site: Site) -> None:
    site.tagged = tagged
    create_and_keep(page, site)
    assert create(page, site, cache=cache) == ["y"]
    wait_for(page, site.unchanged, MODEL)
    assert KERNELS not in site.unchanged


def test_the_kept_copy_serves_what_has_not_changed(page: Page, site: Site) -> None:
    """Also where the browser's own cache has let it go: the server's answer is not read."""
    site.tagged = "ETag"
    create_and_keep(page, site)
    page.evaluate(EDIT, {"name": MODEL, "edit": "tag", "tag": tag_of(site.files[MODEL], "ETag")})
    site.stalled[MODEL] = 0
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    assert create(page, site, cache="no-cache") == ["y"]


NO_MODELS = {
    "gone": None,
    "page": b"<!doctype html>",
    "cut header": tinf_of(tiny_graph())[:99],
    "cut weights": tinf_of(tiny_graph())[:-1],
    "flipped": tinf_of(tiny_graph())[:-64] + b"\xff" + tinf_of(tiny_graph())[-63:],
}


@pytest.mark.parametrize("content", NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_model_replaces_none(content: bytes | None, page: Page, site: Site) -> None:
    """The network is cut, a hotel answers, or a file is just being uploaded."""
    site.tagged = "ETag"
    create_and_keep(page, site)
    del site.files[MODEL]
    if content is not None:
        site.files[MODEL] = content
    for _ in range(2):
        site.requests.clear()
        assert create(page, site) == ["y"]
        wait_for(page, site.requests, MODEL)
    assert create(page, site, cache="no-cache").startswith(("ModelError: ", "PlanError: "))


def test_model_and_kernels_are_replaced_together(page: Page, site: Site) -> None:
    site.tagged = "ETag"
    create_and_keep(page, site)
    new_deployment(site)
    assert create(page, site) == ["y"]
    wait_until_kept(page, site, MODEL, KERNELS)
    del site.files[MODEL], site.files[KERNELS]
    assert create(page, site) == ["y"]


@pytest.mark.parametrize(("first", "asked"), [(MODEL, KERNELS), (KERNELS, MODEL)])
def test_model_and_kernels_are_replaced_one_after_the_other(first: str, asked: str, page: Page, site: Site) -> None:
    site.tagged = "ETag"
    create_and_keep(page, site)
    old = dict(site.files)
    new_deployment(site)
    new = dict(site.files)
    site.files = {**old, first: new[first]}
    for _ in range(2):
        site.requests.clear()
        assert create(page, site) == ["y"]
        wait_for(page, site.requests, asked)
    site.files = new
    assert create(page, site) == ["y"]
    wait_until_kept(page, site, MODEL, KERNELS)
    assert create(page, site) == ["y"]


LISTED = """async () => {
    const { modelCache } = await import("/index.js");
    return (await modelCache.list()).map(({ url, bytes }) => [url, bytes]).sort();
}"""

DELETE = """async url => (await import("/index.js")).modelCache.delete(url)"""


def test_list_and_delete(page: Page, site: Site) -> None:
    create_and_keep(page, site)
    kernels, model = ([f"{site.url}/{name}", len(site.files[name])] for name in (KERNELS, MODEL))
    assert page.evaluate(LISTED) == [kernels, model]
    assert page.evaluate(DELETE, f"/{MODEL}") is True
    assert page.evaluate(DELETE, f"/{MODEL}") is False
    assert page.evaluate(LISTED) == [kernels]
    assert page.evaluate(KEPT) == [KERNELS]
    fetches(site)
    assert create(page, site) == ["y"]
    assert fetches(site) == (1, 0)


IN_TURN = """async ({ names, kernels, maxBytes }) => {
    const { InferenceSession, modelCache } = await import("/index.js");
    modelCache.maxBytes = maxBytes;
    const kept = async () => (await modelCache.list()).map(({ url }) => new URL(url).pathname.slice(1));
    for (const name of names) {
        await (await InferenceSession.create(`/${name}`)).release();
        const last = async () => (await kept()).slice(-2);
        for (let i = 0; (await last()).sort().join() !== [kernels, name].sort().join(); i++) {
            if (i > 2000) throw new Error(`kept in the order ${await kept()} after ${name}`);
            await new Promise(resolve => setTimeout(resolve, 10));
        }
    }
    return (await kept()).sort();
}"""


def test_what_was_not_used_for_longest_makes_room(page: Page, site: Site) -> None:
    names = ["a.tinf", "b.tinf", "c.tinf"]
    site.files.update(dict.fromkeys(names, site.files[MODEL]))
    site.open(page)
    room = len(site.files[KERNELS]) + 2 * len(site.files[MODEL])
    used = {"names": ["a.tinf", "b.tinf", "a.tinf", "c.tinf"], "kernels": KERNELS, "maxBytes": room}
    assert page.evaluate(IN_TURN, used) == ["a.tinf", "c.tinf", KERNELS]
    assert page.evaluate(KEPT) == ["a.tinf", "c.tinf", KERNELS]


def test_what_is_larger_than_the_room_lets_the_others_stay(page: Page, site: Site) -> None:
    create_and_keep(page, site)
    site.files["wide.tinf"] = tinf_of(wide_graph())
    site.open(page)
    later = """async maxBytes => {
        const { InferenceSession, modelCache } = await import("/index.js");
        modelCache.maxBytes = maxBytes;
        const { promise, resolve } = Promise.withResolvers();
        const wait = setTimeout;
        globalThis.setTimeout = (task, ms) => wait(() => resolve(task()), ms === 200 ? 0 : ms);
        await (await InferenceSession.create("/wide.tinf")).release();
        await promise;
    }"""
    page.evaluate(later, len(site.files["wide.tinf"]) - 1)
    assert page.evaluate(KEPT) == sorted([KERNELS, MODEL])


@pytest.mark.parametrize("script", ["NO_STORAGE", "REFUSED"])
def test_nothing_is_listed_without_a_storage(script: str, page: Page, site: Site) -> None:
    page.add_init_script(globals()[script])
    site.open(page)
    assert page.evaluate(LISTED) == []
    assert page.evaluate(DELETE, f"/{MODEL}") is False


NO_STORAGE = "delete globalThis.caches"
REFUSED = "for (const m of ['match', 'open', 'has']) CacheStorage.prototype[m] = () => Promise.reject(Error('denied'))"
FULL = "Cache.prototype.put = () => Promise.reject(new DOMException('full', 'QuotaExceededError'))"


SILENT = [
    f"{method} = () => new Promise(() => {{}})"
    for method in ("CacheStorage.prototype.match", "CacheStorage.prototype.open", "Cache.prototype.put")
]


@pytest.mark.parametrize(
    "script",
    [NO_STORAGE, REFUSED, FULL, *SILENT],
    ids=["missing", "refused", "full", "silent-match", "silent-open", "silent-put"],
)
@pytest.mark.parametrize("graph", [tiny_graph, wide_graph])
def test_works_without_a_cache(graph: Callable[[], Graph], script: str, page: Page, site: Site) -> None:
    site.files[MODEL] = tinf_of(graph())
    page.add_init_script(script)
    for _ in range(2):
        assert create(page, site) == ["y"]
        assert fetches(site) == (1, 1)


def test_works_in_an_insecure_context(page: Page, site: Site) -> None:
    """Without `crypto.subtle` the hashes are computed by the library itself; without storage nothing is kept."""
    page.add_init_script(f"delete Crypto.prototype.subtle; {NO_STORAGE}")
    assert create(page, site) == ["y"]
    site.files[KERNELS] += b"\x00\x02\x01x"
    assert create(page, site).startswith("PlanError: tiny was compiled for other kernels")


def test_own_sha256(page: Page, site: Site) -> None:
    """At the edges of blocks, and for the kernels."""
    lengths = [0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000]
    wasm = load_kernels().wasm
    contents = [wasm[:length] for length in lengths] + [wasm]
    for i, content in enumerate(contents):
        site.files[f"content/{i}"] = content
    site.files["sha256.js"] = (WEB / "sha256.js").read_bytes()
    site.open(page)
    hashes = page.evaluate(
        """async count => {
            delete Crypto.prototype.subtle;
            const { sha256 } = await import("/sha256.js");
            const hash = async i => sha256(new Uint8Array(await (await fetch(`/content/${i}`)).arrayBuffer()));
            return await Promise.all(Array.from({ length: count }, (_, i) => hash(i)));
        }""",
        len(contents),
    )
    assert hashes == [hashlib.sha256(content).hexdigest() for content in contents]


def test_own_sha256_of_pieces(page: Page, site: Site) -> None:
    """Wherever the cuts lie."""
    wasm = load_kernels().wasm[:1000]
    site.files["content"] = wasm
    site.files["sha256.js"] = (WEB / "sha256.js").read_bytes()
    site.open(page)
    hashes = page.evaluate(
        """async steps => {
            const { Sha256 } = await import("/sha256.js");
            const bytes = new Uint8Array(await (await fetch("/content")).arrayBuffer());
            return steps.map(step => {
                const hash = new Sha256();
                for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
                return hash.digest();
            });
        }""",
        steps := [1, 7, 55, 56, 63, 64, 65, 127, 128, 129, 999, 1000],
    )
    assert hashes == [hashlib.sha256(wasm).hexdigest()] * len(steps)
