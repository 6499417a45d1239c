"""What `-o` may not replace: the file that is read, by any name, links, devices, folders."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.commands import run
from tests.onnx_models import model

X = np.ones((1, 3), np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "m.onnx"
    onnx.save(model([helper.make_node("Neg", ["x"], ["y"])], {"x": X}), file)
    return file


def _names(path: Path) -> dict[str, Path]:
    hard, folder = path.parent / "hard.tinf", path.parent / "folder"
    hard.hardlink_to(path)
    folder.mkdir()
    (path.parent / "soft.tinf").symlink_to(path)
    (path.parent / "other.tinf").symlink_to(path.parent / "elsewhere.tinf")
    os.mkfifo(path.parent / "pipe")
    return {
        "itself": path, "through ..": folder / ".." / "m.onnx", "hard link": hard, "link": path.parent / "soft.tinf",
        "link elsewhere": path.parent / "other.tinf", "folder": folder, "device": Path("/dev/null"),
        "pipe": path.parent / "pipe", "no folder": path.parent / "none" / "m.tinf", "standard output": Path("-"),
    }  # fmt: skip


@pytest.mark.parametrize("command", ["compile", "quantize", "run"])
def test_nothing_else_is_replaced(path: Path, command: str) -> None:
    before = path.read_bytes()
    more = {"compile": [], "quantize": ["--dynamic"], "run": ["--random", "0"]}[command]
    for name, target in _names(path).items():
        files = sorted(path.parent.iterdir())
        result = run(command, path, *more, "-o", target, code=1)
        assert "expected the name of a file" in result.stderr or str(target) in result.stderr, name
        assert sorted(path.parent.iterdir()) == files, name
        assert path.read_bytes() == before, name


def test_an_earlier_result_is_replaced(path: Path) -> None:
    target = path.parent / "m.tinf"
    target.write_bytes(b"before")
    run("compile", path)
    assert target.read_bytes() != b"before"


def test_inputs_of_a_run_are_not_replaced(path: Path) -> None:
    feeds = path.parent / "x.npz"
    np.savez(feeds, x=X)
    before = feeds.read_bytes()
    for given in (str(feeds), f"x={feeds}"):
        run("run", path, given, "-o", feeds, code=1)
    assert feeds.read_bytes() == before
