"""The web runtime as it is shipped: every script that a page or a Worker loads is one file, joined and minified.

The sources in `web/` are plain modules that browsers run as they are, but a page that loads them one by one waits for a
round trip at each level of imports, and for all their comments. esbuild joins them. Wheels hold what it makes, so only
a checkout needs it: `python -m tinyinfer.web_build FOLDER` is what the wheel's build hook runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tinyinfer.errors import TinyInferError

WEB = Path(__file__).resolve().parent.parent / "web"
PACKAGES = WEB / "node_modules"
SCRIPTS = ("index.js", "sw.js")
PAGE = "demo/demo.js"
# What the page finds beside itself in a bundle: the runtime, and the list of files.
BESIDE_PAGE = ("./index.js", "./files.js")


def build(out: Path, *options: str) -> None:
    """Write the runtime into the folder `out`, and the demo page into its folder `demo`; esbuild gets `options` too.

    Raises TinyInferError where `npm ci` has not been run in `web/`, or esbuild rejects a module.
    """
    _esbuild(out, *SCRIPTS, *options)
    _esbuild(out / "demo", PAGE, *(f"--external:{module}" for module in BESIDE_PAGE), *options)
    for path in (WEB / "demo").iterdir():
        if path.suffix != ".js":
            shutil.copyfile(path, out / "demo" / path.name)


def _esbuild(out: Path, *arguments: str) -> None:
    # The launcher needs Node.js and the program does not; npm installs the one for this machine.
    program = _find("@esbuild/*/bin/esbuild", "@esbuild/*/esbuild.exe")
    options = ["--bundle", "--minify", "--format=esm", "--target=es2022", "--log-level=warning"]
    command = [str(program), *arguments, *options, f"--outdir={out.resolve()}"]
    result = subprocess.run(command, cwd=WEB, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise TinyInferError(f"esbuild: {result.stderr.strip()}")


def _find(*patterns: str) -> Path:
    """The first file of an npm package that matches."""
    for pattern in patterns:
        for path in PACKAGES.glob(pattern):
            return path
    raise TinyInferError(f"{PACKAGES / patterns[0]} is missing: run `npm ci` in {WEB}, or make, which does it")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
