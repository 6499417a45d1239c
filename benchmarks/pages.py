"""The pages of the benchmark: their addresses, and what the server puts into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks import roofline
from benchmarks.contenders import OURS, RUNTIMES, Contender
from benchmarks.export import CACHE
from benchmarks.prepare import Prepared
from benchmarks.server import Site
from tinyinfer.bundle import web_files
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels, module_file
from tinyinfer.web_build import WEB as SOURCES

WEB = Path(__file__).resolve().parent / "web"
PLAIN: Mapping[str, Any] = {"scripts": (), "imports": (), "fetches": ()}


def site(prepared: Mapping[str, Prepared], modules: Path | None) -> Site:
    """Everything that pages fetch; `modules` is the folder of the peers' npm packages."""
    files = {f"tinyinfer/{path}": content for path, content in web_files(demo=False).items()}
    files |= {f"tinyinfer/{module_file(tier)}": load_kernels(tier).wasm for tier in TIERS}
    files |= {**roofline.modules(), "blank.html": b"<!doctype html><title>blank</title>"}
    folders = {"web": WEB, "sources": SOURCES, "models": CACHE}
    if modules is not None:
        folders |= {"onnxruntime": modules / "onnxruntime-web" / "dist", "tfjs": modules / "@tensorflow"}
    return Site(folders, files, _describe(prepared))


def model_page(site: Site, contender: Contender, prepared: Prepared, preload: bool = False) -> str:
    """The address of the page that runs a model by a contender; with `preload` it names all that will be fetched."""
    query = {
        "runtime": contender.runtime.name,
        "threads": contender.threads,
        "tier": contender.tier,
        "worker": str(contender.worker),
        "model": prepared.model.name,
        **({"preload": "all"} if preload else {}),
    }
    return f"{site.url}/page?{urlencode(query)}"


def limits_page(site: Site, threads: int) -> str:
    """The address of the page that measures the machine's limits."""
    return f"{site.url}/page?{urlencode({'limits': threads})}"


def kernels_page(site: Site, prepared: Prepared, modules: Sequence[str]) -> str:
    """The address of the page that times the steps of a model's plan by kernel modules."""
    return f"{site.url}/page?{urlencode({'kernels': ' '.join(modules), 'model': prepared.model.name})}"


def _describe(prepared: Mapping[str, Prepared]) -> Callable[[Mapping[str, str]], Mapping[str, Any]]:
    """The content of a page by the query of its address."""

    def describe(query: Mapping[str, str]) -> Mapping[str, Any]:
        if "limits" in query:
            job = {"threads": int(query["limits"]), "modules": [f"/{name}" for name in roofline.modules()]}
            return {**PLAIN, "title": "limits", "job": job, "module": "/web/roofline.js"}
        if "kernels" in query:
            job = prepared[query["model"]].job(RUNTIMES[OURS])
            job["modules"] = query["kernels"].split()
            return {**PLAIN, "title": "kernels", "job": job, "module": "/web/kernels.js"}
        runtime = RUNTIMES[query["runtime"]]
        given = prepared[query["model"]].job(runtime)
        job = given | {
            "threads": int(query["threads"]),
            "tier": query["tier"],
            "worker": query["worker"] == str(True),
            "probe": f"/{roofline.PROBE}",
        }
        imports = ("/web/page.js", *runtime.imports)
        folder = f"/models/{query['model']}"
        fetches = [path.format(tier=job["tier"], folder=folder) for path in runtime.fetches]
        fetches = [*fetches, *(feed["url"] for feed in given["feeds"])] if "preload" in query else []
        module = f"/web/{runtime.adapter}"
        page = {"title": runtime.title, "job": job, "scripts": runtime.scripts, "imports": imports}
        return {**page, "fetches": fetches, "module": module}

    return describe
