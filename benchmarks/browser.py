"""Headless Chromium for measurements."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, sync_playwright

from tinyinfer.errors import TinyInferError

LIMIT = 180_000
"""Milliseconds that loading or running one model may take."""

# A browser that takes little of the machine for itself: it would start renderers for the suggestions of its address bar
# beside every page (half a second of a core), and look for advice on the network.
NEEDLESS = ["HttpsUpgrades", "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding"]
POPUPS = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup"]

# No calls home, and no page is slowed down because another one is in front of it.
FLAGS = [
    f"--disable-features={','.join(NEEDLESS + POPUPS)}",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium() -> str:
    """The Chromium to drive: `TINYINFER_CHROMIUM`, or the first of the usual names on PATH."""
    named = os.environ.get("TINYINFER_CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        raise TinyInferError(f"found no Chromium ({', '.join(names)}); install one or set TINYINFER_CHROMIUM")
    return found


@contextmanager
def launch() -> Iterator[Browser]:
    """A fresh browser process; everything in it ends with the block."""
    sandbox = hasattr(os, "geteuid") and os.geteuid() != 0  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS, chromium_sandbox=sandbox)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, url: str) -> Page:
    """A page with a renderer process and a cache of its own."""
    page = browser.new_context().new_page()
    page.set_default_timeout(LIMIT)
    page.goto(url)
    return page


def ask(page: Page, expression: str) -> Any:
    """The value of an expression over the page's `bench` (see `web/page.js`); its errors become TinyInferError."""
    late = f"new Promise((_, reject) => setTimeout(reject, {LIMIT}, 'no answer within {LIMIT // 1000} s'))"
    answer = f"Promise.race([bench.then(bench => {expression}), {late}])"
    question = f"{answer}.then(value => ({{ value }}), error => ({{ error: `${{error}}` }}))"
    try:
        result = page.evaluate(question)
    except Error as error:  # the page has crashed, or its script could not be loaded
        raise TinyInferError(f"the page {page.url} does not answer: {error.message}") from None
    if "error" in result:
        raise TinyInferError(result["error"])
    return result["value"]


def peak_memory(browser: Browser) -> int | None:
    """Bytes that the largest renderer process has held at once; None where the system does not tell."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    peaks = [_high_water(process["id"]) for process in processes if process["type"] == "renderer"]
    return max((peak for peak in peaks if peak is not None), default=None)


def _high_water(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else None
