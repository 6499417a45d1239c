"""The deployed folder: as `tinyinfer serve` serves it in headless Chromium, and on a strict site in every browser.

TINYINFER_TEST_SITE names the folder; without it, the folder is made from the digits example.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import BROWSERS, launch_of, visiting
from tests.commands import run, start
from tests.conftest import ROOT
from tests.test_server import address
from tests.website import CSP, ISOLATION, serve, visit

# The demo is a frame of the visited page, which goes on asking for jobs.
FRAMED = {"Content-Security-Policy": f"{CSP}; frame-src 'self'", **ISOLATION}

READ = """async digit => {
  const frame = document.createElement("iframe");
  Object.assign(frame, { src: "/index.html", width: 1000, height: 1000 });
  document.body.append(frame);
  const find = selector => frame.contentDocument?.querySelector(selector);
  const until = async (what, met) => {
    for (const late = performance.now() + 30000; !met(); await new Promise(resolve => setTimeout(resolve, 20)))
      if (performance.now() > late) throw new Error(`${what}: ${frame.contentDocument?.body.innerText}`);
  };
  const button = () => find(`button[aria-label="Draw a ${digit}"]`);
  await until("no button", button);
  button().click();
  await until("another answer", () => find("#answer").textContent === digit);
  await until("not kept", () => find("#offline").textContent === "Works offline");
  const { navigator } = frame.contentWindow;
  const told = { controlled: navigator.serviceWorker.controller !== null, problem: find("#problem").textContent };
  frame.remove();
  return told;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("TINYINFER_TEST_SITE")
    if named:
        return ROOT / named
    out = tmp_path_factory.mktemp("deployed") / "site"
    run("bundle", ROOT / "examples" / "digits" / "digits.onnx", "-o", out, "--demo")
    return out


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    process = start("serve", folder, "--port", "0")
    host, port = address(process)
    yield f"http://{host}:{port}/"
    process.kill()
    process.communicate()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    with visit(browser) as page:
        yield page


def test_every_file_is_the_one_listed(folder: Path) -> None:
    text = (folder / "files.js").read_text()
    listed = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert {"index.html", "index.js", "kernels.simd128.wasm", "digits.tinf"} <= set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_the_page_reads_digits_and_works_offline(visitor: Page, url: str) -> None:
    visitor.goto(url)
    for digit in (7, 2):
        visitor.get_by_role("button", name=f"Draw a {digit}").click()
        expect(visitor.locator("#answer")).to_have_text(str(digit))
    assert visitor.evaluate("crossOriginIsolated")
    expect(visitor.locator("#offline")).to_have_text("Works offline")
    visitor.context.set_offline(True)
    visitor.reload()
    visitor.get_by_role("button", name="Draw a 4").click()
    expect(visitor.locator("#answer")).to_have_text("4")


@pytest.mark.parametrize("name", BROWSERS)
def test_every_browser_reads_digits_and_goes_on_without_the_site(name: str, folder: Path, tmp_path: Path) -> None:
    paths = (path for path in folder.rglob("*") if path.is_file())
    deployed = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    with serve(deployed) as site:
        site.headers = FRAMED
        with visiting(name, site, launch_of(name, tmp_path, "thorough"), tmp_path) as page:
            assert page.evaluate(READ, "7")["problem"] == ""
            for path in deployed:
                del site.files[path]
            assert page.evaluate(READ, "2") == {"controlled": True, "problem": ""}
