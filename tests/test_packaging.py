"""The wheel holds everything that a machine without the checkout needs, and the build tools fail clearly."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest

import tinyinfer
from tinyinfer.bundle import web_files

ROOT = Path(__file__).resolve().parent.parent


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.object(sys, "path", [str(ROOT / "tools"), *sys.path]):  # scripts there import each other
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from this checkout by its own build backend."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(out), str(ROOT)], check=True, stdin=subprocess.DEVNULL)
    (path,) = out.glob("tinyinfer-*-py3-none-any.whl")
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_wheel_has_every_module_and_is_typed(wheel: zipfile.ZipFile) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tinyinfer").rglob("*.py")}
    assert modules <= set(wheel.namelist())
    assert "tinyinfer/py.typed" in wheel.namelist()


def test_wheel_has_kernel_sources_byte_for_byte(wheel: zipfile.ZipFile) -> None:
    sources = sorted((ROOT / "kernels_wat").rglob("*.wat"))
    assert sources
    for path in sources:
        packed = f"tinyinfer/_kernels_wat/{path.relative_to(ROOT / 'kernels_wat').as_posix()}"
        assert wheel.read(packed) == path.read_bytes(), packed


def test_wheel_has_assembled_kernels(wheel: zipfile.ZipFile) -> None:
    modules = [name for name in wheel.namelist() if name.endswith(".wasm")]
    assert modules
    for name in modules:
        assert name.startswith("tinyinfer/wasm_backend/_build/")
        assert wheel.read(name).startswith(b"\0asm\x01\0\0\0"), f"{name} is not a WebAssembly module"


def test_wheel_has_the_web_runtime_as_bundles_ship_it(wheel: zipfile.ZipFile) -> None:
    folder = "tinyinfer/_web/"
    packed = {name.removeprefix(folder): wheel.read(name) for name in wheel.namelist() if name.startswith(folder)}
    assert {name.removeprefix("demo/"): content for name, content in packed.items()} == web_files(demo=True)
    assert {"index.js", "sw.js", "demo/index.html", "demo/demo.js"} <= set(packed)


def test_wheel_has_the_digits_example(wheel: zipfile.ZipFile) -> None:
    digits = ROOT / "examples" / "digits"
    paths = [digits / "digits.onnx", *sorted((digits / "samples").iterdir())]
    assert len(paths) > 1
    for path in paths:
        assert wheel.read(f"tinyinfer/_examples/{path.relative_to(ROOT / 'examples').as_posix()}") == path.read_bytes()


def test_wheel_has_nothing_else(wheel: zipfile.ZipFile) -> None:
    unwanted = re.compile(r"node_modules|ambient|package(-lock)?\.json|tsconfig|biome|__pycache__|^tests/|^tools/")
    assert [name for name in wheel.namelist() if unwanted.search(name)] == []
    assert len(wheel.namelist()) == len(set(wheel.namelist()))


def test_wheel_names_its_command(wheel: zipfile.ZipFile) -> None:
    assert "tinyinfer = tinyinfer.start:main" in metadata(wheel, "entry_points.txt")


def test_python_and_npm_packages_have_one_version(wheel: zipfile.ZipFile) -> None:
    version = json.loads((ROOT / "web" / "package.json").read_text())["version"]
    assert Parser().parsestr(metadata(wheel, "METADATA"))["Version"] == version
    assert tinyinfer.__version__ == version
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    assert (lock["version"], lock["packages"][""]["version"]) == (version, version)
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_wheel_has_the_license(wheel: zipfile.ZipFile) -> None:
    assert Parser().parsestr(metadata(wheel, "METADATA"))["License-Expression"] == "Apache-2.0"
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert json.loads((ROOT / "web" / "package.json").read_text())["license"] == "Apache-2.0"


def test_lock_file_names_no_download_address() -> None:
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    assert len(packages) > 1
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def find_python(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run tools/find_python.sh with nothing but `path` and no pyenv to look in."""
    environment = {"PATH": str(path), "HOME": str(path), "PYENV_ROOT": str(path)}
    command = ["/bin/sh", str(ROOT / "tools" / "find_python.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="the build scripts are POSIX shell")
class TestFindPython:
    VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

    def test_a_shim_that_fails_is_passed_over(self, tmp_path: Path) -> None:
        write_script(tmp_path / "python3", "echo 'command not found' >&2; exit 127")
        (tmp_path / "python3.11").symlink_to(sys.executable)
        found = find_python(tmp_path)
        assert (found.returncode, found.stderr) == (0, "")
        assert Path(found.stdout.strip()).exists()

    def test_an_exact_version_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "python3").symlink_to(sys.executable)
        assert find_python(tmp_path, self.VERSION).returncode == 0

    def test_another_version_is_not_taken_for_it(self, tmp_path: Path) -> None:
        (tmp_path / "python3.9").symlink_to(sys.executable)
        found = find_python(tmp_path, "3.9")
        assert (found.returncode, found.stdout) == (1, "")


def test_missing_npm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = load_tool("web_dependencies")
    monkeypatch.setattr(tool, "npm_command", lambda: None)
    with pytest.raises(tool.NodeMissingError, match="put npm on PATH, or install the PyPI package"):
        tool.install()


def test_outcomes_are_counted_from_the_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite><testcase/><testcase/><testcase><skipped/></testcase>"
        "<testcase><failure/></testcase><testcase><error/></testcase></testsuite></testsuites>"
    )
    tool = load_tool("run_tests")
    assert tool.describe(tool.count_outcomes(report)) == "2 passed, 2 failed, 1 skipped"


def test_the_innermost_range_tells_what_a_page_executed() -> None:
    """A function of the characters 2 to 8, of which a branch, 4 to 6, was taken in the second record only."""
    tool = load_tool("script_coverage")
    first, second = ([[0, 9, 1], [2, 8, 1], [4, 6, taken]] for taken in (0, 3))
    other_script = [[0, 10, 1]]
    never_called = [[0, 9, 1], [2, 8, 0]]
    assert list(tool.executed_characters(9, [never_called, other_script])) == [1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert list(tool.executed_characters(9, [never_called, first])) == [1, 1, 1, 1, 0, 0, 1, 1, 1]
    assert list(tool.executed_characters(9, [never_called, first, second])) == [1] * 9


def test_segments_of_a_source_map() -> None:
    """Two pieces with a source in the first line of a script, two in the third; A is 0, C 1, D -1, gC 32."""
    tool = load_tool("script_coverage")
    found = tool.segments("AAAA,C,EACA;;CCgCA,CDDA", "abcd\n\nxyz")
    assert list(found) == [(0, 0, 1), (3, 0, 2), (7, 1, 34), (8, 0, 33)]


def test_what_pages_executed_is_reported_by_source_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool = load_tool("script_coverage")
    assert tool.report(tmp_path) == 0
    assert "not measured" in capsys.readouterr().out
    length = len(web_files(demo=False)["index.js"])
    for n, count in enumerate([0, 1]):
        (tmp_path / f"{n}.json").write_text(json.dumps([[[0, length, count]]]))
        lines = tool.covered_lines(tmp_path)
        assert {"index.js", "cache.js"} <= set(lines)
        assert all(set(found.values()) == {count == 1} for found in lines.values())
        assert tool.report(tmp_path) == (0 if count else 2)
    assert "100.0%" in capsys.readouterr().out
