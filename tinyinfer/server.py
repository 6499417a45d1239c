"""A web server for a bundle on this machine: the right types, cross-origin isolation and a strict content policy."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tinyinfer.errors import TinyInferError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

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

HEADERS = {
    "content-security-policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "worker-src 'self'",
            "connect-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",  # pictures that somebody has picked
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    # Cross-origin isolation, without which browsers give a page no shared memory.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}

PORTS_TRIED = 100


def application(folder: Path) -> ASGIApp:
    """The ASGI application that serves `folder`; TinyInferError when starlette is not installed."""
    try:
        from starlette.applications import Starlette
        from starlette.routing import Mount
        from starlette.staticfiles import StaticFiles
    except ImportError:
        raise _not_installed() from None
    if not folder.is_dir():
        raise TinyInferError(f"{folder}: no such folder")
    return _with_headers(Starlette(routes=[Mount("/", StaticFiles(directory=folder, html=True))]))


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


def serve(folder: Path, listener: socket.socket) -> None:
    """Serve `folder` until interrupted."""
    app = application(folder)
    try:
        import uvicorn
    except ImportError:
        raise _not_installed() from None
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    server.run(sockets=[listener])


def _with_headers(app: ASGIApp) -> ASGIApp:
    """`app` with `HEADERS`, and the type by `CONTENT_TYPES` on every file."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _headers(message["headers"], message["status"], scope["path"])
            await send(message)

        if not _is_own(dict(scope["headers"]).get(b"host", b"").decode("latin-1")):
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 421, "headers": headers})
            await send({"type": "http.response.body", "body": b"this server does not serve that host"})
            return
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


def _headers(given: Any, status: int, path: str) -> list[tuple[bytes, bytes]]:
    headers = {name.lower(): value for name, value in given}
    kind = CONTENT_TYPES.get(PurePosixPath(path).suffix)
    several = headers.get(b"content-type", b"").startswith(b"multipart/")
    if kind is not None and status < 300 and not several:
        headers[b"content-type"] = kind.encode()
    headers.update((name.encode(), value.encode()) for name, value in HEADERS.items())
    return list(headers.items())


def _not_installed() -> TinyInferError:
    return TinyInferError("serving needs starlette and uvicorn: pip install 'tinyinfer[serve]'")
