"""Reading the model a command is given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tinyinfer import compiler
from tinyinfer.cli import console
from tinyinfer.cli.options import parse_shapes
from tinyinfer.compiler import CompiledModel
from tinyinfer.errors import ModelError, TinyInferError
from tinyinfer.feeds import by_position, read_arrays
from tinyinfer.frontend import reading
from tinyinfer.types import Array


def is_compiled(path: Path) -> bool:
    """Whether the name is that of a compiled model."""
    return path.suffix == ".tinf"


def compile_onnx(
    path: Path, shapes: Iterable[str] = (), optimize: bool = True, feeds: Mapping[str, Array] | None = None
) -> CompiledModel:
    """Compile an ONNX file, showing the stage at work; ModelError for a `.tinf` file.

    Where no shapes are given, the shapes of `feeds` are bound.
    """
    require_onnx(path)
    bindings: list[dict[str, tuple[int, ...]]] = parse_shapes(shapes)
    if not bindings and feeds:
        bindings = [{name: array.shape for name, array in feeds.items()}]
    with console.status(path.name) as stage:
        return compiler.compile(path, bindings, optimize=optimize, progress=stage)


def require_onnx(path: Path) -> None:
    """Raise ModelError for a compiled model where the graph is needed."""
    if is_compiled(path):
        raise ModelError(f"{path}: a compiled model holds no graph; give the .onnx file it was made from")


def input_names(path: Path) -> list[str]:
    """The names of an ONNX model's inputs, in order; initializers are not among them."""
    require_onnx(path)
    graph = reading.read(path).proto.graph
    initializers = {tensor.name for tensor in graph.initializer}
    return [info.name for info in graph.input if info.name not in initializers]


def read_feeds(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """The inputs in an .npz or .npy file: those named as the model's, or `input_<position>`."""
    return by_position(read_arrays(path), names, "input")


def only(arrays: Mapping[str, Array], names: Iterable[str]) -> dict[str, Array]:
    """The arrays of these names; a run, not the compiler, is to refuse the others."""
    return {name: array for name, array in arrays.items() if name in set(names)}


def check_target(path: Path, *sources: Path) -> None:
    """Raise TinyInferError unless a file can be put at `path`, before any work is done for it.

    It may replace an ordinary file, but none of `sources`, by whatever name.
    """
    if str(path) == "-":
        raise TinyInferError("-: expected the name of a file; results are not written to standard output")
    if path.is_dir():
        raise TinyInferError(f"{path} is a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise TinyInferError(f"{path}: there is no folder {path.parent}")
    if any(source.exists() and path.exists() and path.samefile(source) for source in sources):
        raise TinyInferError(f"{path} is the file that is read; give another name to write to")
    if path.is_symlink():
        raise TinyInferError(f"{path} is a symbolic link to {path.readlink()}; give the name of the file itself")
    if path.exists() and not path.is_file():
        raise TinyInferError(f"{path} is a device, a pipe or a socket; expected the name of a file")
    if not os.access(path.parent, os.W_OK):
        raise TinyInferError(f"{path}: the folder {path.parent} cannot be written to")
