"""Model and kernels are kept in IndexedDB, checked when read, and fetched again when they are not right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.models import tinf_of, tiny_graph
from tests.website import Site, serve
from tinyinfer.bundle import web_files
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

EDIT = """async ({ name, edit }) => {
    const open = indexedDB.open("tinyinfer", 1);
    const database = await new Promise(resolve => { open.onsuccess = () => resolve(open.result); });
    const store = database.transaction("files", "readwrite").objectStore("files");
    const key = new URL(name, location).href;
    const get = store.get(key);
    const done = new Promise(resolve => { store.transaction.oncomplete = resolve; });
    get.onsuccess = () => {
        const entry = get.result;
        if (edit === "flip") new Uint8Array(entry.bytes)[entry.bytes.byteLength >> 1] ^= 1;
        if (edit === "delete") store.delete(key);
        else store.put(edit === "junk" ? "junk" : entry, key);
    };
    await done;
    database.close();
}"""

KEYS = """async () => {
    const open = indexedDB.open("tinyinfer");
    const database = await new Promise(resolve => { open.onsuccess = () => resolve(open.result); });
    const names = [...database.objectStoreNames];
    if (!names.length) return [];
    const keys = database.transaction("files").objectStore("files").getAllKeys();
    return await new Promise(resolve => { keys.onsuccess = () => resolve(keys.result); });
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    files = {**web_files(demo=False), KERNELS: load_kernels().wasm, MODEL: tinf_of(tiny_graph())}
    with serve(files) as running:
        yield running


def create(page: Page, site: Site, **options: Any) -> Any:
    site.open(page)
    return page.evaluate(CREATE, options)


def fetches(site: Site) -> tuple[int, int]:
    """How often the model and the kernels were fetched since the last call."""
    counts = site.fetched(".tinf"), site.fetched(".wasm")
    site.requests.clear()
    return counts


def in_worker(site: Site, script: str) -> None:
    """Have Workers run `script` before their own."""
    site.files["prelude.js"] = script.encode()
    site.files["worker.js"] = b'import "./prelude.js";\n' + site.files["worker.js"]


def test_second_load_needs_no_network(page: Page, site: Site) -> None:
    assert create(page, site) == ["y"]
    assert fetches(site) == (1, 1)
    assert create(page, site) == ["y"]
    assert fetches(site) == (0, 0)
    del site.files[MODEL], site.files[KERNELS]
    assert create(page, site) == ["y"]


def test_progress_of_a_kept_file(page: Page, site: Site) -> None:
    create(page, site)
    events = page.evaluate(
        """async () => {
            const { InferenceSession } = await import("/index.js");
            const events = [];
            await InferenceSession.create("/tiny.tinf", { onProgress: event => events.push(event) });
            return events.map(({ loaded, total }) => [loaded, total]).sort((a, b) => a[0] - b[0]);
        }"""
    )
    assert events == sorted([len(site.files[name])] * 2 for name in (MODEL, KERNELS))


@pytest.mark.parametrize("edit", ["flip", "junk"])
@pytest.mark.parametrize(("name", "expected"), [(MODEL, (1, 0)), (KERNELS, (0, 1))])
def test_bad_entry_is_fetched_again(name: str, expected: tuple[int, int], edit: str, page: Page, site: Site) -> None:
    create(page, site)
    page.evaluate(EDIT, {"name": name, "edit": edit})
    fetches(site)
    assert create(page, site) == ["y"]
    assert fetches(site) == expected
    assert create(page, site) == ["y"]
    assert fetches(site) == (0, 0), "the bad entry was replaced"


def test_bad_entry_is_dropped_without_network(page: Page, site: Site) -> None:
    create(page, site)
    page.evaluate(EDIT, {"name": MODEL, "edit": "flip"})
    del site.files[MODEL]
    assert create(page, site).startswith("ModelError: ")
    assert page.evaluate(KEYS) == [f"{site.url}/{KERNELS}"]


def test_no_cache_on_request(page: Page, site: Site) -> None:
    for _ in range(2):
        assert create(page, site, cache=False) == ["y"]
        assert fetches(site) == (1, 1)
    assert page.evaluate(KEYS) == []


def new_deployment(site: Site) -> None:
    """Other kernels (with an empty custom section more) and a model made for them."""
    site.files[KERNELS] += b"\x00\x02\x01x"
    digest = hashlib.sha256(site.files[KERNELS]).hexdigest()
    site.files[MODEL] = tinf_of(tiny_graph(), kernels={"simd128": digest})


def test_kept_files_of_one_version_stay_together(page: Page, site: Site) -> None:
    create(page, site)
    new_deployment(site)
    fetches(site)
    assert create(page, site) == ["y"]
    assert fetches(site) == (0, 0)


@pytest.mark.parametrize("lost", [MODEL, KERNELS])
def test_files_of_two_versions_are_fetched_again(lost: str, page: Page, site: Site) -> None:
    create(page, site)
    new_deployment(site)
    page.evaluate(EDIT, {"name": lost, "edit": "delete"})
    assert create(page, site) == ["y"]
    fetches(site)
    assert create(page, site) == ["y"]
    assert fetches(site) == (0, 0)


def test_wanted_hash(page: Page, site: Site) -> None:
    old = hashlib.sha256(site.files[MODEL]).hexdigest()
    assert create(page, site, sha256=old) == ["y"]
    site.files[MODEL] = tinf_of(tiny_graph(), metadata={"version": "2"})
    new = hashlib.sha256(site.files[MODEL]).hexdigest()
    fetches(site)
    assert create(page, site, sha256=new) == ["y"]
    assert fetches(site) == (1, 0)
    assert create(page, site, sha256=old) == (f"ModelError: {site.url}/{MODEL}: its SHA-256 is {new}, expected {old}")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("delete globalThis.indexedDB; delete WorkerGlobalScope.prototype.indexedDB", id="missing"),
        pytest.param(
            "IDBFactory.prototype.open = () => { throw new DOMException('denied', 'SecurityError') }", id="refused"
        ),
        pytest.param(
            "IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError') }", id="full"
        ),
    ],
)
def test_works_without_a_database(script: str, page: Page, site: Site) -> None:
    in_worker(site, script)
    for _ in range(2):
        assert create(page, site) == ["y"]
        assert fetches(site) == (1, 1)


def test_works_in_an_insecure_context(page: Page, site: Site) -> None:
    """Without `crypto.subtle` the hashes are computed by the library itself."""
    in_worker(site, "delete Crypto.prototype.subtle")
    assert create(page, site) == ["y"]
    assert create(page, site) == ["y"]
    assert fetches(site) == (1, 1)
    page.evaluate(EDIT, {"name": MODEL, "edit": "flip"})
    assert create(page, site) == ["y"]
    assert fetches(site) == (1, 0)


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
            const hash = async i => sha256(await (await fetch(`/content/${i}`)).arrayBuffer());
            return await Promise.all(Array.from({ length: count }, (_, i) => hash(i)));
        }""",
        len(contents),
    )
    assert hashes == [hashlib.sha256(content).hexdigest() for content in contents]
