"""Building the kernel modules: reproducible, incremental, safe beside other builds and after failed ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinyinfer.errors import WatError
from tinyinfer.wasm_backend import build, kernel_module, wat

pytest.importorskip("wasmtime", reason="wasmtime assembles kernels and is not installed here")
REPOSITORY = Path(__file__).resolve().parents[1]
MACRO = "(func $m! (param $x i32) (result i32) (local.get $x))"
FILES = ["kernels.json", "kernels.relaxed.wasm", "kernels.simd128.wasm"]
RELAXED_MADD = b"\xfd\x85\x02"  # f32x4.relaxed_madd
RELAXED_DOT = b"\xfd\x93\x02"  # i32x4.relaxed_dot_i8x16_i7x16_add_s
KERNEL = """
;; adds one
(module
  (import "env" "memory" (memory 1))
  (func $f32_one (export "f32_one") (param $y i32) (param $lo f32) (result i32)
    (local $unused v128)
    (i32.add (local.get $y) (i32.const 1))))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of kernel sources with one kernel."""
    folder = tmp_path / "kernels_wat"
    (folder / "tier").mkdir(parents=True)
    for tier in kernel_module.TIERS:
        (folder / "tier" / f"{tier}.wat").write_text(MACRO)
    (folder / "one.wat").write_text(KERNEL)
    return folder


@pytest.fixture
def checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where the build looks for the sources of a checkout."""
    monkeypatch.setattr(kernel_module, "SOURCES", (folder, folder.parent / "none"))
    return folder


def test_module_holds_exports_and_no_names(folder: Path):
    assembled = build.assemble(build.read_sources(folder, "simd128"))
    assert b"f32_one" in assembled.module.wasm
    assert b"unused" not in assembled.module.wasm
    assert b"lo" not in assembled.module.wasm
    assert assembled.code_sizes == {"f32_one": 7}


def test_sources_are_read_libraries_first(folder: Path):
    for name in ("a.wat", "lib.wat", "lib_b.wat"):
        (folder / name).write_text("")
    files = [source.file.removeprefix("kernels_wat/") for source in build.read_sources(folder, "simd128")]
    assert files == ["lib.wat", "lib_b.wat", "tier/simd128.wat", "a.wat", "one.wat"]


def test_unknown_tier(folder: Path):
    with pytest.raises(WatError, match=r"fast.wat: no such tier in .*; found: relaxed, simd128"):
        build.read_sources(folder, "fast")
    with pytest.raises(WatError, match="unknown tier 'fast'; known: simd128, relaxed"):
        kernel_module.ensure_built("fast")


def test_build_writes_module_and_manifest(checkout: Path, tmp_path: Path):
    out = tmp_path / "out"
    module = kernel_module.ensure_built("simd128", out)
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert (out / "kernels.simd128.wasm").read_bytes() == module.wasm
    manifest = json.loads((out / "kernels.json").read_text())
    assert manifest["kernels"] == {"f32_one": {"params": [["y", "i32"], ["lo", "f32"]], "results": ["i32"]}}
    tier = manifest["tiers"]["simd128"]
    assert tier["file"] == "kernels.simd128.wasm"
    assert tier["sha256"] == hashlib.sha256(module.wasm).hexdigest() == module.sha256
    assert tier["raw"] == len(module.wasm)
    assert module.signature("f32_one") == (build.Param("y", "i32"), build.Param("lo", "f32"))
    with pytest.raises(KeyError, match="the simd128 module has no kernel 'f32_two'"):
        module.signature("f32_two")


def test_build_is_incremental(checkout: Path, tmp_path: Path):
    out = tmp_path / "out"
    first = kernel_module.ensure_built("simd128", out)
    written = (out / "kernels.json").stat().st_mtime_ns
    assert kernel_module.ensure_built("simd128", out) == first
    assert (out / "kernels.json").stat().st_mtime_ns == written
    (checkout / "one.wat").write_text(KERNEL.replace("(i32.const 1)", "(i32.const 2)"))
    assert kernel_module.ensure_built("simd128", out).wasm == first.wasm.replace(b"\x41\x01", b"\x41\x02")


def test_damaged_module_is_built_again(checkout: Path, tmp_path: Path):
    out = tmp_path / "out"
    first = kernel_module.ensure_built("simd128", out)
    (out / "kernels.simd128.wasm").write_bytes(first.wasm[:-1])
    assert kernel_module.ensure_built("simd128", out) == first
    (out / "kernels.json").write_text("{")
    assert kernel_module.ensure_built("simd128", out) == first


def test_failed_build_keeps_what_was_built(checkout: Path, tmp_path: Path):
    out = tmp_path / "out"
    first = kernel_module.ensure_built("simd128", out)
    (checkout / "one.wat").write_text("(module (func $f (nop))")
    with pytest.raises(WatError, match=r"kernels_wat/one.wat:1:1"):
        kernel_module.ensure_built("simd128", out)
    assert kernel_module.load(out, "simd128") == first


def test_installed_package_loads_what_it_contains(folder: Path, tmp_path: Path, monkeypatch):
    out = tmp_path / "out"
    build.build(folder, out)
    (folder / "one.wat").write_text("(not a kernel)")
    monkeypatch.setattr(kernel_module, "SOURCES", (tmp_path / "none", folder))
    assert kernel_module.ensure_built("simd128", out) == kernel_module.load(out, "simd128")
    monkeypatch.setattr(kernel_module, "SOURCES", (tmp_path / "none", tmp_path / "none"))
    assert kernel_module.ensure_built("simd128", out) == kernel_module.load(out, "simd128")
    with pytest.raises(WatError, match=r"neither assembled kernels in .* nor their sources in"):
        kernel_module.ensure_built("simd128", tmp_path / "empty")


def start_build(out: Path, *options: str, seed: int = 0) -> subprocess.Popen[str]:
    """The build command on the project's own sources, in a process of its own."""
    command = [sys.executable, "-m", "tinyinfer.wasm_backend", "--out", str(out), *options]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, encoding="utf-8", stdout=subprocess.PIPE
    )


def test_build_is_reproducible(tmp_path: Path):
    for seed in (1, 2):
        assert start_build(tmp_path / str(seed), seed=seed).wait() == 0
    for name in FILES:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_two_builds_at_once(tmp_path: Path):
    builds = [start_build(tmp_path) for _ in range(2)]
    assert [process.wait() for process in builds] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert kernel_module.load(tmp_path, "simd128") is not None


def test_command_prints_sizes_and_hash(tmp_path: Path):
    output, _ = start_build(tmp_path, "--verbose").communicate()
    module = kernel_module.load(tmp_path, "simd128")
    assert module is not None
    for shown in ("kernels.simd128.wasm", f"{len(module.wasm):,}", module.sha256[:12], *module.signatures):
        assert shown in output


def code_of(assembled: build.Assembled) -> dict[str, bytes]:
    bodies = build._code_bodies(assembled.module.wasm)
    return {name: assembled.module.wasm[i:j] for name, (i, j) in zip(assembled.code_sizes, bodies, strict=True)}


@pytest.mark.parametrize(("tier", "limit"), [("simd128", 130_000), ("relaxed", 136_500)])
def test_module_stays_small(tier: str, limit: int):
    """The limits and their reasons stand in kernels_wat/README.md."""
    assert len(kernel_module.load_kernels(tier).wasm) <= limit


def test_tiers_define_the_multiply_add_and_what_changes_no_bit():
    """A tier's own: what a·b + c means, which shows in the bits; a tile's rows, the order and the width of products."""
    for tier in kernel_module.TIERS:
        own = [s for s in build.read_sources(kernel_module.SOURCES[0], tier) if s.file.endswith(f"tier/{tier}.wat")]
        common = {"$madd!", "$madd2!", "$tile_rows!", "$has_dot4!", "$dot4!", "$dot4_flip!"}
        assert set(wat.read_module(own).functions) == common | ({"$dot4_of!"} if tier == "relaxed" else set())


def test_tiers_differ_where_they_multiply_and_add_only():
    simd128, relaxed = (
        build.assemble(build.read_sources(kernel_module.SOURCES[0], tier), tier) for tier in kernel_module.TIERS
    )
    assert relaxed.module.signatures == simd128.module.signatures
    assert relaxed.results == simd128.results
    portable, fused = code_of(simd128), code_of(relaxed)
    assert list(fused) == list(portable)
    differ = {name for name in fused if fused[name] != portable[name]}
    assert differ == {name for name in fused if simd128.code_sizes[name] != relaxed.code_sizes[name]}
    assert differ == {name for name in fused if RELAXED_MADD in fused[name] or RELAXED_DOT in fused[name]}
    assert {name for name in fused if RELAXED_DOT in fused[name]} == {"i8_qconv", "i8_qgemm", "x8_qdwconv"}
    assert {"f32_gemm", "f32_exp", "f32_softmax"} <= differ
    assert not {"f32_add", "f32_pow", "x32_copy"} & differ
