"""`python -m benchmarks`: the command line of the benchmarks."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import peers as npm
from benchmarks.browser import launch
from benchmarks.chart import chart
from benchmarks.contenders import OURS, RUNTIMES, Contender, contenders
from benchmarks.kernels import as_data, columns, rows
from benchmarks.kernels import measure as measure_kernels
from benchmarks.loading import start_cold, weigh
from benchmarks.measure import FULL, QUICK, Effort, Run, time_model
from benchmarks.models import MODELS
from benchmarks.pages import site
from benchmarks.prepare import Prepared, prepare
from benchmarks.report import markdown
from benchmarks.results import Results
from benchmarks.server import serve
from tinyinfer.errors import TinyInferError
from tinyinfer.wasm_backend.kernel_module import TIERS, module_file

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->"
PEERS = tuple(name for name in RUNTIMES if name != OURS)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(width=None if sys.stdout.isatty() else 180)  # in a file, tables need their width

Models = Annotated[list[str], typer.Option("--model", "-m", help=f"Only these of: {', '.join(MODELS)}.")]
Peers = Annotated[list[str], typer.Option("--peer", "-p", help=f"Only these of: {', '.join(PEERS)}; or none.")]
Threads = Annotated[list[int], typer.Option("--threads", "-t", help="Numbers of threads to measure.")]
Kernels = Annotated[list[str], typer.Option("--kernel", "-k", help="Show only these kernels.")]
Wasm = Annotated[
    Path | None, typer.Option(help="A second kernel module that takes the same arguments: both run in turns.")
]
Quick = Annotated[bool, typer.Option("--quick", help="One browser and few rounds: to see that it works.")]
Rounds = Annotated[int, typer.Option(help="Undisturbed turns of each contender in a browser (0: as the profile says).")]
Launches = Annotated[int, typer.Option(help="Fresh browsers for each model (0: as the profile says).")]
TimesOnly = Annotated[bool, typer.Option("--times-only", help="Neither cold starts, nor memory, nor bytes of code.")]
Readme = Annotated[bool, typer.Option("--readme", help="Put the tables into benchmarks/README.md.")]
Out = Annotated[Path, typer.Option(help="The folder for results.json, results.md and chart.svg.")]


@app.callback()
def main() -> None:
    """Measure TinyInfer in headless Chromium, beside other runtimes and against the limits of the machine."""


@app.command()
def run(
    model: Models = [],
    peer: Peers = [],
    threads: Threads = [1, 2],
    quick: Quick = False,
    rounds: Rounds = 0,
    launches: Launches = 0,
    times_only: TimesOnly = False,
    readme: Readme = False,
    out: Out = HERE / "results",
) -> None:
    """Time whole models, interleaved with onnxruntime-web and TF.js; then cold starts, memory and bytes of code.

    Examples:

      python -m benchmarks run --quick
      python -m benchmarks run -m mobilenetv2 -m resnet50 -t 1 --times-only
      python -m benchmarks run --readme
    """
    base = QUICK if quick else FULL
    effort = dataclasses.replace(base, launches=launches or base.launches, rounds=rounds or base.rounds)
    names = _known(model or list(MODELS), MODELS, "model")
    chosen = [] if peer == ["none"] else _known(peer or list(PEERS), PEERS, "peer")
    competing = contenders(chosen, threads)
    modules = npm.install() if chosen else None
    with _progress() as tell:
        prepared = {}
        for name in names:
            tell(f"{MODELS[name].title}: exporting and compiling")
            prepared[name] = prepare(MODELS[name], [OURS, *chosen])
        results = _begin(effort, threads, competing)
        with serve(site(prepared, modules)) as served:
            for name in names:
                _measure(Run(served, effort, results, tell), prepared[name], competing, times_only)
                results.save(out / "results.json")
    _report(results, out, readme)


@app.command()
def kernels(
    model: Models = [],
    kernel: Kernels = [],
    wasm: Wasm = None,
    quick: Quick = False,
    rounds: Rounds = 0,
    out: Out = HERE / "results",
) -> None:
    """Time every kernel on the layers of models: GFLOP/s or GB/s, and its share of the model's time.

    With --wasm, or where there are two tiers, two modules run in turns.

    Examples:

      python -m benchmarks kernels -m mobilenetv2
      python -m benchmarks kernels -m bert -k f32_gemm --wasm other.wasm
    """
    base = QUICK if quick else FULL
    effort = dataclasses.replace(base, rounds=rounds or base.rounds)
    names = _known(model or ["mobilenetv2", "resnet50", "bert"], MODELS, "model")
    modules = [f"/tinyinfer/{module_file(tier)}" for tier in TIERS[: 1 if wasm else 2]] + ["/second.wasm"] * bool(wasm)
    data = {}
    with _progress() as tell:
        prepared = {name: prepare(MODELS[name], [OURS]) for name in names}
        pages = site(prepared, None)
        if wasm is not None:
            pages.files = {**pages.files, "second.wasm": wasm.read_bytes()}
        results = _begin(effort, [1], [])
        with serve(pages) as served:
            run = Run(served, effort, results, tell)
            for name in names:
                data[name] = measure_kernels(run, prepared[name], modules)
    for name, (measured, peak) in data.items():
        shown = [entry for entry in measured if not kernel or entry.kernel in kernel]
        table = Table(title=f"{MODELS[name].title} (limit {peak:.1f} GFLOP/s)")
        for i, head in enumerate(columns(modules)):
            table.add_column(head, justify="left" if i < 2 else "right")
        for row in rows(shown, peak):
            table.add_row(*row)
        console.print(table)
    out.mkdir(parents=True, exist_ok=True)
    described = {name: {"limit": peak, "entries": as_data(measured)} for name, (measured, peak) in data.items()}
    (out / "kernels.json").write_text(json.dumps(described, indent=1))
    console.print(f"written to {out / 'kernels.json'}")


@app.command()
def report(readme: Readme = False, out: Out = HERE / "results") -> None:
    """Print the tables of the last run again."""
    _report(Results.load(out / "results.json"), out, readme)


def _known(names: Sequence[str], known: Collection[str], what: str) -> list[str]:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"unknown {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return list(names)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=text)


def _begin(effort: Effort, threads: Sequence[int], competing: Sequence[Contender]) -> Results:
    with launch() as browser:
        version = f"Chromium {browser.version}"
    settings = {"effort": dataclasses.asdict(effort), "threads": list(threads)}
    date = datetime.date.today().isoformat()
    return Results(date, version, machine(), settings, titles={c.key: c.title for c in competing})


def machine() -> str:
    """The kind of processor and how many cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores of {model}"


def _measure(run: Run, prepared: Prepared, competing: Sequence[Contender], times_only: bool) -> None:
    result = time_model(run, prepared, competing)
    if times_only:
        return
    # One thread is what a page gets without special headers.
    able = [c for c in competing if c.key in result.timings and c.threads == min(run.results.settings["threads"])]
    if prepared.model.cold:
        start_cold(run, prepared, able, result)
    weigh(run, prepared, able, result)


def _report(results: Results, out: Path, readme: bool) -> None:
    text = markdown(results)
    (out / "results.md").write_text(text)
    picture = chart(results.undisturbed())
    (out / "chart.svg").write_text(picture)
    console.print(Markdown(text))
    console.print(f"written to {out}: results.json, results.md, chart.svg")
    if readme:
        before, _, rest = README.read_text().partition(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
        (HERE / "chart.svg").write_text(picture)
        console.print(f"written to {README} and chart.svg beside it")


def entry() -> None:
    """Run the command line; errors that are raised on purpose are one line."""
    try:
        app()
    except TinyInferError as error:
        raise SystemExit(f"error: {error}") from None
