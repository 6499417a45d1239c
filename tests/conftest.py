"""What every test shares: engines, Hypothesis profiles, the shared models and a headless Chromium.

Environment variables
    TINYINFER_TEST_ENGINES  comma-separated Python engines that `engine` runs over; default `wasmtime`
    TINYINFER_TEST_PROFILE  Hypothesis profile: `dev` (few examples), `ci` (default; the same examples every
                            time) or `fuzz` (many, random, for a night)
    TINYINFER_TEST_MODELS   folder of real models; default `../shared/models` beside the checkout
    TINYINFER_CHROMIUM      the Chromium to drive; default: the first one found on PATH
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.small_models import adder, classifier, save

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
ENGINES = [name for name in os.environ.get("TINYINFER_TEST_ENGINES", "wasmtime").split(",") if name]
MODELS = Path(os.environ.get("TINYINFER_TEST_MODELS", ROOT.parent / "shared" / "models")).resolve()
PROFILE = os.environ.get("TINYINFER_TEST_PROFILE", "ci")

# What the terminal of whoever runs the tests is like, and its language, do not reach what is tested.
for _name in (
    "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PYTHONIOENCODING",
    "TINYINFER_DEBUG", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
):  # fmt: skip
    os.environ.pop(_name, None)

# Deadlines measure the machine, not the code. Graph and tensor strategies are big by nature.
_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.register_profile("dev", _COMMON, max_examples=10)
settings.register_profile("ci", _COMMON, max_examples=50, derandomize=True, database=None)
settings.register_profile("fuzz", _COMMON, max_examples=10_000, print_blob=True)
settings.load_profile(PROFILE)

# Flags that keep a headless Chromium from calling home, so that tests are the same without a network.
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium() -> str | None:
    """The Chromium to drive: `TINYINFER_CHROMIUM`, or the first of the usual names on PATH."""
    named = os.environ.get("TINYINFER_CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    return next((path for path in map(shutil.which, names) if path), None)


def pytest_report_header() -> list[str]:
    models = MODELS if MODELS.is_dir() else f"none at {MODELS}"
    return [
        f"engines: {', '.join(ENGINES)} · hypothesis profile: {PROFILE}",
        f"models: {models} · chromium: {find_chromium() or 'none'}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by what a test asks for, so that `-m engine` and `-m browser` need no bookkeeping."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "engine" in fixtures:
            item.add_marker(pytest.mark.engine)
        if "chromium" in fixtures:
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def blots(tmp_path: Path) -> Path:
    """The ONNX file of a small classifier."""
    return save(classifier(), tmp_path / "blots.onnx")


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """The ONNX file of one addition."""
    return save(adder(), tmp_path / "sums.onnx")


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of a Python engine; a test that asks for it runs once on each."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of real models (one folder each, expected outputs beside the model)."""
    if not MODELS.is_dir():
        pytest.skip(f"no folder of real models at {MODELS} (set TINYINFER_TEST_MODELS)")
    return MODELS


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium on this machine."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine (`make test` installs it; or set TINYINFER_CHROMIUM)")
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One headless Chromium for the whole run."""
    from playwright.sync_api import sync_playwright

    sandbox = hasattr(os, "geteuid") and os.geteuid() != 0  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS, chromium_sandbox=sandbox)
        yield instance
        instance.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page in a context of its own: no cache, no IndexedDB, no service worker of other tests."""
    context = browser.new_context()
    context.set_default_timeout(60_000)  # milliseconds
    yield context.new_page()
    context.close()
