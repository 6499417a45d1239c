"""The samples of README and docs do what they say: each is taken from its page, word for word, and executed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from playwright.sync_api import Page, expect

import tinyinfer
from tests.commands import run
from tests.conftest import ROOT
from tests.onnx_models import model
from tests.website import Site, library, serve

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "web" / "README.md"]
CLASSES = 4


def samples(page: Path, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The commands with arguments that a page shows, in blocks and in tables."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(samples(page, "")).replace("\\\n", " ")
    return [
        *re.findall(r"^(tinyinfer \w+ .*?)(?: +#.*)?$", blocks, re.MULTILINE),
        *re.findall(r"^\| `(tinyinfer \w+ [^`]+)`", text, re.MULTILINE),
    ]


def network(channels: int, side: int, output: str) -> onnx.ModelProto:
    """Pictures of this size to four classes."""
    weights = np.random.default_rng(3).standard_normal((CLASSES, channels, 4, 4), np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], name="stem", strides=[4, 4]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"], name="pool"),
        helper.make_node("Flatten", ["g"], [output], name="flatten"),
    ]
    inputs = {"image": (TensorProto.FLOAT, ["n", channels, side, side])}
    return model(nodes, inputs, [output], {"w": weights})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the samples speak of: a model, photos and names of classes."""
    monkeypatch.chdir(tmp_path)
    onnx.save(network(3, 224, "scores"), "model.onnx")
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(4).integers(0, 256, (8, 256, 256, 3), np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "photos" / f"{i}.png")
    Image.fromarray(pixels[0]).save(tmp_path / "photo.png")
    (tmp_path / "classes.txt").write_text("\n".join("abcd"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if samples(page, "python")], ids=lambda page: page.name)
def test_python(page: Path, folder: Path) -> None:
    arrays = list(np.random.default_rng(5).standard_normal((4, 1, 3, 224, 224), np.float32))
    names: dict[str, Any] = {"image": arrays[0], "images": arrays, "arrays": arrays}
    for sample in samples(page, "python"):
        exec(compile(sample, str(page), "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_commands(page: Path, folder: Path) -> None:
    for command in commands(page):
        run(*shlex.split(command)[1:])


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with everything that the scripts ask for; `tinyinfer` means the runtime, as bundlers would have it."""
    compiled = tinyinfer.compile(network(1, 28, "probabilities")).to_bytes()
    with serve({**library(), "model.tinf": compiled}) as running:
        yield running


@pytest.mark.parametrize("page_of", [page for page in PAGES if samples(page, "js")], ids=lambda page: page.name)
def test_scripts(page_of: Path, page: Page, site: Site) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for n, sample in enumerate(samples(page_of, "js")):
        site.files["pixels.js"] = b"globalThis.pixels = new Float32Array(28 * 28);"
        site.files["sample.js"] = f"{sample}\ndocument.title = 'sample {n}';".encode()
        lines = ["<!doctype html>", '<script src="pixels.js"></script>', *samples(page_of, "html")]
        if '"tinyinfer"' in sample:
            site.headers.pop("Content-Security-Policy", None)
            lines.append('<script type="importmap">{"imports": {"tinyinfer": "/index.js"}}</script>')
        lines.append('<script type="module" src="sample.js"></script>')
        site.files["index.html"] = "\n".join(lines).encode()
        page.goto(f"{site.url}/index.html")
        expect(page).to_have_title(f"sample {n}", timeout=60_000)
    assert errors == []


def test_every_kind_of_sample_is_found() -> None:
    found = {kind: sum(len(samples(page, kind)) for page in PAGES) for kind in ("python", "js")}
    assert found["python"] >= 3
    assert found["js"] >= 4
    assert sum(len(commands(page)) for page in PAGES) >= 8
