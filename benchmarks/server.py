"""A loopback server for the pages of the benchmark: cross-origin isolated, and it remembers what was asked for."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MIME = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
{preloads}<script type="application/json" id="job">{job}</script>
{scripts}<script type="module" src="{module}"></script>
"""

Describe = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""From the query of a page's address to its `title`, `job`, `scripts`, `module`, and its `imports` and `fetches`."""


@dataclass
class Site:
    """`folders` are served below their names, `files` by their paths."""

    folders: Mapping[str, Path]
    files: Mapping[str, bytes]
    describe: Describe
    caching: bool = False
    """Whether browsers may keep what they have fetched."""
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def find(self, path: str) -> bytes | None:
        """The content at `path`, or None."""
        if path in self.files:
            return self.files[path]
        name, _, rest = path.partition("/")
        folder = self.folders.get(name)
        if folder is None or ".." in PurePosixPath(rest).parts or not (folder / rest).is_file():
            return None
        return (folder / rest).read_bytes()

    def page(self, query: str) -> bytes:
        """The page that runs what the query of its address names."""
        values = self.describe(dict(parse_qsl(query, keep_blank_values=True)))
        scripts = "".join(f'<script src="{path}"></script>\n' for path in values["scripts"])
        preloads = "".join(f'<link rel="modulepreload" href="{path}">\n' for path in values["imports"])
        preloads += "".join(f'<link rel="preload" href="{p}" as="fetch" crossorigin>\n' for p in values["fetches"])
        job = json.dumps(values["job"]).replace("<", "\\u003c")
        page = PAGE.format(title=values["title"], preloads=preloads, job=job, scripts=scripts, module=values["module"])
        return page.encode()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that a browser has ended: it does not want to read on what it has kept."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Serve `site` on the loopback interface until the block ends."""
    server = _Server(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together; apart, the second would wait for the browser to acknowledge the first.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            path = address.path.lstrip("/")
            site.requests.append(path)
            content = site.page(address.query) if path == "page" else site.find(path)
            self.send_response(200 if content is not None else 404)
            suffix = ".html" if path == "page" else PurePosixPath(path).suffix
            self.send_header("Content-Type", MIME.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Cache-Control", "max-age=3600" if site.caching else "no-store")
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Requests are in `site.requests`."""

    return Handler
