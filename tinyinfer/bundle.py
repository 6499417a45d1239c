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
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tinyinfer import web_build
from tinyinfer.errors import PlanError, TinyInferError
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import TIERS, hashes, load_kernels, module_file

PACKAGED = Path(__file__).resolve().parent / "_web"
FILES = "files.js"
LIST_START, LIST_END = "self.tinyinferFiles = ", ";\n"
ALLOW = "allow it (--force)"
DEMO_MODEL = "digits.tinf"


def bundle(models: Mapping[str, bytes], out: Path, demo: bool, force: bool = False) -> list[Path]:
    """Write the folder `out` and return its files, sorted.

    `models` maps file names (`digits.tinf`) to `.tinf` bytes; with `demo`, `digits.tinf` must be among them. A new
    folder appears as a whole or not at all. In an existing one only files that a bundle wrote, as they were written,
    are replaced or removed. TinyInferError where others would be lost, or the folder holds none of a bundle; with
    `force` those of the same name are replaced. Files of other names stay in any case.
    Raises PlanError for a model that the kernels of this version cannot run.
    """
    for name, blob in models.items():
        _check_model(name, blob)
    if demo and DEMO_MODEL not in models:
        raise TinyInferError(f"the demo page loads {DEMO_MODEL}, which is not among the models ({', '.join(models)})")
    _check_folder(out, force)
    files = {**web_files(demo), **_kernel_files(), **models}
    files[FILES] = _list_of(files)
    try:
        if out.exists():
            _replace(out, files, force)
        else:
            _create(out, files)
    except OSError as error:
        raise TinyInferError(f"{out} cannot be written: {error}") from None
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
    digests = {name: _digest(content) for name, content in sorted(files.items())}
    return f"{LIST_START}{json.dumps(digests, indent=2)}{LIST_END}".encode()


def _written(out: Path) -> set[str]:
    """The files in `out` that a bundle wrote and nobody has changed, by their paths."""
    try:
        text = (out / FILES).read_bytes().decode()
        listed = json.loads(text.removeprefix(LIST_START).removesuffix(LIST_END))
        digests = {str(name): str(digest) for name, digest in listed.items()}
    except (OSError, ValueError, AttributeError):
        return set()
    intact = {name for name, digest in digests.items() if _is_plain(out, name) and _holds(out / name, digest)}
    return {FILES, *intact} if _is_plain(out, FILES) else set()


def _is_plain(out: Path, name: str) -> bool:
    """Whether the path is of a file in `out` itself, not of one that a link or `..` leads to."""
    path, root = (out / name).resolve(), out.resolve()
    return path.is_file() and path.is_relative_to(root) and path.relative_to(root).as_posix() == name


def _holds(path: Path, digest: str) -> bool:
    return _digest(path.read_bytes()) == digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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


def _check_folder(out: Path, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise TinyInferError(f"{out} is not a folder")
    if out.is_dir() and any(out.iterdir()) and not force and not _written(out):
        raise TinyInferError(f"{out} holds files that are not of a bundle; give a new or an empty folder, or {ALLOW}")


def _replace(out: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Replace one by one, each as a whole, after all have been written: a full disk changes nothing."""
    written = _written(out)
    others = [name for name in files if name not in written and os.path.lexists(out / name)]
    others = [name for name in others if not (_is_plain(out, name) and _holds(out / name, _digest(files[name])))]
    folders = [name for name in others if (out / name).is_dir() and not (out / name).is_symlink()]
    if folders:
        raise TinyInferError(f"{out}: {', '.join(folders)} would have to be files, and are folders")
    if others and not force:
        raise TinyInferError(
            f"{out}: {', '.join(others)} would be lost, which no bundle wrote or which has been changed since; "
            f"move it, give another folder, or {ALLOW}"
        )
    with tempfile.TemporaryDirectory(dir=out, prefix=".new.") as scratch:
        _write(Path(scratch), files)
        for name in files:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            Path(scratch, name).replace(out / name)
    for name in written - files.keys():
        (out / name).unlink()


def _create(out: Path, files: Mapping[str, bytes]) -> None:
    """Write beside `out`, then rename: no reader ever sees half a bundle."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        made = Path(scratch, "new")
        _write(made, files)
        made.rename(out)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
