"""The demo in every browser: it reads digits, and goes on doing so when the site has nothing any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browsers import BROWSERS, visiting
from tests.commands import run
from tests.conftest import ROOT
from tests.website import CSP, ISOLATION, serve

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
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the deployed folder by their paths in it."""
    folder = tmp_path_factory.mktemp("demo") / "site"
    run("bundle", ROOT / "examples" / "digits" / "digits.onnx", "-o", folder, "--demo")
    return {f"{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", BROWSERS)
def test_the_demo_reads_digits_and_works_without_its_site(name: str, demo: dict[str, bytes], tmp_path: Path) -> None:
    launch = BROWSERS[name](tmp_path, "thorough")
    if launch is None:
        pytest.skip(f"no {name} on this machine (`make test` installs it where it can)")
    with serve(demo) as site:
        site.headers = FRAMED
        with visiting(name, site, launch, tmp_path) as page:
            assert page.evaluate(READ, "7")["problem"] == ""
            for path in demo:
                del site.files[path]
            assert page.evaluate(READ, "2") == {"controlled": True, "problem": ""}
