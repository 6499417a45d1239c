"""A static folder ready for any web server: the web runtime, the kernels, models and, if wanted, the demo page.

    index.js worker.js …    the runtime, plain ES modules that find each other by relative paths
    vendor/idb.js           its one dependency, and its licence
    kernels.<tier>.wasm     the kernels, byte for byte those that the Python engines run; a page loads one of them
    <name>.tinf             the models
    sw.js, files.js         a service worker that keeps the whole folder for use without a network, and its list
    index.html demo.*       the demo page; it loads digits.tinf
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tinyinfer.errors import PlanError, TinyInferError
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes, load_kernels, module_file

PACKAGE = Path(__file__).resolve().parent
WEB = (PACKAGE / "_web", PACKAGE.parent / "web")
# Where files of other packages go, and where npm puts them in a checkout.
VENDORED = {"vendor/idb.js": "node_modules/idb/build/index.js", "vendor/idb.LICENSE": "node_modules/idb/LICENSE"}
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
    """The runtime, and with `demo` the page, by their paths in the folder; from the checkout or the installed wheel."""
    root = next((folder for folder in WEB if (folder / "index.js").is_file()), None)
    if root is None:
        raise TinyInferError(f"the web runtime was found neither in {WEB[0]} nor in {WEB[1]}")
    pages = sorted((root / "demo").iterdir()) if demo else []
    paths = {path.name: path for path in [*sorted(root.glob("*.js")), *pages]}
    paths |= {name: _vendored(root, name) for name in VENDORED}
    return {name: _shipped(path) for name, path in paths.items()}


def _vendored(root: Path, name: str) -> Path:
    for path in (root / name, root / VENDORED[name]):
        if path.is_file():
            return path
    raise TinyInferError(f"{root / name} is missing: run `npm ci` in {root}, or make, which does it")


def without_comments(source: bytes) -> bytes:
    """A module without the comments that have lines of their own: half of what browsers would have to load."""
    return re.sub(rb"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/[ \t]*\n|//[^\n]*\n)", b"", source, flags=re.MULTILINE | re.DOTALL)


def _shipped(path: Path) -> bytes:
    content = path.read_bytes()
    return without_comments(content) if path.suffix == ".js" else content


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
