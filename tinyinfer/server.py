"""A web server for a bundle on this machine: the right types, cross-origin isolation and a strict content policy."""

from __future__ import annotations

import base64
import errno
import hashlib
import ipaddress
import re
import socket
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tinyinfer import listing
from tinyinfer.errors import TinyInferError

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn import Server

# By the end of the name; other files have the type that Python knows for them.
CONTENT_TYPES = {
    ".wasm": "application/wasm",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".tinf": "application/octet-stream",
    ".onnx": "application/octet-stream",
    ".npz": "application/octet-stream",
    ".webmanifest": "application/manifest+json",
}

CSP = "content-security-policy"

POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "worker-src": "'self'",
    "connect-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",  # pictures that somebody has picked
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}

# What a page under development may do besides. Other origins stay out: data does not leave the page.
DEV_POLICY = {
    **POLICY,
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "worker-src": "'self' blob:",
    "connect-src": "'self' blob: data:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' blob: data:",
    "font-src": "'self' data:",
    "media-src": "'self' blob: data:",
    "form-action": "'self'",
}

HEADERS = {
    # Cross-origin isolation, without which browsers give a page no shared memory.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

PATIENCE = 30.0
"""Seconds that a request may take to arrive, and that a client may leave its answer unread."""

CONNECTIONS = 200
"""At a time; more are answered with 503."""

HEADER_BYTES = 16384
"""That may wait for the end of a request's headers, its first line included; more are answered with 400."""

PORTS_TRIED = 100


def application(folder: Path, dev: bool = False) -> ASGIApp:
    """The ASGI application that serves `folder`; TinyInferError when starlette is not installed.

    The policy of a page allows the scripts and styles that stand in the page itself, by their hashes. With `dev` it
    allows all of the page's own origin, and nothing is kept by browsers. A bundle without a page gets `listing.page`.
    """
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import HTMLResponse
        from starlette.routing import Mount
        from starlette.staticfiles import StaticFiles
    except ImportError:
        raise _not_installed() from None
    if not folder.is_dir():
        raise TinyInferError(f"{folder}: no such folder")

    class Files(StaticFiles):
        def file_response(self, full_path: Any, *args: Any, **kwargs: Any) -> Response:
            response = super().file_response(full_path, *args, **kwargs)
            if not dev and Path(full_path).suffix in (".html", ".htm"):
                response.headers[CSP] = policy(Path(full_path).read_bytes())
            return response

        async def get_response(self, path: str, scope: Scope) -> Response:
            if path == "." and scope["method"] in ("GET", "HEAD") and listing.is_wanted(folder):
                content = await run_in_threadpool(listing.page, folder)
                return HTMLResponse(content, headers={} if dev else {CSP: policy(content.encode())})
            return await super().get_response(path, scope)

    return _with_headers(Starlette(routes=[Mount("/", Files(directory=folder, html=True))]), dev)


def policy(page: bytes = b"") -> str:
    """The Content-Security-Policy of a page: `POLICY`, and the hashes of its inline scripts and styles."""
    inline = _Inline()
    inline.feed(page.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))
    inline.close()
    allowed = {f"{tag}-src": dict.fromkeys(map(_hash_source, texts)) for tag, texts in inline.texts.items()}
    return "; ".join(" ".join([name, given, *allowed.get(name, ())]) for name, given in POLICY.items())


class _Inline(HTMLParser):
    """Collects what stands between the tags of scripts without `src` and of styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.open: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.texts and "src" not in dict(attrs):
            self.open = self.texts[tag]
            self.open.append("")

    def handle_data(self, data: str) -> None:
        if self.open is not None:
            self.open[-1] += data

    def handle_endtag(self, _tag: str) -> None:
        self.open = None


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket at `port`, or at the next free one; port 0 is any free one."""
    for candidate in range(port, min(port + PORTS_TRIED, 65536)) if port else [0]:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, candidate), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise TinyInferError(f"cannot listen on {host} port {candidate}: {error.strerror or error}") from None
    raise TinyInferError(f"no free port on {host} from {port} to {min(port + PORTS_TRIED, 65536) - 1}")


def url_of(listener: socket.socket) -> str:
    """The address a browser on this machine opens."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(folder: Path, listener: socket.socket, dev: bool = False) -> None:
    """Serve `folder` until interrupted."""
    server_of(application(folder, dev)).run(sockets=[listener])


def server_of(app: ASGIApp, patience: float = PATIENCE, connections: int = CONNECTIONS) -> Server:
    """A server whose clients can hold neither connections for ever nor memory without end."""
    try:
        import uvicorn

        from tinyinfer.connections import patient_for
    except ImportError:
        raise _not_installed() from None
    config = uvicorn.Config(
        app,
        http=patient_for(patience),
        ws="none",
        limit_concurrency=connections,
        h11_max_incomplete_event_size=HEADER_BYTES,
        log_level="error",
        access_log=False,
        lifespan="off",
    )
    return uvicorn.Server(config)


def _with_headers(app: ASGIApp, dev: bool) -> ASGIApp:
    """`app` with `HEADERS`, a policy, and the type by `CONTENT_TYPES` on every file."""
    every = {**HEADERS, "cache-control": "no-store" if dev else "no-cache"}
    default = "; ".join(f"{name} {given}" for name, given in DEV_POLICY.items()) if dev else policy()

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = _headers(message["headers"], message["status"], scope["path"])
                headers.setdefault(CSP.encode(), default.encode())
                headers.update((name.encode(), value.encode()) for name, value in every.items())
                message["headers"] = list(headers.items())
            await send(message)

        if not _is_own(dict(scope["headers"]).get(b"host", b"").decode("latin-1")):
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 421, "headers": headers})
            await send({"type": "http.response.body", "body": b"this server does not serve that host"})
            return
        if dev:  # an answer of before, which the browser may have kept, must not count
            conditions = (b"if-none-match", b"if-modified-since")
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] not in conditions]}
        if any(part.startswith(".") for part in scope["path"].split("/")):
            scope = {**scope, "path": "/\0"}  # names that begin with a dot are nobody's business: not found
        await app(scope, receive, send_with_headers)

    return wrapped


def _is_own(host: str) -> bool:
    """Whether a Host header names this machine: others are of pages that had their name resolve to it."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    try:
        ipaddress.ip_address(name.strip("[]"))
        return True
    except ValueError:
        own = socket.gethostname().lower()
        return name.lower() in ("localhost", own, f"{own}.local")


def _headers(given: Any, status: int, path: str) -> dict[bytes, bytes]:
    headers = {name.lower(): value for name, value in given}
    kind = CONTENT_TYPES.get(PurePosixPath(path).suffix)
    several = headers.get(b"content-type", b"").startswith(b"multipart/")
    if kind is not None and status < 300 and not several:
        headers[b"content-type"] = kind.encode()
    return headers


def _not_installed() -> TinyInferError:
    return TinyInferError("serving needs starlette and uvicorn: pip install 'tinyinfer[serve]'")
