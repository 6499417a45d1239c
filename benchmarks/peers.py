"""The peers' npm packages, installed on first use from `benchmarks/package-lock.json`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tinyinfer.errors import TinyInferError

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
LOCK = HERE / "package-lock.json"


def install() -> Path:
    """The folder of installed packages; TinyInferError where npm is missing or fails."""
    mark = MODULES / ".installed"
    if mark.is_file() and mark.stat().st_mtime >= LOCK.stat().st_mtime:
        return MODULES
    npm = shutil.which("npm")
    if npm is None:
        raise TinyInferError("the peers are npm packages: put npm on PATH, or leave them out with --peer none")
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run([npm, "ci", *options], cwd=HERE).returncode:
        raise TinyInferError(f"`npm ci` failed in {HERE}")
    mark.touch()
    return MODULES
