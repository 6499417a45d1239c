"""`tinyinfer serve`: a bundle in a local browser."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tinyinfer import listing, server
from tinyinfer.bundle import DEMO_MODEL
from tinyinfer.bundle import bundle as write_bundle
from tinyinfer.cli import console
from tinyinfer.cli.bundle import read_models
from tinyinfer.cli.options import Shapes
from tinyinfer.errors import TinyInferError
from tinyinfer.wasm_backend.tinf import ModelFile

Sources = Annotated[
    list[Path], typer.Argument(metavar="FOLDER | MODEL...", help="A bundle's folder, or models to bundle first.")
]
Port = Annotated[
    int, typer.Option(metavar="N", min=0, max=65535, help="The next free port is taken if it is in use; 0: any.")
]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 serves the whole network.")]
Dev = Annotated[
    bool, typer.Option("--dev", help="For a page under development: nothing is cached, inline code and eval may run.")
]


def serve(sources: Sources, port: Port = 8000, host: Host = "127.0.0.1", shape: Shapes = [], dev: Dev = False) -> None:
    r"""Serve a bundle on this machine, with the types and headers that the web runtime wants, until Ctrl-C.

    Needs the extra `serve`: pip install 'tinyinfer\[serve]'

    Examples:

      tinyinfer serve dist/site
      tinyinfer serve model.onnx --port 0
      tinyinfer serve dist/site --dev     (while you write a page: reload shows every change)
      tinyinfer serve digits.tinf     (a model of this name brings the demo page)
    """
    if len(sources) == 1 and sources[0].is_dir():
        serve_folder(sources[0], host, port, dev)
        return
    folders = [str(path) for path in sources if path.is_dir()]
    if folders:
        raise TinyInferError(f"{', '.join(folders)}: give one folder, or models only")
    with tempfile.TemporaryDirectory(prefix="tinyinfer-") as scratch:
        folder = Path(scratch, "site")
        models = read_models(sources, shape)
        write_bundle(models, folder, DEMO_MODEL in models)
        serve_folder(folder, host, port, dev)


def serve_folder(folder: Path, host: str, port: int, dev: bool = False) -> None:
    """Serve `folder`, print its URL, and return on Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server.application(folder)  # what is missing is told before a port is taken
    with contextlib.suppress(KeyboardInterrupt), server.listen(host, port) as listener:
        taken = listener.getsockname()[1]
        if port not in (0, taken):
            console.note(f"port {port} is in use; port {taken} is free")
        console.say(f"serving {folder} at {server.url_of(listener)} (Ctrl-C ends)", "bold")
        show_served(folder)
        if dev:
            console.note(
                "--dev: nothing is cached, and the content policy lets inline code, eval and data: URLs through"
            )
        console.out.file.flush()
        server.serve(folder, listener, dev)


def show_served(folder: Path) -> None:
    """Print the files that are served, and what the models among them take and give."""
    models = listing.models_of(folder)
    rows: list[list[console.Cell]] = []
    for name, nbytes in listing.files_of(folder).items():
        model = models.get(name)
        told = model.plans[0].signature if isinstance(model, ModelFile) else str(model or "")
        rows.append([name, nbytes, told])
    if rows:
        console.show_table("", ["file", ">bytes", "model"], rows)
