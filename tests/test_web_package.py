"""The npm package: what `npm pack` makes runs as it is, without a build, and tells TypeScript its types."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.conftest import ROOT
from tests.differential import assert_same_bits
from tests.models import reference, tinf_of, tiny_graph
from tests.test_packaging import load_tool
from tests.website import Site, run_in_browser, serve
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels

WEB = ROOT / "web"
TSC = WEB / "node_modules" / ".bin" / "tsc"

CONSUMER = """
import { FeedError, features, InferenceSession, Tensor } from "tinyinfer";

const controller = new AbortController();
const session = await InferenceSession.create("./model.tinf", {
  cache: false,
  signal: controller.signal,
  onProgress: ({ loaded, total }) => console.log(loaded / total),
});
const feeds = { x: new Tensor("float32", new Float32Array(6), [2, 3]) };
const { y }: Record<string, Tensor> = await session.run(feeds, ["y"], { transfer: true });
await session.run(feeds, { y });
const shape: readonly number[] = session.inputMetadata[0].shape;
const total: number = session.memory.total;
const simd: boolean = features().simd;
await session.release();
export { FeedError, shape, simd, total, y };

// @ts-expect-error no such element type
new Tensor("float16", [1]);
// @ts-expect-error a feed is a Tensor
session.run({ x: 1 });
// @ts-expect-error made by create()
new InferenceSession();
// @ts-expect-error no such option
InferenceSession.create("./model.tinf", { workers: 2 });
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked package, in the `node_modules` of an otherwise empty project."""
    npm = load_tool("web_dependencies").npm_command()
    if npm is None or not TSC.exists():
        pytest.skip("no npm, or web/node_modules is missing (`make test` installs both)")
    scratch = tmp_path_factory.mktemp("npm")
    shutil.copytree(WEB, scratch / "web", ignore=shutil.ignore_patterns("node_modules"))
    (scratch / "web" / "node_modules").symlink_to(WEB / "node_modules")
    built = scratch / "tinyinfer" / "wasm_backend" / "_build"
    built.mkdir(parents=True)
    for tier in TIERS:
        (built / f"kernels.{tier}.wasm").write_bytes(load_kernels(tier).wasm)
    modules = scratch / "project" / "node_modules"
    modules.mkdir(parents=True)
    command = [*npm, "pack", "--silent", "--pack-destination", str(scratch)]
    subprocess.run(command, cwd=scratch / "web", check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    (archive,) = scratch.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(modules, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(modules)
    return (modules / "package").rename(modules / "tinyinfer")


@pytest.fixture
def site(package: Path) -> Iterator[Site]:
    files = {path.relative_to(package).as_posix(): path.read_bytes() for path in package.rglob("*.*")}
    with serve({**files, "model.tinf": tinf_of(tiny_graph())}) as running:
        yield running


def test_it_holds_the_runtime_and_nothing_else(package: Path) -> None:
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    modules = {path.name for path in WEB.glob("*.js")}
    types = {f"types/{name.removesuffix('.js')}.d.ts" for name in modules - {"sw.js"}}
    others = {"package.json", *(f"kernels.{tier}.wasm" for tier in TIERS)}
    assert files == modules | types | others


def test_it_runs_as_it_is(page: Page, site: Site) -> None:
    site.open(page)
    feeds = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
    (actual,) = run_in_browser(page, site, "/model.tinf", feeds).values()
    assert_same_bits(actual, reference(tiny_graph(), feeds)["y"], "y")


def test_typescript_knows_its_types(package: Path) -> None:
    project = package.parent.parent
    (project / "consumer.ts").write_text(CONSUMER)
    options = ["--strict", "--noEmit", "--target", "ES2022", "--module", "ESNext", "--moduleResolution", "bundler"]
    result = subprocess.run([str(TSC), *options, "consumer.ts"], cwd=project, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")
