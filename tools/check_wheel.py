"""Build the wheel, install it in a fresh environment and use it from there: import, compile, run, demo.

The environment and the working directory lie outside the checkout, so nothing but the wheel can be found.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"


def run(*command: str | Path, cwd: Path) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def main() -> None:
    dist = ROOT / "dist"
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--quiet", "--no-deps"]
        run(*build, "--wheel-dir", scratch / "wheel", ROOT, cwd=scratch)
        (wheel,) = (scratch / "wheel").glob("*.whl")
        dist.mkdir(exist_ok=True)
        wheel = wheel.replace(dist / wheel.name)
        print(f"▸ {wheel.relative_to(ROOT)}: {wheel.stat().st_size / 1024:.0f} KiB", flush=True)

        venv.create(scratch / "venv", with_pip=True)
        bin_dir = scratch / "venv" / "bin"
        print("▸ installed in a fresh environment", flush=True)
        run(bin_dir / "pip", "install", "--quiet", "--quiet", f"{wheel}[image]", cwd=scratch)
        run(bin_dir / "python", "-c", IMPORTED_FROM_WHEEL, cwd=scratch)

        tinyinfer = bin_dir / "tinyinfer"
        model = scratch / "digits.tinf"
        run(tinyinfer, "compile", DIGITS / "digits.onnx", "-o", model, cwd=scratch)
        run(tinyinfer, "run", model, min((DIGITS / "samples").glob("*.png")), cwd=scratch)
        run(tinyinfer, "demo", "--no-serve", "-o", scratch / "site", cwd=scratch)
    print("▸ the wheel works on its own")


IMPORTED_FROM_WHEEL = """
import sys, tinyinfer
assert tinyinfer.__file__.startswith(sys.prefix), tinyinfer.__file__
"""

if __name__ == "__main__":
    main()
