"""The npm package: what `npm pack` makes runs as it is and through bundlers, and tells TypeScript its types."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser_sessions import shared_tinf
from tests.conftest import ROOT
from tests.differential import assert_same_bits
from tests.models import conv_graph, reference, tinf_of, tiny_graph
from tests.test_packaging import load_tool
from tests.website import Site, run_in_browser, serve
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels

WEB = ROOT / "web"
TSC = WEB / "node_modules" / ".bin" / "tsc"
BUNDLERS = ROOT / "tests" / "bundlers"

APPLICATION = {
    "index.html": '<!doctype html><title>application</title><script type="module" src="./main.js"></script>',
    "main.js": 'import * as tinyinfer from "tinyinfer"; globalThis.tinyinfer = tinyinfer;',
}
# What `run_in_browser` imports: the library as the application has it.
BROUGHT = b"export const { InferenceSession, Tensor } = globalThis.tinyinfer;"

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
    shutil.copy(ROOT / "LICENSE", scratch)
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
    others = {"package.json", "README.md", "LICENSE", *(f"kernels.{tier}.wasm" for tier in TIERS)}
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


@pytest.fixture
def application(package: Path, tmp_path: Path) -> Path:
    """A project that uses the package."""
    if shutil.which("node") is None or not (BUNDLERS / "node_modules").exists():
        pytest.skip("no Node.js on PATH, or tests/bundlers/node_modules is missing (`make test` installs both)")
    shutil.copytree(package.parent, tmp_path / "node_modules")
    for name, text in APPLICATION.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("bundler", ["vite", "webpack"])
def test_a_bundle_runs(page: Page, application: Path, bundler: str) -> None:
    subprocess.run(["node", "bundle.js", bundler, str(application)], cwd=BUNDLERS, check=True)
    dist = application / "dist"
    bundle = {path.relative_to(dist).as_posix(): path.read_bytes() for path in dist.rglob("*.*")}
    assert [name for name in bundle if not re.fullmatch(r"[\w./-]+", name)] == []  # Windows has no colons, for one
    with serve({**bundle, "index.js": BROUGHT}) as site:
        assert_runs(page, site, site.url)


def test_the_development_server_of_vite_runs_it(page: Page, application: Path) -> None:
    with serve({"index.js": BROUGHT}) as site, developing(application, site.url) as url:
        assert_runs(page, site, url)


@contextmanager
def developing(application: Path, data: str) -> Iterator[str]:
    """The address of a development server, which asks the server `data` for what is not the application's."""
    command = ["node", "bundle.js", "vite-dev", str(application), data]
    with subprocess.Popen(command, cwd=BUNDLERS, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def assert_runs(page: Page, site: Site, url: str) -> None:
    """The application at `url` computes what the reference does, with every file that the library loads."""
    graph = conv_graph()
    site.files["model.tinf"] = shared_tinf(graph)
    page.goto(url)
    page.wait_for_function("globalThis.tinyinfer")
    threads = "tinyinfer.InferenceSession.create('/model.tinf', { threads: 2 }).then(session => session.threads)"
    assert page.evaluate(threads) == 2
    feeds = {"x": np.random.default_rng(3).standard_normal((1, 4, 9, 9), np.float32)}
    for options in ({}, {"worker": False}, {"threads": 2}, {"tier": "relaxed", "worker": False, "threads": 2}):
        expected = reference(graph, feeds, options.get("tier", "simd128"))
        actual = run_in_browser(page, site, "/model.tinf", feeds, **options)
        for name in expected:
            assert_same_bits(actual[name], expected[name], f"{name} with {options}")
