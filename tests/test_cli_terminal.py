"""What a model says is shown, not obeyed, by the terminal; what a user says is taken at its word."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import tinyinfer
from tests.commands import run
from tests.conftest import ROOT
from tests.onnx_models import model
from tinyinfer import compiler, images
from tinyinfer.cli import console
from tinyinfer.errors import FeedError
from tinyinfer.types import DType
from tinyinfer.wasm_backend.plan import Binding

X = np.ones((1, 3), np.float32)
NAMES = ["\x1b[2J\x1b]0;title\x07", "a\rb", "\x9b31m", "right\u202eleft", "[bold red]x[/]", "long" * 100_000]


@pytest.mark.parametrize("name", NAMES, ids=["escape", "return", "csi", "bidi", "markup", "long"])
def test_names_of_models_do_not_steer_the_terminal(tmp_path: Path, name: str) -> None:
    for op, command, code in (("Neg", "inspect", 0), ("Neg", "compile", 0), ("NonZero", "compile", 1)):
        path = tmp_path / "m.onnx"
        onnx.save(model([helper.make_node(op, [name], ["y"], name=name)], {name: X}), path)
        result = run(command, path, code=code)
        shown = result.stdout + result.stderr
        assert not {"\x1b", "\r", "\x07", "\x9b", "\u202e"} & set(shown)
        assert len(shown) < 50 * console.LONGEST


def test_markup_is_text() -> None:
    assert console.plain("[bold]x[/]") == "[bold]x[/]"
    assert console.plain("é 漢\n") == "é 漢\n"


def test_ctrl_c_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "m.onnx"
    onnx.save(model([helper.make_node("Neg", ["x"], ["y"])], {"x": X}), path)
    monkeypatch.setattr(compiler, "compile", interrupted)
    result = run("compile", path, code=130)
    assert result.stderr == "Interrupted\n"
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_a_shape_without_elements_is_refused(tmp_path: Path) -> None:
    assert "--shape" in run("compile", tmp_path / "m.onnx", "--shape", "x=0x3", code=2).stderr


def test_version() -> None:
    assert tinyinfer.__version__ == version("tinyinfer")
    assert run("--version").stdout == f"tinyinfer {tinyinfer.__version__}\n"


def test_ctrl_c_while_the_command_starts_is_one_line(tmp_path: Path) -> None:
    """Interrupted where a package is imported that takes long."""
    tmp_path.joinpath("onnx.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "-m", "tinyinfer", "inspect", "m.onnx"]
    result = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "Interrupted\n")


def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    """60,000 × 60,000 pixels of one colour, a file of some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    picture = tmp_path / "bomb.png"
    content = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(60_001))), chunk(b"IEND", b""))
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(content))
    binding = Binding("x", DType.FLOAT, (1, 1, 8, 8), 0, (64, 64, 8, 1))
    with pytest.raises(FeedError, match=r"bomb.png: not a readable picture: Image size \(3600000000 pixels\)"):
        images.read_image(picture, images.Preprocess(8, 8), binding)
