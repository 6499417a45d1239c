"""Sessions of one convolutional model in a page: what the tests of runs, threads and places share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.differential import assert_same_bits, shared
from tests.models import conv_graph, reference, tinf_of, tiny_graph
from tests.website import Site, library, serve
from tinyinfer import compiler
from tinyinfer.graph import Graph
from tinyinfer.types import Array
from tinyinfer.wasm_backend import tinf
from tinyinfer.wasm_backend.kernel_module import hashes

BOTH = pytest.mark.parametrize("worker", [False, True], ids=["inline", "worker"])
"""The two places of a session: the calling thread, and a Worker of its own."""

ISOLATED = pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "not-isolated"])

SIZE = 40
FEEDS = {"x": np.random.default_rng(5).standard_normal((1, 4, SIZE, SIZE)).astype(np.float32)}

SCRIPT = """async options => {{
    const {{ InferenceSession, Tensor }} = await import("/index.js");
    const create = (others, url = "/model.tinf") =>
        InferenceSession.create(url, {{ cache: false, ...options, ...others }});
    const data = new Float32Array(await (await fetch("/x")).arrayBuffer());
    const x = new Tensor("float32", data, [1, 4, {size}, {size}]);
    const times = k => new Tensor("float32", data.map(value => value * k), x.dims);
    const equal = (a, b) => a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
    const same = (a, b) => ["y", "m"].every(name => equal(a[name].data, b[name].data));
    const told = promise => promise.then(() => "fine", error => `${{error.name}}: ${{error.message}}`);
    const post = async ({{ y, m }}, run = "") => {{
        await fetch(`/y${{run}}`, {{ method: "POST", body: y.data }});
        await fetch(`/m${{run}}`, {{ method: "POST", body: m.data }});
    }};
    try {{ {body} }} catch (error) {{ return `${{error.name}}: ${{error.message}}` }}
}}"""


def shared_tinf(*graphs: Graph) -> bytes:
    """The `.tinf` file of graphs that differ in shapes only, every step cut as finely as possible."""
    plans = tuple(shared(plan) for plan in compiler.lower_together(graphs))
    assert any(step.split for plan in plans for step in plan.steps)
    return tinf.encode(tinf.ModelFile(graphs[0].name, plans, hashes(), {}))


@contextmanager
def serve_sessions() -> Iterator[Site]:
    """A site with `model.tinf`, which takes `FEEDS` and gives `y` and `m`, and the smaller `tiny.tinf`."""
    model = shared_tinf(conv_graph(SIZE))
    files = {"model.tinf": model, "tiny.tinf": tinf_of(tiny_graph()), "x": FEEDS["x"].tobytes()}
    with serve({**library(), **files}) as site:
        yield site


def script(body: str) -> str:
    """The JavaScript function of session options with the body `body`.

    `create()` loads model.tinf with these options, `x` is its input and `times(k)` k times that. `same` compares
    outputs bit by bit, `told` gives "fine" or what went wrong, `post` sends outputs to the site. An error is returned
    as `"<name>: <message>"`.
    """
    return SCRIPT.format(size=SIZE, body=body)


def attempt(page: Page, site: Site, body: str, **options: Any) -> Any:
    """What `script(body)` returns in a new page for these options of every session."""
    site.open(page)
    return page.evaluate(script(body), options)


def assert_posted(site: Site, feeds: dict[str, Array], size: int = SIZE, run: str = "") -> None:
    """What the script posted after this run are the outputs of the reference."""
    for name, expected in reference(conv_graph(size), feeds).items():
        posted = np.frombuffer(site.received[f"{name}{run}"], expected.dtype).reshape(expected.shape)
        assert_same_bits(posted, expected, f"{name} at {size}×{size}")
