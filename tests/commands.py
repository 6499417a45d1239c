"""Running commands in tests: in this process, or as a process of their own.

What they print depends on no terminal: neither on the one that the tests were started from, nor on its size.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from typer.testing import CliRunner, Result

from tinyinfer.cli import app, console

ROOT = Path(__file__).resolve().parent.parent

# Those that the package makes are for the terminal that it is imported in, which is there if pytest captures nothing.
console.out, console.err = (
    Console(stderr=stderr, highlight=False, width=console.PIPED_WIDTH, force_terminal=False) for stderr in (False, True)
)


def run(*arguments: str | Path, code: int = 0) -> Result:
    """Run a command in this process and check its exit code; an error that is not reported as one is raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start a command as a process of its own, its output in pipes."""
    command = [sys.executable, "-m", "tinyinfer", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True, encoding="utf-8"
    )


def complete(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own to its end."""
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def cells(text: str, first: str) -> list[str]:
    """The cells of the table row that begins with `first`."""
    row = next(line for line in text.splitlines() if line.strip().startswith(first))
    return re.split(r" {2,}", row.strip())
