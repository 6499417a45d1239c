"""What every test shares: engines, Hypothesis profiles, the shared models and a headless Chromium.

Environment variables
    TINYINFER_TEST_ENGINES  comma-separated Python engines that `engine` runs over; default `wasmtime`
    TINYINFER_TEST_PROFILE  Hypothesis profile: `dev` (few examples), `ci` (default; the same examples every
                            time) or `fuzz` (many, random, for a night)
    TINYINFER_TEST_MODELS   folder of real models, each in a folder of its own: `model.onnx`, `io.json` that describes
                            inputs and expected outputs, and their arrays; default: `../shared/models`
    TINYINFER_TEST_SCRIPT_COVERAGE
                            folder for records of what pages execute of `web/`; default: nothing is recorded
    TINYINFER_CHROMIUM      the Chromium to drive; default: the first one found on PATH
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.small_models import adder, classifier, save

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
ENGINES = [name for name in os.environ.get("TINYINFER_TEST_ENGINES", "wasmtime").split(",") if name]
MODELS = Path(os.environ.get("TINYINFER_TEST_MODELS", ROOT.parent / "shared" / "models")).resolve()
PROFILE = os.environ.get("TINYINFER_TEST_PROFILE", "ci")
LEFT_OUT = pytest.StashKey[int]()
"""How many tests need real models that are not there."""
FIRST_NUMBERS = np.random.default_rng(2024).bit_generator.state

# What is tested hears nothing of the terminal that the tests are run from, and every server that it asks is on this
# machine, behind no proxy.
for _name in (
    "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PYTHONIOENCODING",
    "TINYINFER_DEBUG", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "all_proxy", "http_proxy", "https_proxy", "ALL_PROXY",
    "HTTP_PROXY", "HTTPS_PROXY",
):  # fmt: skip
    os.environ.pop(_name, None)
for _name in [name for name in os.environ if name.startswith("TINYINFER_MAX_")]:
    del os.environ[_name]

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark by what a test asks for, so that `-m engine` and `-m browser` need no bookkeeping.

    Tests of real models are left out where there are none, and the summary says how many.
    """
    without_models: list[pytest.Item] = []
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "engine" in fixtures:
            item.add_marker(pytest.mark.engine)
        if "chromium" in fixtures:
            item.add_marker(pytest.mark.browser)
        if "shared_models" in fixtures and not MODELS.is_dir():
            without_models.append(item)
    if without_models:
        items[:] = [item for item in items if item not in set(without_models)]
        config.hook.pytest_deselected(items=without_models)
        config.stash[LEFT_OUT] = len(without_models)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that prints the summary what this one of pytest-xdist's left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it there; all processes collect the same tests."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{left_out} tests of real models were left out: there is no folder {MODELS} of models, each in a folder "
            "with model.onnx, io.json and arrays; TINYINFER_TEST_MODELS names another"
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A generator that the tests of a module share begins anew with each, so that no order changes what they draw."""
    for value in vars(getattr(item, "module", None)).values():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = FIRST_NUMBERS


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
    """The folder of real models; where there is none, tests that ask for it are not collected."""
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

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield instance
        instance.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page in a context of its own: no cache, no IndexedDB, no service worker of other tests."""
    from tests.script_coverage import recorded

    context = browser.new_context()
    context.set_default_timeout(60_000)  # milliseconds
    with recorded(context.new_page()) as page:
        yield page
    context.close()
