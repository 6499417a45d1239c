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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_other_files_is_refused_unless_told(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(TinyInferError, match=r"holds files that are not of a bundle.*--force"):
        bundle.bundle({"m.tinf": model}, tmp_path, demo=False)
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}
    bundle.bundle({"m.tinf": model}, tmp_path, demo=False, force=True)
    assert {"thesis.tex", "m.tinf", "index.js"} <= contents(tmp_path).keys()


def test_files_of_others_in_a_bundle_stay(model: bytes, tmp_path: Path) -> None:
    """A page of one's own, a model that has been copied there, a folder."""
    site = tmp_path / "site"
    bundle.bundle({"old.tinf": model}, site, demo=False)
    mine = {"index.html": b"my page", "my/index.js": b"my script", "mine.tinf": model, ".hidden": b""}
    (site / "my").mkdir()
    for name, content in mine.items():
        (site / name).write_bytes(content)
    bundle.bundle({"mine.tinf": model}, site, demo=False)
    assert {name: contents(site).get(name) for name in mine} == mine
    assert "old.tinf" not in contents(site)
    bundle.bundle({"new.tinf": model}, site, demo=False)
    assert {path.name for path in site.iterdir()} >= {"new.tinf", "index.html", "my", ".hidden"}
    assert listed(site).keys() == contents(site).keys() - {"files.js", "index.html", "my/index.js", ".hidden"}


@pytest.mark.parametrize("name", ["index.html", "digits.tinf", "demo.css"])
def test_what_has_been_changed_is_not_lost(name: str, model: bytes, tmp_path: Path) -> None:
    site = tmp_path / "site"
    bundle.bundle({"digits.tinf": model}, site, demo=True)
    (site / name).write_text("mine")
    before = contents(site)
    with pytest.raises(TinyInferError, match=f"{re.escape(name)} would be lost.*--force"):
        bundle.bundle({"digits.tinf": model}, site, demo=True)
    assert contents(site) == before
    bundle.bundle({"digits.tinf": model}, site, demo=True, force=True)
    assert contents(site)[name] != b"mine"


def test_what_has_been_changed_is_not_removed_either(model: bytes, tmp_path: Path) -> None:
    bundle.bundle({"digits.tinf": model}, tmp_path / "site", demo=True)
    (tmp_path / "site" / "index.html").write_text("mine")
    bundle.bundle({"digits.tinf": model}, tmp_path / "site", demo=False)
    assert contents(tmp_path / "site")["index.html"] == b"mine"
    assert "demo.css" not in contents(tmp_path / "site")


@pytest.mark.parametrize("target", ["../private.txt", "link.txt", "linked/private.txt", "{root}/private.txt"])
def test_a_list_cannot_name_files_elsewhere(target: str, model: bytes, tmp_path: Path) -> None:
    """Whoever wrote it: the file has the digest that it says."""
    site, private = tmp_path / "site", tmp_path / "private.txt"
    private.write_text("secret")
    bundle.bundle({"m.tinf": model}, site, demo=False)
    (site / "link.txt").symlink_to(private)
    (site / "linked").symlink_to(tmp_path)
    names = {**listed(site), target.format(root=tmp_path): hashlib.sha256(b"secret").hexdigest()}
    (site / "files.js").write_text(f"self.tinyinferFiles = {json.dumps(names)};\n")
    bundle.bundle({"m.tinf": model}, site, demo=False)
    assert private.read_text() == (site / "link.txt").read_text() == "secret"


@pytest.mark.parametrize("text", ["", "null", "[]", "alert(1)", "self.tinyinferFiles = [1];\n", "\udcff"])
def test_a_list_that_no_bundle_wrote(text: str, model: bytes, tmp_path: Path) -> None:
    (tmp_path / "files.js").write_text(text, errors="surrogateescape")
    with pytest.raises(TinyInferError, match="holds files that are not of a bundle"):
        bundle.bundle({"m.tinf": model}, tmp_path, demo=False)


def test_a_folder_in_the_way(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "index.js").mkdir()
    with pytest.raises(TinyInferError, match=r"index\.js would have to be files, and are folders"):
        bundle.bundle({"m.tinf": model}, tmp_path, demo=False, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["index.js"]


def test_the_working_folder(model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        bundle.bundle({"m.tinf": model}, Path(), demo=False)
    assert contents(tmp_path).keys() - listed(tmp_path).keys() == {"files.js"}


def test_a_file_is_refused(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    with pytest.raises(TinyInferError, match="is not a folder"):
        bundle.bundle({"m.tinf": model}, tmp_path / "site", demo=False)


@pytest.mark.parametrize("earlier", [False, True])
def test_an_error_changes_nothing(earlier: bool, model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    if earlier:
        bundle.bundle({"m.tinf": model}, site, demo=False)
    before = contents(tmp_path)

    def fail(self: Path, data: bytes) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(TinyInferError, match="cannot be written: disk full"):
        bundle.bundle({"n.tinf": model}, site, demo=False)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (["site"] if earlier else [])


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
    """What a page loads besides its model: 13 KB gzip of scripts at most, 60 KB with the larger kernel module.

    The service worker is not part of it.
    """
    files = bundle.web_files(demo=False)
    scripts = {name: content for name, content in files.items() if name.endswith(".js") and name != "sw.js"}
    assert set(scripts) == {"index.js"}
    assert gzipped(scripts.values()) <= 13_312
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
