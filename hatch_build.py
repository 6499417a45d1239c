"""Build hook of the wheel: assembled kernels, their sources and the web runtime become package data.

    kernels_wat/**                    → tinyinfer/_kernels_wat/**
    assembled kernels_wat/*.wat       → tinyinfer/wasm_backend/_build/*
    web/**, joined and minified       → tinyinfer/_web/**
    examples/digits (model, samples)  → tinyinfer/_examples/digits

An editable install needs none of it: in a checkout the package reads these folders in place.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_PACKAGES = Path("web", "node_modules", "esbuild")


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the built files to a standard wheel."""

    def dependencies(self) -> list[str]:
        """Node.js as a wheel, where the npm packages are still to be fetched and npm is missing."""
        fetched = Path(self.root, NODE_PACKAGES).is_dir()
        return [] if fetched or shutil.which("npm") else [self._web_dependencies().NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing and name every file's place in the wheel."""
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / NODE_PACKAGES).is_dir():
            self._web_dependencies().install()
        self.built = tempfile.TemporaryDirectory()
        kernels, web = Path(self.built.name, "kernels"), Path(self.built.name, "web")
        run_module(root, "tinyinfer.wasm_backend", "--out", kernels)
        run_module(root, "tinyinfer.web_build", web)

        include: dict[str, str] = build_data["force_include"]
        include[str(root / "kernels_wat")] = "tinyinfer/_kernels_wat"
        include[str(kernels)] = "tinyinfer/wasm_backend/_build"
        include[str(web)] = "tinyinfer/_web"
        for name in ("digits.onnx", "samples"):
            include[str(root / "examples" / "digits" / name)] = f"tinyinfer/_examples/digits/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built, which the finished wheel holds now."""
        if version != "editable":
            self.built.cleanup()

    def _web_dependencies(self) -> ModuleType:
        path = Path(self.root, "tools", "web_dependencies.py")
        spec = importlib.util.spec_from_file_location("web_dependencies", path)
        if spec is None or spec.loader is None:
            raise RuntimeError(f"{path} is missing: build the wheel from a complete source tree")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def run_module(root: Path, module: str, *arguments: str | Path) -> None:
    """Run a module of the source tree `root` in a process of its own."""
    paths = [str(root), *sys.path]  # an isolated build finds its dependencies by its own path
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
