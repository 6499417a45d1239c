"""The demo page in headless Chromium: it reads digits, keeps its promises about policy, and works without a network."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.differential import assert_same_bits
from tests.website import Site, serve, visit
from tinyinfer import InferenceSession, compile
from tinyinfer.bundle import bundle
from tinyinfer.types import Array
from tinyinfer.web_build import WEB

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "site"
    bundle({"digits.tinf": compile(DIGITS / "digits.onnx").to_bytes()}, out, demo=True)
    return out


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    files["preprocess.js"] = (WEB / "demo" / "preprocess.js").read_bytes()  # for tests of its own
    with serve(files) as running:
        yield running


@pytest.fixture
def demo(browser: Browser) -> Iterator[Page]:
    with visit(browser, viewport={"width": 1000, "height": 900}) as page:
        page.set_default_timeout(60_000)  # milliseconds
        yield page


def open_demo(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/")
    expect(page.locator("#confidence")).to_have_text("draw a digit from 0 to 9")


def wait_until_kept(page: Page) -> None:
    expect(page.locator("#offline")).to_have_text("Works offline")


def probabilities(page: Page) -> list[float]:
    return [float(text.removesuffix(" %")) for text in page.locator(".percent").all_inner_texts()]


def draw(page: Page, *points: tuple[float, float]) -> None:
    """Draw lines through points, in units of the drawing area's side."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    (x, y), *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in rest:
        page.mouse.move(x, y, steps=12)
    page.mouse.up()


def test_every_example_is_read(demo: Page, site: Site) -> None:
    open_demo(demo, site)
    for digit in range(10):
        demo.get_by_role("button", name=f"Draw a {digit}").click()
        expect(demo.locator("#answer")).to_have_text(str(digit))
        expect(demo.get_by_role("status")).to_contain_text(f"a {digit}, ")
        assert int(np.argmax(probabilities(demo))) == digit
        assert abs(sum(probabilities(demo)) - 100) < 1, "each is rounded to a tenth"


@pytest.mark.parametrize(("pen", "offset", "size"), [("large", 0.0, 1.0), ("small in a corner", 0.62, 0.35)])
def test_drawing_with_the_mouse(pen: str, offset: float, size: float, demo: Page, site: Site) -> None:
    open_demo(demo, site)
    seven = [(0.25, 0.15), (0.75, 0.15), (0.45, 0.85)]
    draw(demo, *[(offset + size * x, offset + size * y) for x, y in seven])
    expect(demo.locator("#answer")).to_have_text("7")


def test_it_reads_while_the_pen_is_down(demo: Page, site: Site) -> None:
    open_demo(demo, site)
    box = demo.locator("#pad").bounding_box()
    assert box is not None
    demo.mouse.move(box["x"] + 200, box["y"] + 60)
    demo.mouse.down()
    demo.mouse.move(box["x"] + 200, box["y"] + 300, steps=10)
    expect(demo.locator("#answer")).to_have_text("1")
    demo.mouse.up()


@pytest.mark.parametrize("how", ["button", "Escape"])
def test_clearing(how: str, demo: Page, site: Site) -> None:
    open_demo(demo, site)
    demo.get_by_role("button", name="Draw a 3").click()
    expect(demo.locator("#answer")).to_have_text("3")
    if how == "button":
        demo.get_by_role("button", name="Clear").click()
    else:
        demo.keyboard.press("Escape")
    expect(demo.locator("#answer")).to_have_text("–")
    assert probabilities(demo) == [0] * 10


def test_keyboard_alone(demo: Page, site: Site) -> None:
    open_demo(demo, site)
    for _ in range(5):
        demo.keyboard.press("Tab")
    demo.keyboard.press("Enter")
    expect(demo.locator("#answer")).to_have_text("4")


def test_facts_are_the_models(demo: Page, site: Site) -> None:
    open_demo(demo, site)
    demo.get_by_role("button", name="Draw a 0").click()
    expect(demo.locator("#time")).to_contain_text(" ms")
    (plan,) = InferenceSession(site.files["digits.tinf"])._file.plans
    sizes = [plan.memory_bytes, len(site.files["digits.tinf"]), len(site.files["kernels.simd128.wasm"])]
    shown = [demo.locator(f"#{name}").inner_text() for name in ("memory", "model", "kernels")]
    assert shown == [f"{size / 1024:.0f} KiB" for size in sizes]


def test_phone_shows_everything_without_scrolling_sideways(demo: Page, site: Site) -> None:
    demo.set_viewport_size({"width": 320, "height": 640})
    open_demo(demo, site)
    demo.get_by_role("button", name="Draw a 8").click()
    expect(demo.locator("#answer")).to_have_text("8")
    assert demo.evaluate("document.documentElement.scrollWidth") == 320


ATTEMPT_EVAL = """() => new Promise(done => setTimeout(() => {
    try { done(eval("1")) } catch (error) { done(error.name) }
}))"""


def test_the_page_brings_its_own_policy(demo: Page, site: Site) -> None:
    site.headers.clear()
    open_demo(demo, site)
    # Later rather than at once: what DevTools evaluate is exempt from the policy while it runs.
    assert demo.evaluate(ATTEMPT_EVAL) == "EvalError"
    demo.get_by_role("button", name="Draw a 2").click()
    expect(demo.locator("#answer")).to_have_text("2")


def test_files_named_up_front_are_not_fetched_twice(demo: Page, site: Site) -> None:
    """Once by the page, once by the service worker that keeps them."""
    open_demo(demo, site)
    wait_until_kept(demo)
    for name in ("index.js", "kernels.simd128.wasm", "digits.tinf"):
        assert site.requests.count(name) == 2, name


def test_works_with_the_network_cut(demo: Page, site: Site) -> None:
    open_demo(demo, site)
    wait_until_kept(demo)
    site.files.clear()
    demo.context.set_offline(True)
    site.requests.clear()
    demo.reload()
    expect(demo.locator("#offline")).to_have_text("Offline, working")
    demo.get_by_role("button", name="Draw a 6").click()
    expect(demo.locator("#answer")).to_have_text("6")
    assert demo.evaluate("crossOriginIsolated"), "kept answers have their headers"
    assert set(site.requests) <= {"sw.js"}, "the browser may look for a new version on its own"


def listed(site: Site) -> dict[str, str]:
    hashes: dict[str, str] = json.loads(site.files["files.js"].split(b"=", 1)[1].strip(b" ;\n"))
    return hashes


def test_a_new_version_takes_over_as_a_whole(demo: Page, site: Site, tmp_path: Path) -> None:
    open_demo(demo, site)
    wait_until_kept(demo)
    changed = tmp_path / "site"
    model = site.files["digits.tinf"]
    bundle({"digits.tinf": model, "more.tinf": model}, changed, demo=True)
    site.files["more.tinf"] = (changed / "more.tinf").read_bytes()
    site.files["files.js"] = (changed / "files.js").read_bytes()
    demo.evaluate("navigator.serviceWorker.ready.then(registration => registration.update())")
    demo.reload()
    assert "more.tinf" not in demo.evaluate("tinyinferFiles"), "the old version is in use"
    again = open_after_update(demo, site)
    assert "more.tinf" in again.evaluate("tinyinferFiles")
    # Pages wait a second at most for the old version to be removed; on a slow machine it is gone a moment later.
    left = """async () => {
        for (let i = 0; i < 100 && (await caches.keys()).length > 1; i++) await new Promise(f => setTimeout(f, 100));
        return (await caches.keys()).length;
    }"""
    assert again.evaluate(left) == 1, "the old version is gone"


# What a page does that was closed in the middle of a write: the storage does not answer the service worker.
BLOCKED = b"""
if (!self.document)
  for (const method of ["keys", "delete", "match"])
    CacheStorage.prototype[method] = () => new Promise(() => {});
"""

# It answers, but later than the service worker waits for it alone.
LATE = b"""
if (!self.document) {
  const { match } = CacheStorage.prototype;
  CacheStorage.prototype.match = async function (...args) {
    await new Promise(resolve => setTimeout(resolve, 1500));
    return match.apply(this, args);
  };
}
"""


def test_a_storage_that_does_not_answer_keeps_nobody_from_the_page(demo: Page, site: Site) -> None:
    open_demo(demo, site)
    wait_until_kept(demo)
    site.files["files.js"] += BLOCKED
    demo.evaluate("navigator.serviceWorker.ready.then(registration => registration.update())")
    again = open_after_update(demo, site)
    again.get_by_role("button", name="Draw a 4").click()
    expect(again.locator("#answer")).to_have_text("4")


@pytest.mark.parametrize("site_is", ["gone", "newer"])
def test_a_late_storage_still_gives_the_files_of_one_version(site_is: str, demo: Page, site: Site) -> None:
    site.files["files.js"] += LATE
    open_demo(demo, site)
    wait_until_kept(demo)
    for path in [path for path in site.files if path != "sw.js"]:
        if site_is == "gone":
            del site.files[path]
        else:
            site.files[path] += b" "
    open_demo(demo, site)
    demo.get_by_role("button", name="Draw a 4").click()
    expect(demo.locator("#answer")).to_have_text("4")


def open_after_update(page: Page, site: Site) -> Page:
    """A new page of the site, once `page`, its last one, has been closed and the version that waits has taken over.

    Whoever comes earlier still gets the old version; and where DevTools are attached, as they are in tests, Chromium
    may stop that version's service worker in the middle of a request, which is never answered then.
    """
    watcher = page.context.new_page()  # a blank page belongs to no service worker
    devtools = page.context.new_cdp_session(watcher)
    states: dict[int, str] = {}

    def note(event: dict[str, Any]) -> None:
        states.update({int(version["versionId"]): version["status"] for version in event["versions"]})

    def wait_until_newest(state: str) -> None:
        deadline = time.monotonic() + 60
        while states.get(max(states, default=0)) != state:
            assert time.monotonic() < deadline, f"the newest version is not {state}: {states}"
            watcher.wait_for_timeout(10)  # milliseconds

    devtools.on("ServiceWorker.workerVersionUpdated", note)
    devtools.send("ServiceWorker.enable")
    wait_until_newest("installed")
    page.close()
    wait_until_newest("activated")
    open_demo(watcher, site)
    return watcher


def test_a_damaged_file_is_never_kept(browser: Browser, site: Site) -> None:
    """The service worker refuses it by its hash; the page says that offline use is not to be had."""
    site.files["demo.css"] += b" "
    context = browser.new_context()
    page = context.new_page()
    open_demo(page, site)
    expect(page.locator("#offline-note")).to_have_text("a file could not be kept for later")
    assert page.evaluate("navigator.serviceWorker.getRegistration().then(r => r?.active ?? null)") is None
    context.close()


def test_a_model_that_cannot_be_loaded(browser: Browser, site: Site) -> None:
    del site.files["digits.tinf"]
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/")
    expect(page.get_by_role("alert")).to_contain_text("digits.tinf: cannot be loaded: the server answered 404")
    expect(page.locator("#confidence")).to_have_text("the model could not be loaded")
    context.close()


def framed_in_browser(page: Page, picture: Array) -> Array | None:
    values = page.evaluate(
        """async ({ bytes, side }) => {
            const { frame } = await import("/preprocess.js");
            const framed = frame(bytes, side, { width: 28, height: 28, fit: 20 });
            return framed ? Array.from(framed) : null;
        }""",
        {"bytes": picture.ravel().tolist(), "side": len(picture)},
    )
    return None if values is None else np.array(values, np.uint8).reshape(28, 28)


@pytest.mark.parametrize(
    ("box", "framed"),
    [
        pytest.param((30, 10, 70, 30), (9, 19, 4, 24), id="wide"),
        pytest.param((60, 0, 10, 100), (4, 24, 13, 15), id="tall-at-the-edge"),
        pytest.param((5, 5, 10, 10), (4, 24, 4, 24), id="small-is-enlarged"),
    ],
)
def test_framing(box: tuple[int, int, int, int], framed: tuple[int, int, int, int], page: Page, site: Site) -> None:
    """A filled box becomes a filled box of 20 pixels on its longer side, at the centre."""
    x, y, width, height = box
    picture = np.zeros((100, 100), np.uint8)
    picture[y : y + height, x : x + width] = 255
    top, bottom, left, right = framed
    expected = np.zeros((28, 28), np.uint8)
    expected[top:bottom, left:right] = 255
    site.open(page)
    actual = framed_in_browser(page, picture)
    if box[2] == 70:  # 30 rows become 8 4/7, half of which lie on either side of the middle
        expected[9:19] = 0
        expected[10:18, left:right] = 255
        expected[[9, 18], left:right] = round(255 * 2 / 7)
    assert_same_bits(actual, expected, "framed")


def test_framing_averages_over_area(page: Page, site: Site) -> None:
    """A chequered box reduced by four to one is an even gray."""
    picture = np.zeros((100, 100), np.uint8)
    picture[10:90:2, 10:90:2] = picture[11:90:2, 11:90:2] = 255
    site.open(page)
    actual = framed_in_browser(page, picture)
    assert set(actual[4:24, 4:24].ravel().tolist()) == {128}
    assert actual.sum() == 128 * 400


def test_no_ink_no_frame(page: Page, site: Site) -> None:
    site.open(page)
    assert framed_in_browser(page, np.full((10, 10), 127, np.uint8)) is None
