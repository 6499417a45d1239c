"""The bundle: a complete folder or none at all, and nothing of others is ever deleted."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.models import tinf_of, tiny_graph
from tinyinfer import bundle, web_build
from tinyinfer.errors import PlanError, TinyInferError
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels


@pytest.fixture(scope="module")
def model() -> bytes:
    return tinf_of(tiny_graph())


def listed(folder: Path) -> dict[str, str]:
    text = (folder / "files.js").read_text()
    hashes: dict[str, str] = json.loads(text.removeprefix("self.tinyinferFiles = ").removesuffix(";\n"))
    return hashes


def test_demo_bundle_lists_every_file_with_its_hash(model: bytes, tmp_path: Path) -> None:
    out = tmp_path / "nested" / "site"
    files = bundle.bundle({"digits.tinf": model}, out, demo=True)
    on_disk = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert files == sorted(on_disk.values())
    assert {"index.html", "index.js", "sw.js", "digits.tinf"} <= set(on_disk)
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in on_disk.items()}
    del hashes["files.js"]
    assert listed(out) == hashes


def test_kernels_are_the_ones_python_runs(model: bytes, tmp_path: Path) -> None:
    bundle.bundle({"m.tinf": model}, tmp_path / "site", demo=False)
    for tier in TIERS:
        assert (tmp_path / "site" / f"kernels.{tier}.wasm").read_bytes() == load_kernels(tier).wasm


def test_without_demo_there_is_no_page(model: bytes, tmp_path: Path) -> None:
    bundle.bundle({"m.tinf": model}, tmp_path / "site", demo=False)
    names = {path.name for path in (tmp_path / "site").iterdir()}
    assert {"m.tinf", "index.js"} <= names
    assert not {"index.html", "demo.js", "demo.css"} & names


def test_an_earlier_bundle_is_replaced(model: bytes, tmp_path: Path) -> None:
    bundle.bundle({"old.tinf": model}, tmp_path / "site", demo=False)
    bundle.bundle({"new.tinf": model}, tmp_path / "site", demo=False)
    assert [path.name for path in (tmp_path / "site").glob("*.tinf")] == ["new.tinf"]
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_of_other_files_is_refused(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(TinyInferError, match="holds files that are not of a bundle"):
        bundle.bundle({"m.tinf": model}, tmp_path, demo=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    with pytest.raises(TinyInferError, match="is not a folder"):
        bundle.bundle({"m.tinf": model}, tmp_path / "site", demo=False)


def test_an_error_leaves_nothing_behind(model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, data: bytes) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        bundle.bundle({"m.tinf": model}, tmp_path / "site", demo=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../m.tinf", "a/m.tinf", "m.onnx", ""])
def test_a_name_that_is_no_model_file_is_refused(name: str, model: bytes, tmp_path: Path) -> None:
    with pytest.raises(TinyInferError, match="cannot be a model's file name"):
        bundle.bundle({name: model}, tmp_path / "site", demo=False)


def test_a_model_for_other_kernels_is_refused(tmp_path: Path) -> None:
    blob = tinf_of(tiny_graph(), kernels={"simd128": "0" * 64})
    with pytest.raises(PlanError, match=r"m\.tinf was compiled for other kernels"):
        bundle.bundle({"m.tinf": blob}, tmp_path / "site", demo=False)


def test_the_demo_needs_its_model(model: bytes, tmp_path: Path) -> None:
    with pytest.raises(TinyInferError, match=r"loads digits\.tinf"):
        bundle.bundle({"m.tinf": model}, tmp_path / "site", demo=True)


def test_missing_npm_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_build, "PACKAGES", tmp_path)
    with pytest.raises(TinyInferError, match="run `npm ci`"):
        web_build.build(tmp_path / "out")


def test_what_esbuild_rejects_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(web_build.WEB, tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    with (tmp_path / "web" / "host.js").open("a") as file:
        file.write("import { nothing } from './errors.js'; nothing(")
    monkeypatch.setattr(web_build, "WEB", tmp_path / "web")
    with pytest.raises(TinyInferError, match=r"(?s)esbuild: .*Unexpected end of file.*host\.js:\d+"):
        web_build.build(tmp_path / "out")


def test_an_installed_runtime_is_shipped_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    for name in ("index.js", "demo/demo.js"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(bundle, "PACKAGED", tmp_path)
    assert bundle.web_files(demo=False) == {"index.js": b"index.js"}
    assert bundle.web_files(demo=True) == {"index.js": b"index.js", "demo.js": b"demo/demo.js"}


def gzipped(contents: Iterable[bytes]) -> int:
    return sum(len(gzip.compress(content, 9, mtime=0)) for content in contents)


def test_runtime_is_small() -> None:
    """What a page loads besides its model: at most 11 KB gzip of scripts, 60 KB with the larger of the kernel modules.

    The service worker is not part of it.
    """
    files = bundle.web_files(demo=False)
    scripts = {name: content for name, content in files.items() if name.endswith(".js") and name != "sw.js"}
    assert set(scripts) == {"index.js"}
    assert gzipped(scripts.values()) <= 11 * 1024
    kernels = max(gzipped([load_kernels(tier).wasm]) for tier in TIERS)
    assert gzipped(scripts.values()) + kernels <= 60_000


def test_shipped_scripts_import_nothing() -> None:
    """Each is one request; only the page's script names the runtime and the list of files that lie beside it."""
    imported = {
        name: set(re.findall(rb'(?:from|import) ?"([^"]+)"', content))
        for name, content in bundle.web_files(demo=True).items()
        if name.endswith(".js")
    }
    assert imported.pop("demo.js") == {b"./index.js", b"./files.js"}
    assert set(imported) == {"index.js", "sw.js"}
    assert not any(imported.values())
