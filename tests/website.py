"""A web site for one test: a bundle and other content over HTTP on the loopback interface, as strict as they come.

Every answer carries the Content-Security-Policy that the library promises to work under, so each test that runs a
model in the browser also proves that promise.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np
from playwright.sync_api import Browser, Error, Page

from tinyinfer.bundle import web_files
from tinyinfer.types import Array, DType
from tinyinfer.wasm_backend.kernel_module import TIERS, load_kernels

CSP = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "connect-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
    ]
)
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
MIME = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}

CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


def tag_of(content: bytes, header: str) -> str:
    """What a server without state may send in this header: other contents have others."""
    crc = zlib.crc32(content)
    return {"ETag": f'"{crc}"', "Last-Modified": formatdate(crc % 10**9, usegmt=True)}.get(header, "")


@dataclass
class Site:
    """`files` is what the server has, by path without the leading slash; tests change it as they like."""

    files: dict[str, bytes]
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Security-Policy": CSP, **ISOLATION})
    requests: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """Requests that were answered by 304."""
    cut: dict[str, int] = field(default_factory=dict)
    """Bytes after which the connection breaks, by path."""
    stalled: dict[str, int] = field(default_factory=dict)
    """Bytes after which nothing comes any more, by path."""
    over: threading.Event = field(default_factory=threading.Event)
    tagged: str = ""
    """ETag or Last-Modified: the header by which answers tell versions apart. What is unchanged is not sent again."""
    received: dict[str, bytes] = field(default_factory=dict)
    """Bodies of POST requests by path."""
    url: str = ""

    def open(self, page: Page) -> None:
        """Load an empty page of this site."""
        self.files.setdefault("blank.html", b"<!doctype html><title>test</title>")
        page.goto(f"{self.url}/blank.html")

    def fetched(self, suffix: str) -> int:
        """How often files of this ending were asked for."""
        return sum(path.endswith(suffix) for path in self.requests)


class Few(dict[str, bytes]):
    """Files of which one can be had a few times only."""

    def __init__(self, files: Mapping[str, bytes], name: str, times: int) -> None:
        super().__init__(files)
        self.name, self.times = name, times

    def get(self, key: str, default: Any = None) -> Any:
        if key == self.name:
            self.times -= 1
        return default if key == self.name and self.times < 0 else super().get(key, default)


def library() -> dict[str, bytes]:
    """What a site serves of TinyInfer itself: its scripts and the kernels of every tier."""
    return {**web_files(demo=False), **{f"kernels.{tier}.wasm": load_kernels(tier).wasm for tier in TIERS}}


@contextmanager
def visit(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page in a context of its own; whatever it has complained of in the end fails the test."""
    context = browser.new_context(reduced_motion="reduce", **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def assert_no_workers(page: Page) -> None:
    """Every Worker of the page has ended; a Worker's end is reported a moment after it was asked for."""
    deadline = time.monotonic() + 60
    while page.workers and time.monotonic() < deadline:
        page.wait_for_timeout(10)  # milliseconds
    assert page.workers == []


def answering_workers(page: Page, least: int = 0) -> int:
    """How many Workers of the page execute what they are asked to; `least` have as long as they need.

    Chromium at times lists one for good that never had its script. A thread that waits does not answer either.
    """
    client = page.context.new_cdp_session(page)
    answers: list[str] = []
    answered = re.compile('"value":42').search
    client.on("Target.receivedMessageFromTarget", lambda event: answers.append(event["message"]))
    request = json.dumps({"id": 1, "method": "Runtime.evaluate", "params": {"expression": "40 + 2"}})
    for target in client.send("Target.getTargets")["targetInfos"]:
        if target["type"] == "worker" and target["url"].startswith(page.url.rpartition("/")[0]):
            try:
                session = client.send("Target.attachToTarget", {"targetId": target["targetId"], "flatten": False})
                client.send("Target.sendMessageToTarget", {"sessionId": session["sessionId"], "message": request})
            except Error as error:
                if not re.search("No (target|session) with given id", error.message):
                    raise  # anything but that it has ended since it was listed
    page.wait_for_timeout(1000)  # milliseconds
    deadline = time.monotonic() + 60
    while len([*filter(answered, answers)]) < least and time.monotonic() < deadline:
        page.wait_for_timeout(10)
    client.detach()
    return len([*filter(answered, answers)])


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[Site]:
    """A running site; it ends with the block."""
    site = Site(dict(files))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together; apart, the second would wait for the browser to acknowledge the first.
        wbufsize = -1
        disable_nagle_algorithm = True
        tag: str = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/") or "index.html"
            site.requests.append(path)
            content = site.files.get(path)
            self.tag = tag_of(content or b"", site.tagged)
            if self.tag and self.headers[CONDITIONS[site.tagged]] == self.tag:
                site.unchanged.append(path)
                return self.answer(304, b"", "")
            return self.answer(404 if content is None else 200, content or b"", PurePosixPath(path).suffix)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            site.received[self.path.lstrip("/")] = self.rfile.read(length)
            self.answer(204, b"", "")

        def answer(self, status: int, content: bytes, suffix: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", MIME.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-cache" if site.tagged else "no-store")
            if self.tag:
                self.send_header(site.tagged, self.tag)
            for name, value in site.headers.items():
                self.send_header(name, value)
            try:
                self.end_headers()
                path = self.path.lstrip("/")
                self.wfile.write(content[: site.cut.get(path, site.stalled.get(path))])
                if path in site.stalled:
                    self.wfile.flush()
                    site.over.wait()
            except ConnectionError:  # the page was closed while it loaded
                self.close_connection = True
            self.close_connection |= self.path.lstrip("/") in site.cut

        def log_message(self, format: str, *args: object) -> None:
            """Keep the tests' output quiet."""

    return Handler


RUN = """async ({ model, feeds, names, runs, options }) => {
  const { InferenceSession, Tensor } = await import("/index.js");
  const bytes = await (await fetch("/feeds")).arrayBuffer();
  const tensors = {};
  for (const { name, type, dims, at, size, array } of feeds) {
    tensors[name] = new Tensor(type, new globalThis[array](bytes, at, size), dims);
  }
  const session = await InferenceSession.create(model, options);
  try {
    for (let i = 1; i < runs; i++) await session.run(tensors, names ?? undefined);
    const outputs = Object.entries(await session.run(tensors, names ?? undefined));
    await fetch("/outputs", { method: "POST", body: new Blob(outputs.map(([, { data }]) => data)) });
    return outputs.map(([name, { type, dims }]) => ({ name, type, dims }));
  } finally {
    await session.release();
  }
}"""

ARRAYS = {
    DType.FLOAT: "Float32Array",
    DType.INT64: "BigInt64Array",
    DType.INT32: "Int32Array",
    DType.UINT8: "Uint8Array",
    DType.INT8: "Int8Array",
    DType.BOOL: "Uint8Array",
}


class Evaluates(Protocol):
    """What runs JavaScript: a page of Playwright's, or a `Visitor`."""

    def evaluate(self, expression: str, arg: Any = None, /) -> Any: ...


def run_in_browser(
    page: Evaluates,
    site: Site,
    model: str,
    feeds: Mapping[str, Array],
    names: Sequence[str] | None = None,
    runs: int = 1,
    **options: Any,
) -> dict[str, Array]:
    """The outputs of the last of `runs` runs of the model at path `model` of the site.

    Tensors travel as raw bytes, so no bit can change on the way.
    """
    described, content = [], b""
    for name, array in feeds.items():
        dtype, at = DType.of(array.dtype), len(content)
        content += np.ascontiguousarray(array).tobytes()
        content += bytes(-len(content) % 8)  # arrays in a buffer begin at multiples of their elements' sizes
        described.append(
            {
                "name": name,
                "type": dtype.value,
                "dims": list(array.shape),
                "at": at,
                "size": array.size,
                "array": ARRAYS[dtype],
            }
        )
    site.files["feeds"] = content
    outputs, at = {}, 0
    asked = {"model": model, "feeds": described, "names": names, "runs": runs, "options": options}
    for output in page.evaluate(RUN, asked):
        dtype, shape = DType(output["type"]).numpy, output["dims"]
        array = np.frombuffer(site.received["outputs"], dtype, math.prod(shape), at).reshape(shape)
        outputs[output["name"]] = array
        at += array.nbytes
    assert at == len(site.received.pop("outputs"))
    return outputs
