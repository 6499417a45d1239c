"""Interleaved timings of whole models, and the machine's limits in the same rounds."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from playwright.sync_api import Browser, Page

from benchmarks.browser import ask, launch, open_page
from benchmarks.contenders import OURS, Contender
from benchmarks.pages import limits_page, model_page
from benchmarks.prepare import Prepared
from benchmarks.results import ModelResult, Results, Timing
from benchmarks.server import Site
from tinyinfer.errors import TinyInferError

SLOW = 100.0
"""Milliseconds from which on a run needs no other one before it to warm the caches up."""

MOST = 2
"""Turns for each undisturbed one that is asked for, at most."""


@dataclass(frozen=True)
class Effort:
    """How thoroughly to measure."""

    launches: int
    """Fresh browsers in which a model is measured."""
    rounds: int
    """Undisturbed turns of every contender in one browser, if they come within `MOST` times as many turns."""
    sample: float
    """Least milliseconds of one turn; fast models run several times in it."""
    warm_up: float
    """Milliseconds that a contender runs before the first round."""
    starts: int
    """Cold starts of every contender."""


FULL = Effort(launches=3, rounds=11, sample=20, warm_up=500, starts=7)
QUICK = Effort(launches=1, rounds=5, sample=10, warm_up=200, starts=2)


@dataclass(frozen=True)
class Run:
    """What all measurements share."""

    site: Site
    effort: Effort
    results: Results
    tell: Callable[[str], None]
    """Told what is going on."""


def time_model(run: Run, prepared: Prepared, contenders: Sequence[Contender]) -> ModelResult:
    """Time all contenders on one model, interleaved; what cannot take part is in `missing`."""
    model, effort = prepared.model, run.effort
    reasons = {c: prepared.missing.get(c.runtime.name) for c in contenders}
    result = ModelResult(model.name, model.title, prepared.macs, prepared.weight_bytes, model.quantized)
    run.results.models.append(result)
    result.missing = {c.key: reason for c, reason in reasons.items() if reason is not None}
    able = [c for c in contenders if reasons[c] is None]
    threads = sorted({c.threads for c in contenders})
    for number in range(effort.launches):
        where = f"{model.title}, browser {number + 1} of {effort.launches}"
        with launch() as browser:
            limits = {n: open_page(browser, limits_page(run.site, n)) for n in threads}
            pages = _open_pages(run, browser, prepared, able, result, where)
            able = list(pages)
            for contender, page in pages.items():
                result.timings[contender.key].launches.append([])
                ask(page, f"bench.measure({effort.warm_up}, false, 0)")
            for turn in range(MOST * effort.rounds):
                enough = run.results.undisturbed_speed
                done = min((_undisturbed(result.timings[c.key], turn, enough) for c in pages), default=effort.rounds)
                if done >= effort.rounds:
                    break
                run.tell(f"{where}: round {turn + 1}, {done} of {effort.rounds} undisturbed")
                _take_turns(run, pages, turn, enough, result)
                _measure_limits(limits, run)
    return result


def _undisturbed(timing: Timing, turns: int, speed: float) -> int:
    """How many of the last samples were undisturbed."""
    return sum(s >= speed for s in timing.speeds[len(timing.speeds) - turns :])


def _open_pages(
    run: Run,
    browser: Browser,
    prepared: Prepared,
    contenders: Sequence[Contender],
    result: ModelResult,
    where: str,
) -> dict[Contender, Page]:
    """A page for each contender that computes what is expected, with the threads it was asked for."""
    pages = {}
    for contender in contenders:
        run.tell(f"{where}: loading into {contender.title}, {contender.threads} thread(s)")
        page = open_page(browser, model_page(run.site, contender, prepared))
        try:
            error = _check(page, contender, prepared)
        except TinyInferError as problem:
            result.missing[contender.key] = str(problem)
            result.timings.pop(contender.key, None)
            page.close()
            continue
        timing = result.timings.setdefault(contender.key, Timing())
        timing.error = max(timing.error, error)
        pages[contender] = page
    return pages


def _check(page: Page, contender: Contender, prepared: Prepared) -> float:
    """The largest relative error of the outputs; TinyInferError where one is too large, or not this contender ran."""
    used = ask(page, "bench.used")
    alone = contender.runtime.name == OURS and not prepared.shares_work
    if used != {"threads": 1 if alone else contender.threads, "tier": contender.tier}:
        raise TinyInferError(f"it ran on {used['threads']} thread(s) {used['tier']}".rstrip())
    errors: Mapping[str, float | None] = ask(page, "bench.compare()")
    for name, error in errors.items():
        if error is None or error > prepared.model.tolerance:
            what = "has another size, or NaN" if error is None else f"is off by {error:.2g} of its largest value"
            raise TinyInferError(f"its output {name} {what}")
    return max(error or 0.0 for error in errors.values())


def _take_turns(run: Run, pages: Mapping[Contender, Page], turn: int, enough: float, result: ModelResult) -> None:
    """One sample of each contender, in another order every round, so that none always follows the same."""
    order = list(pages)
    random.Random(turn).shuffle(order)
    for contender in order:
        timing = result.timings[contender.key]
        warm = not timing.samples or statistics.median(timing.samples) < SLOW
        sample = ask(pages[contender], f"bench.measure({run.effort.sample}, {str(warm).lower()}, {enough})")
        timing.launches[-1].append(sample["ms"])
        timing.speeds.append(sample["speed"])
        if sample["inside"] is not None:
            timing.inside.append(sample["inside"])


def _measure_limits(pages: Mapping[int, Page], run: Run) -> None:
    for threads, page in pages.items():
        rates = run.results.limits.setdefault(str(threads), {})
        for kind in ask(page, "bench.kinds"):
            rates.setdefault(kind, []).append(ask(page, f"bench.measure('{kind}', {run.effort.sample})"))
