"""Make the npm package from `web` in a folder, `dist` unless said; kernels and npm packages have to be there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from web_dependencies import ROOT, npm_command


def main() -> int:
    npm = npm_command()
    if npm is None:
        print("npm is needed: put it on PATH, or run `make npm-package`, which brings it", file=sys.stderr)
        return 1
    target = Path(sys.argv[1] if sys.argv[1:] else "dist").resolve()
    return subprocess.run([*npm, "pack", "--pack-destination", str(target)], cwd=ROOT / "web").returncode


if __name__ == "__main__":
    sys.exit(main())
