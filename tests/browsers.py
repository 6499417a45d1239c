"""Browsers that nothing drives: each visits a site by itself, asks it for jobs and posts what they come to.

All that they need for that is an address, so there is no driver to keep in step with. Each of their compilers is tried
by itself: the quick one that code begins with, and the thorough one that code gets which runs for long.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHROMIUM_FLAGS, find_chromium
from tests.website import Site

COMPILERS = ("quick", "thorough")

PATIENCE = 600.0
"""Seconds after which a job that has not been answered fails its test."""

LIFETIME = "30m"
"""After which a browser ends even if the tests have been killed, and nobody ends it."""

VISIT = b"""
const job = async n => {
  const [{ default: script }, values] = await Promise.all([
    import(`/jobs/${n}.js`), fetch(`/jobs/${n}.json`).then(response => response.json()),
  ]);
  return await script(values);
};
for (let n = 0; ; n++) {
  while (!(await fetch(`/jobs/${n}`)).ok) await new Promise(resolve => setTimeout(resolve, 20));
  const answer = await job(n).then(value => ({ value }), error => ({ error: `${error.name}: ${error.message}` }));
  await fetch(`/answers/${n}`, { method: "POST", body: JSON.stringify(answer) });
}
"""

# Firefox neither calls home nor asks a new user anything.
FIREFOX = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9",
    "toolkit.telemetry.unified": False,
}


@dataclass(frozen=True)
class Launch:
    """How a process is started that opens the address which ends its command."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def _chromium(folder: Path, compiler: str) -> Launch | None:
    path = find_chromium()
    only = {"quick": "--liftoff-only", "thorough": "--no-liftoff"}[compiler]
    flags = ["--headless=new", "--no-sandbox", *CHROMIUM_FLAGS, f"--user-data-dir={folder}", f"--js-flags={only}"]
    return Launch([path, *flags]) if path else None


def _firefox(folder: Path, compiler: str) -> Launch | None:
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    other = {"quick": "optimizingjit", "thorough": "baselinejit"}[compiler]
    preferences = FIREFOX | {f"javascript.options.wasm_{other}": False}
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
    (folder / "user.js").write_text("".join(lines), encoding="utf-8")
    return Launch([path, "--headless", "--new-instance", "--profile", str(folder)]) if path else None


def _webkit(folder: Path, compiler: str) -> Launch | None:
    """WebKitGTK's small browser, on a screen that is not there."""
    paths, screen = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser")), shutil.which("xvfb-run")
    options = {
        "quick": {"JSC_useOMGJIT": "0"},
        # It cannot go without the quick one: what has been called once waits for the other.
        "thorough": {"JSC_thresholdForOMGOptimizeAfterWarmUp": "1", "JSC_useConcurrentJIT": "0"},
    }
    if not paths or not screen:
        return None
    # Two that look for a free number at the same time would take the same one.
    number = f"--server-num={1000 + os.getpid() % 50_000}"
    command = [screen, "--auto-servernum", number, str(paths[-1]), "--private"]
    return Launch(command, options[compiler] | {"XDG_RUNTIME_DIR": str(folder)})


BROWSERS: dict[str, Callable[[Path, str], Launch | None]] = {
    "chromium": _chromium,
    "firefox": _firefox,
    "webkit": _webkit,
}
"""How to start each with one compiler and a folder of its own; None where it is not installed."""


def launch_of(name: str, folder: Path, compiler: str) -> Launch:
    """How to start a browser with one compiler and a folder of its own; the test is skipped where it is missing."""
    launch = BROWSERS[name](folder, compiler)
    if launch is None:
        pytest.skip(f"no {name} on this machine (`make test` installs it where it can)")
    return launch


class Visitor:
    """A page of `site` in a browser of its own; `evaluate` takes what that of Playwright's pages takes."""

    def __init__(self, name: str, site: Site, process: subprocess.Popen[bytes]) -> None:
        self.name, self._site, self._process, self._count = name, site, process, 0

    def evaluate(self, script: str, values: Any = None) -> Any:
        """What the JavaScript function `script` returns for `values`; AssertionError if it throws or takes too long."""
        n, site = self._count, self._site
        self._count += 1
        job = {".js": f"export default {script}", ".json": json.dumps(values), "": "ready"}
        site.files |= {f"jobs/{n}{suffix}": content.encode() for suffix, content in job.items()}
        deadline = time.monotonic() + PATIENCE
        while f"answers/{n}" not in site.received:
            assert self._process.poll() is None, f"{self.name} ended with {self._process.returncode}"
            assert time.monotonic() < deadline, f"{self.name} did not answer within {PATIENCE:g} s"
            time.sleep(0.01)
        answer = json.loads(site.received.pop(f"answers/{n}"))
        assert "error" not in answer, f"{self.name}: {answer['error']}"
        return answer.get("value")


@contextmanager
def visiting(name: str, site: Site, launch: Launch, folder: Path) -> Iterator[Visitor]:
    """The browser on a page of `site`; it ends with the block. What it prints goes to the file `log` in `folder`."""
    site.files["visit.html"] = b'<!doctype html><title>visit</title><script type="module" src="/visit.js"></script>'
    site.files["visit.js"] = VISIT
    environment = {**os.environ, "HOME": str(folder), **launch.environment}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["timeout", LIFETIME, *launch.command, f"{site.url}/visit.html"],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        yield Visitor(name, site, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
