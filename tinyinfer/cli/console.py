"""What every command prints with: two consoles, tables, bars and progress.

Results go to stdout, progress and errors to stderr. Without a terminal there is no colour, no progress and no
wrapping at 80 columns, so that output can be piped and searched.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

PIPED_WIDTH = 160
LONGEST = 2_000
"""Characters of a line."""

Cell = str | int | float | Text
Advance = Callable[[int, int, str], None]
"""Told the units done, the units in all and what is being done."""


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    fixed = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=stderr, highlight=False, width=fixed)


out = _console(stderr=False)
err = _console(stderr=True)


def plain(text: str) -> str:
    """`text` as a terminal may show it: control characters, which models can hold in names, are spelt out, and lines
    longer than `LONGEST` are cut."""
    return "\n".join(map(_line, text.split("\n")))


def _line(line: str) -> str:
    cut = line if len(line) <= LONGEST else f"{line[:LONGEST]}… ({len(line):,} characters)"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def say(text: str | Text = "", style: str = "") -> None:
    """Print one line of plain text, unwrapped."""
    out.print(Text(plain(text), style) if isinstance(text, str) else text, soft_wrap=True)


def note(text: str) -> None:
    """Print a remark beside the result: to stderr."""
    err.print(Text(plain(text), "yellow"), soft_wrap=True)


def fail(title: str, message: str) -> None:
    """Print an error: a panel on a terminal, one plain paragraph elsewhere."""
    message = plain(message)
    if err.is_terminal:
        err.print(Panel(Text(message), title=title, title_align="left", border_style="red"))
    else:
        err.print(Text(f"{title}: {message}"), soft_wrap=True)


def show_table(title: str, columns: Iterable[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table under a title; a column named `>name` holds numbers.

    Cells are plain text; numbers get thousands separators.
    """
    heads = [Column(c[1:], justify="right", no_wrap=True) if c.startswith(">") else Column(c) for c in columns]
    table = Table(*heads, title=Text(plain(title)), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(_shown, row))
    out.print(table)


def _shown(cell: Cell) -> Text:
    if not isinstance(cell, Text):
        return Text(_text(cell))
    safe = plain(cell.plain)
    return cell if safe == cell.plain else Text(safe, cell.style)


def _text(cell: str | int | float) -> str:
    return plain(cell) if isinstance(cell, str) else f"{cell:,}"


def size(nbytes: int) -> str:
    """A size for people: bytes below 10 KiB, else KiB or MiB."""
    if nbytes < 10_240:
        return f"{nbytes:,} B"
    return f"{nbytes / 1024:,.1f} KiB" if nbytes < 10 << 20 else f"{nbytes / (1 << 20):,.1f} MiB"


def bar(fraction: float, width: int = 24) -> Text:
    """A horizontal bar of `fraction` of `width` characters, in eighths of a character."""
    eighths = round(min(max(fraction, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return Text("█" * full + (" ▏▎▍▌▋▊▉"[part] if part else ""), "cyan")


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """A progress bar on a terminal, gone when the block ends; nothing elsewhere."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[item]}", style="dim"),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task(title, total=None, item="")

        def advance(done: int, total: int, item: str) -> None:
            shown.update(task, completed=done, total=total, item=item)

        yield advance


@contextmanager
def status(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the stage at work on a terminal; nothing elsewhere."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with err.status(title) as spinner:
        yield lambda stage: spinner.update(f"{title}: {stage}")
