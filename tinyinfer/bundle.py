"""A static folder ready for any web server: the web runtime, the kernels, models and, if wanted, the demo page.

index.js                the runtime, for pages and for the Workers that it starts
kernels.<tier>.wasm     the kernels, byte for byte those that the Python engines run; a page loads one of them
<name>.tinf             the models
sw.js, files.js         a service worker that keeps the whole folder for use without a network, and its list
index.html demo.*       the demo page; it loads digits.tinf
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tinyinfer import web_build
from tinyinfer.errors import PlanError, TinyInferError
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes, load_kernels, module_file

PACKAGED = Path(__file__).resolve().parent / "_web"
FILES = "files.js"
DEMO_MODEL = "digits.tinf"


def bundle(models: Mapping[str, bytes], out: Path, demo: bool) -> list[Path]:
    """Write the folder `out` and return its files, sorted.

    `models` maps file names (`digits.tinf`) to `.tinf` bytes; with `demo`, `digits.tinf` must be among them. The
    folder appears as a whole or not at all. An earlier bundle is replaced; any other non-empty folder is refused.
    Raises PlanError for a model that the kernels of this version cannot run.
    """
    _check_target(out)
    for name, blob in models.items():
        _check_model(name, blob)
    if demo and DEMO_MODEL not in models:
        raise TinyInferError(f"the demo page loads {DEMO_MODEL}, which is not among the models ({', '.join(models)})")
    files = {**web_files(demo), **_kernel_files(), **models}
    files[FILES] = _list_of(files)
    _write_folder(out, files)
    return sorted(out / name for name in files)


def web_files(demo: bool) -> dict[str, bytes]:
    """The runtime, and with `demo` the page, by their paths in the folder; built in a checkout, else the wheel's."""
    if PACKAGED.is_dir():
        return _read(PACKAGED, demo)
    with tempfile.TemporaryDirectory() as folder:
        web_build.build(Path(folder))
        return _read(Path(folder), demo)


def _read(root: Path, demo: bool) -> dict[str, bytes]:
    page = root / "demo"
    paths = [path for path in root.rglob("*") if path.is_file() and (demo or page not in path.parents)]
    return {path.relative_to(page if page in path.parents else root).as_posix(): path.read_bytes() for path in paths}


def _kernel_files() -> dict[str, bytes]:
    return {module_file(tier): load_kernels(tier).wasm for tier in TIERS}


def _list_of(files: Mapping[str, bytes]) -> bytes:
    """A script that defines `tinyinferFiles`: the SHA-256 of every file by its path."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    return f"self.tinyinferFiles = {json.dumps(hashes, indent=2)};\n".encode()


def _check_model(name: str, blob: bytes) -> None:
    if PurePosixPath(name).name != name or not name.endswith(".tinf"):
        raise TinyInferError(f"{name!r} cannot be a model's file name; expected one like 'model.tinf'")
    file = tinf.decode(blob, name)
    for tier, sha256 in hashes().items():
        wanted = file.kernels.get(tier)
        if wanted != sha256:
            raise PlanError(
                f"{name} was compiled for other kernels ({tier}: SHA-256 {str(wanted)[:12]}…, installed "
                f"{sha256[:12]}…); compile it again with this version of TinyInfer"
            )


def _check_target(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / FILES).is_file():
        raise TinyInferError(f"{out} holds files that are not of a bundle; give a new or an empty folder")
    if out.exists() and not out.is_dir():
        raise TinyInferError(f"{out} is not a folder")


def _write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Write into a temporary folder beside `out`, then rename: no reader ever sees half a bundle."""
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        made = scratch / "new"
        for name, content in files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _swap(out, made, scratch / "old")
    finally:
        shutil.rmtree(scratch)


def _swap(out: Path, made: Path, old: Path) -> None:
    if out.exists():
        out.rename(old)
    try:
        made.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
