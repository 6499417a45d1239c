"""The command `tinyinfer`: one module for each subcommand."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tinyinfer import __version__
from tinyinfer.cli import console
from tinyinfer.cli.bench import bench
from tinyinfer.cli.bundle import bundle
from tinyinfer.cli.compile import compile_
from tinyinfer.cli.demo import demo
from tinyinfer.cli.inspect import inspect
from tinyinfer.cli.quantize import quantize
from tinyinfer.cli.run import run
from tinyinfer.cli.serve import serve
from tinyinfer.cli.verify import verify
from tinyinfer.errors import TinyInferError
from tinyinfer.start import INTERRUPTED

DEBUG_VARIABLE = "TINYINFER_DEBUG"


class Commands(TyperGroup):
    """Turns the library's errors, and those of the file system, into one readable message and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            console.note("Interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except (TinyInferError, OSError) as error:
            if ctx.params["debug"]:
                raise
            console.fail("Error", _describe(error))
            raise typer.Exit(1) from None


def _describe(error: TinyInferError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.say(f"tinyinfer {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, help="Show the traceback of an error.")
    ] = False,
) -> None:
    """ONNX neural networks in the browser, on the CPU, with proof that it computes what Python computes."""


app.command("compile")(compile_)
app.command("quantize")(quantize)
app.command("run")(run)
app.command("verify")(verify)
app.command("inspect")(inspect)
app.command("bench")(bench)
app.command("bundle")(bundle)
app.command("serve")(serve)
app.command("demo")(demo)


def main() -> None:
    """The console script. Characters that the output cannot show are replaced rather than an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="tinyinfer")
