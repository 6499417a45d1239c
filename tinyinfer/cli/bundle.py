"""`tinyinfer bundle`: a folder that any web server can serve."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinyinfer.bundle import bundle as write_bundle
from tinyinfer.cli import console
from tinyinfer.cli.models import compile_onnx, is_compiled
from tinyinfer.cli.options import Shapes
from tinyinfer.errors import ModelError, TinyInferError

Models = Annotated[list[Path], typer.Argument(metavar="MODEL...", help=".onnx or .tinf files.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="New, empty, or of an earlier bundle.")]
Demo = Annotated[bool, typer.Option("--demo", help="Add the demo page; the model digits must be among the models.")]

Force = Annotated[
    bool, typer.Option("--force", help="Write into a folder of other files, too; those of the same names are lost.")
]


def bundle(
    models: Models, output: Output = Path("dist/site"), demo: Demo = False, shape: Shapes = [], force: Force = False
) -> None:
    """Write a static folder with the web runtime, the kernels and models, ready for any web server.

    A new folder appears as a whole or not at all. In an existing one only files that a bundle wrote are replaced or
    removed; what would lose others is refused. Options of `compile` apply to .onnx files.

    Examples:

      tinyinfer bundle model.tinf -o dist/site
      tinyinfer bundle encoder.onnx decoder.tinf -o dist/site
      tinyinfer bundle examples/digits/digits.onnx -o dist/site --demo
    """
    show_files(write_bundle(read_models(models, shape), output, demo, force), output)


def read_models(paths: Sequence[Path], shapes: Iterable[str] = ()) -> dict[str, bytes]:
    """The bytes of the compiled models by the names they get in the folder; ONNX files are compiled."""
    models: dict[str, bytes] = {}
    for path in paths:
        name = f"{path.stem}.tinf"
        if name in models:
            raise TinyInferError(f"{path}: two models would be {name}; rename one of them")
        models[name] = _read(path) if is_compiled(path) else compile_onnx(path, shapes).to_bytes()
    return models


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def show_files(paths: Iterable[Path], folder: Path) -> None:
    """Print every file with its size as it is and compressed, as servers send it."""
    sizes = {path.relative_to(folder).as_posix(): _sizes(path) for path in paths}
    rows: list[list[console.Cell]] = [[name, raw, packed] for name, (raw, packed) in sizes.items()]
    rows.append(["total", sum(raw for raw, _ in sizes.values()), sum(packed for _, packed in sizes.values())])
    console.show_table(f"{folder}", ["file", ">bytes", ">gzip"], rows)


def _sizes(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    return len(content), len(gzip.compress(content, mtime=0))
