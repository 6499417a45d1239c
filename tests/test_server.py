"""`tinyinfer serve`: types, headers, ports, and nothing but the folder."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.commands import run, start
from tests.small_models import adder, save
from tinyinfer import server
from tinyinfer.errors import TinyInferError

HIDDEN = ["/.env", "/%2eenv", "/.git/config", "/assets/../.env", "/assets%2f..%2f.env"]


def make_site(folder: Path) -> Path:
    """A folder with a file of each kind, beside a file that must stay private, with a link to it."""
    (folder / "assets").mkdir(parents=True)
    for name in ("index.html", "index.js", "a.wasm", "a.tinf", "a.css", "a.svg", "a.png", "assets/a.js"):
        (folder / name).write_text(f"this is {name}")
    (folder.parent / "private.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folder.parent / "private.txt")
    (folder / ".env").write_text("secret")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


def address(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Host and port that the process prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    url = re.search(r"http://\S+", line)
    assert url, line
    parts = urlsplit(url[0])
    return str(parts.hostname), int(parts.port or 0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Host and port of `tinyinfer serve` on such a folder."""
    process = start("serve", make_site(tmp_path_factory.mktemp("served") / "site"), "--port", "0")
    yield address(process)
    process.kill()
    process.communicate()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(where: tuple[str, int], path: str, method: str = "GET", **headers: str) -> Answer:
    """One request; the path is sent as it is."""
    connection = http.client.HTTPConnection(*where, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.js", "text/javascript; charset=utf-8"),
        ("/assets/a.js", "text/javascript; charset=utf-8"),
        ("/a.wasm", "application/wasm"),
        ("/a.tinf", "application/octet-stream"),
        ("/a.css", "text/css; charset=utf-8"),
        ("/a.svg", "image/svg+xml"),
        ("/a.png", "image/png"),
    ],
)
def test_types(running: tuple[str, int], path: str, kind: str) -> None:
    answer = ask(running, path)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)


@pytest.mark.parametrize("path", ["/", "/a.wasm", "/none.js"])
def test_every_answer_is_isolated_and_strict(running: tuple[str, int], path: str) -> None:
    headers = ask(running, path).headers
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "img-src 'self' blob:"} <= set(policy)
    assert "script-src 'self' 'wasm-unsafe-eval'" in policy
    others = "; ".join(rule for rule in policy if not rule.startswith("img-src"))
    assert not re.search("unsafe-inline|'unsafe-eval'|blob:|data:|https?:", others)


def test_missing_file(running: tuple[str, int]) -> None:
    assert ask(running, "/none.js").status == 404


def test_unchanged_file_is_not_sent_again(running: tuple[str, int]) -> None:
    tag = ask(running, "/a.wasm").headers["etag"]
    assert ask(running, "/a.wasm", **{"If-None-Match": tag}).status == 304


def test_several_ranges_are_a_multipart_answer(running: tuple[str, int]) -> None:
    answer = ask(running, "/a.wasm", Range="bytes=0-1,4-5")
    assert answer.status == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("evil.example:80", 421),
        ("localhost.evil", 421),
    ],
)
def test_other_hosts_are_refused(running: tuple[str, int], host: str, status: int) -> None:
    """A page elsewhere can have its name resolve to this machine."""
    assert ask(running, "/a.wasm", Host=host).status == status


def test_only_reading(running: tuple[str, int]) -> None:
    assert ask(running, "/index.js", "POST").status == 405


@pytest.mark.parametrize(
    "path",
    ["/../private.txt", "/%2e%2e/private.txt", "/assets/../../private.txt", "//private.txt", "/link.txt", *HIDDEN],
)
def test_nothing_outside_the_folder(running: tuple[str, int], path: str) -> None:
    answer = ask(running, path)
    assert answer.status == 404
    assert b"secret" not in answer.body


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_end_leaves_nothing_behind(tmp_path: Path, end: signal.Signals) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = start("serve", save(adder(), tmp_path / "sums.onnx"), "--port", "0", TMPDIR=str(scratch))
    assert ask(address(process), "/sums.tinf").status == 200
    assert list(scratch.iterdir()) != []
    process.send_signal(end)
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    assert list(scratch.iterdir()) == []


def test_next_free_port_is_taken_and_told(site: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        process = start("serve", site, "--port", str(port))
        try:
            assert port < address(process)[1] <= port + server.PORTS_TRIED
        finally:
            process.kill()
            _, errors = process.communicate()
    assert f"port {port} is in use" in errors


def test_address_that_is_not_ours() -> None:
    with pytest.raises(TinyInferError, match=r"cannot listen on 192\.0\.2\.1 port 0"):
        server.listen("192.0.2.1", 0)  # TEST-NET-1, RFC 5737


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    monkeypatch.setitem(sys.modules, "starlette.staticfiles", None)
    assert "pip install 'tinyinfer[serve]'" in run("serve", site, code=1).stderr


def test_folders_and_models_do_not_mix(site: Path, tmp_path: Path) -> None:
    model = save(adder(), tmp_path / "x.onnx")
    assert "give one folder, or models only" in run("serve", site, model, code=1).stderr
    assert "no such file" in run("serve", tmp_path / "none.onnx", code=1).stderr
