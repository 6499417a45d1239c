"""What it costs to bring a model into a page: cold starts, memory, bytes of code."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import PurePosixPath

from playwright.sync_api import Browser

from benchmarks.browser import ask, launch, open_page, peak_memory
from benchmarks.contenders import RUNTIMES, Contender
from benchmarks.measure import Run
from benchmarks.pages import model_page
from benchmarks.prepare import Prepared
from benchmarks.results import ColdStart, ModelResult, Transfer
from benchmarks.server import Site

SETTLED = 500
"""Milliseconds that a page stays open after its first output, so that it can keep what it means to keep."""


def start_cold(run: Run, prepared: Prepared, contenders: Sequence[Contender], result: ModelResult) -> None:
    """Navigate to every page with an empty cache, and again with what the first visit left in it."""
    run.site.caching = True
    with launch() as browser:
        for turn in range(run.effort.starts):
            run.tell(f"{prepared.model.title}: cold start {turn + 1} of {run.effort.starts}")
            for contender in contenders:
                cold = result.cold.setdefault(contender.key, ColdStart())
                _visit_twice(browser, model_page(run.site, contender, prepared, preload=True), cold)
    run.site.caching = False


def _visit_twice(browser: Browser, url: str, cold: ColdStart) -> None:
    context = browser.new_context()
    for times in (cold.empty, cold.warm):
        page = context.new_page()
        page.goto(url)
        times.append(ask(page, "bench.coldStart"))
        page.wait_for_timeout(SETTLED)
        page.close()
    context.close()


def weigh(run: Run, prepared: Prepared, contenders: Sequence[Contender], result: ModelResult) -> None:
    """Peak memory of a page that loads the model and runs it, over a blank page; and the code that it fetches."""
    for contender in contenders:
        run.tell(f"{prepared.model.title}: memory of {contender.title}")
        with launch() as browser:
            open_page(browser, f"{run.site.url}/blank.html")
            blank = peak_memory(browser)
        run.site.requests.clear()
        with launch() as browser:
            page = open_page(browser, model_page(run.site, contender, prepared))
            ask(page, "bench.measure(0, true)")
            peak = peak_memory(browser)
        if blank is not None and peak is not None:
            result.memory[contender.key] = peak - blank
        if contender.key not in run.results.transfer:
            run.results.transfer[contender.key] = compressed(_code(run.site))


def _code(site: Site) -> list[bytes]:
    """What was fetched of the runtimes, without the harness's own files, models and feeds."""
    paths = {path for path in site.requests if PurePosixPath(path).parts[0] in RUNTIMES}
    return [content for path in sorted(paths) if (content := site.find(path)) is not None]


def compressed(contents: Sequence[bytes]) -> Transfer:
    """The total of files, as they are and compressed one by one as hard as it goes."""
    import brotli

    return Transfer(
        sum(len(content) for content in contents),
        sum(len(gzip.compress(content, 9, mtime=0)) for content in contents),
        sum(len(brotli.compress(content)) for content in contents),
    )
