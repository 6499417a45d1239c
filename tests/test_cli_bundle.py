"""`tinyinfer bundle` and `tinyinfer demo`: folders with everything a browser needs."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.commands import cells, run
from tests.small_models import classifier, save
from tinyinfer import registry
from tinyinfer.cli.demo import SHADES, half_blocks


def test_folder_and_its_sizes(sums: Path, tmp_path: Path) -> None:
    run("compile", save(classifier(), tmp_path / "blots.onnx"), "-o", tmp_path / "blots.tinf")
    folder = tmp_path / "site"
    out = run("bundle", sums, tmp_path / "blots.tinf", "-o", folder).stdout
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"sums.tinf", "blots.tinf", "index.js"} <= {path.name for path in files}
    assert (folder / "blots.tinf").read_bytes() == (tmp_path / "blots.tinf").read_bytes()
    for path in files:
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        assert cells(out, f"{name} ")[1:] == [f"{len(content):,}", f"{len(gzip.compress(content, mtime=0)):,}"]
    assert cells(out, "total")[1] == f"{sum(path.stat().st_size for path in files):,}"


def test_two_models_of_one_name(sums: Path, tmp_path: Path) -> None:
    run("compile", sums)
    error = run("bundle", sums, tmp_path / "sums.tinf", "-o", tmp_path / "site", code=1).stderr
    assert "two models would be sums.tinf" in error
    assert not (tmp_path / "site").exists()


def test_foreign_folder_is_left_alone(sums: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.txt").write_text("mine")
    run("bundle", sums, "-o", tmp_path / "site", code=1)
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["mine.txt"]


def test_demo_page_needs_its_model(sums: Path, tmp_path: Path) -> None:
    error = run("bundle", sums, "-o", tmp_path / "site", "--demo", code=1).stderr
    assert "digits.tinf" in error


def test_demo(tmp_path: Path) -> None:
    out = run("demo", "--no-serve", "-o", tmp_path / "site").stdout
    assert "bit-identical on wasmtime" in out
    assert "20 of 20 right" in out
    assert any(shade in out for shade in SHADES[1:])
    assert (tmp_path / "site" / "index.html").is_file()
    assert (tmp_path / "site" / "digits.tinf").is_file()


def test_demo_stops_where_bits_differ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = registry.OPERATORS["Softmax"]
    wrong = replace(row, reference=lambda x, axis: -row.reference(x, axis=axis))
    monkeypatch.setitem(registry.OPERATORS, "Softmax", wrong)
    out = run("demo", "--no-serve", "-o", tmp_path / "site", code=1).stdout
    assert re.search(r"First difference: node \S+ \(Softmax, f32_softmax\)", out)
    assert not (tmp_path / "site").exists()


def test_a_drawing_in_colour_has_one_cell_for_two_pixels() -> None:
    line = half_blocks(np.array([0.0, 1.0]), np.array([1.0, 0.5]))
    assert line.plain == "▀▀"
    styles = ["rgb(0,0,0) on rgb(255,255,255)", "rgb(255,255,255) on rgb(128,128,128)"]
    assert [str(span.style) for span in line.spans] == styles
