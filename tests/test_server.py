"""`tinyinfer serve`: types, headers, ports, and nothing but the folder."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import tinyinfer
from tests.commands import cells, run, start
from tests.conftest import ROOT
from tests.small_models import adder, save
from tests.test_samples import network, samples
from tinyinfer import server
from tinyinfer.bundle import bundle as write_bundle
from tinyinfer.errors import TinyInferError

HIDDEN = ["/.env", "/%2eenv", "/.git/config", "/assets/../.env", "/assets%2f..%2f.env"]
ENCODED = ["/%2e%2e%2fprivate.txt", "/assets%2f..%2f..%2fprivate.txt", "/..%5cprivate.txt", "/%252e%252e/private.txt"]
ABSOLUTE = ["/%2fetc%2fpasswd", "//etc/passwd", "/private.txt%00.js", "/up/private.txt", "/up%2fprivate.txt"]


def make_site(folder: Path) -> Path:
    """A folder with a file of each kind, beside a file that must stay private, with a link to it."""
    (folder / "assets").mkdir(parents=True)
    for name in ("index.html", "index.js", "a.wasm", "a.tinf", "a.css", "a.svg", "a.png", "assets/a.js"):
        (folder / name).write_text(f"this is {name}")
    (folder.parent / "private.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folder.parent / "private.txt")
    (folder / "up").symlink_to(folder.parent)
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


def test_file_that_has_not_changed_since_is_not_sent_again(running: tuple[str, int]) -> None:
    headers = ask(running, "/a.wasm").headers
    answer = ask(running, "/a.wasm", **{"If-Modified-Since": headers["last-modified"]})
    assert (answer.status, answer.body) == (304, b"")
    assert ask(running, "/a.wasm", **{"If-Modified-Since": "Mon, 01 Jan 1990 00:00:00 GMT"}).status == 200
    assert ask(running, "/a.wasm", **{"If-None-Match": '"another"'}).status == 200


@pytest.mark.parametrize("path", ["/", "/a.wasm", "/none.js"])
def test_head_is_get_without_a_body(running: tuple[str, int], path: str) -> None:
    get, head = ask(running, path), ask(running, path, "HEAD")
    assert (head.status, head.body) == (get.status, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


def test_a_range_of_another_version_is_the_whole_file(running: tuple[str, int]) -> None:
    whole = ask(running, "/a.wasm")
    same, other = (
        ask(running, "/a.wasm", Range="bytes=5-6", **{"If-Range": tag}) for tag in (whole.headers["etag"], '"another"')
    )
    assert (same.status, same.body) == (206, whole.body[5:7])
    assert (other.status, other.body) == (200, whole.body)


@pytest.mark.parametrize("request_of", ["GET /{0}", "GET / HTTP/1.1\r\nHost: localhost\r\nA: {0}"])
def test_endless_headers_are_refused(running: tuple[str, int], request_of: str) -> None:
    with socket.create_connection(running, timeout=60) as client:
        client.sendall(request_of.format("x" * (server.HEADER_BYTES + 1)).encode())
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


@contextmanager
def serving(folder: Path, **limits: float) -> Iterator[tuple[Any, tuple[str, int]]]:
    """A server with other limits, and where it is."""
    with server.listen("127.0.0.1", 0) as listener:
        running = server.server_of(server.application(folder), **limits)  # type: ignore[arg-type]
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield running, listener.getsockname()
        finally:
            running.should_exit = running.force_exit = True
            thread.join(60)


def ended(running: Any) -> bool:
    """Whether the server comes to have no connection; how long it takes does not matter."""
    return any(time.sleep(0.01) or not running.server_state.connections for _ in range(6000))


def trickle(client: socket.socket, byte: bytes) -> None:
    """Send byte after byte for a minute."""
    for _ in range(6000):
        time.sleep(0.01)
        client.sendall(byte)


@pytest.mark.parametrize(
    "start_of_request",
    [
        b"",
        b"GET /a.js HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /index.js HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
    ],
    ids=["nothing", "headers", "body"],
)
def test_a_request_that_never_ends_is_ended(site: Path, start_of_request: bytes) -> None:
    """Its bytes keep coming, one at a time."""
    with serving(site, patience=0.5) as (_, where), socket.create_connection(where, timeout=60) as client:
        client.sendall(start_of_request)
        with pytest.raises(OSError, match=r"reset|[Bb]roken|abort"):
            trickle(client, b"x" if start_of_request else b"\n")


def test_an_answer_that_nobody_reads_is_ended(site: Path) -> None:
    with (site / "large.bin").open("wb") as file:
        file.truncate(1 << 26)
    with serving(site, patience=0.5) as (running, where), socket.create_connection(where, timeout=60) as client:
        client.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.recv(1)
        assert ended(running)


def test_a_slow_client_within_the_limits_is_served(site: Path) -> None:
    with serving(site, patience=600) as (_, where), socket.create_connection(where, timeout=60) as client:
        for byte in b"GET /a.css HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
            client.sendall(bytes([byte]))
        assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(b"this is a.css")


def test_too_many_connections_are_told_so(site: Path) -> None:
    with serving(site, connections=3) as (running, where):
        others = [socket.create_connection(where, timeout=60) for _ in range(3)]
        assert ask(where, "/a.css").status == 503
        for other in others:
            other.close()
        assert ended(running)
        assert ask(where, "/a.css").status == 200


INLINE = """<!doctype html><title>-</title><style>body { color: rgb(1, 2, 3) }</style><body>
<script>globalThis.pixels = new Float32Array(28 * 28);</script>\r
<img onerror="globalThis.attacked = true" src="none.png">
<script type="module">
%s
document.title = getComputedStyle(document.body).color;
</script>"""


def test_the_sample_of_the_readme_runs_as_printed(page: Page, tmp_path: Path) -> None:
    (sample,) = samples(ROOT / "README.md", "js")
    compiled = tinyinfer.compile(network(1, 28, "probabilities")).to_bytes()
    write_bundle({"model.tinf": compiled}, tmp_path / "site", demo=False)
    (tmp_path / "site" / "index.html").write_text(INLINE % sample, encoding="utf-8", newline="")
    with serving(tmp_path / "site") as (_, (host, port)):
        for _ in range(2):  # the second time the server says that the page has not changed
            page.goto(f"http://{host}:{port}/")
            expect(page).to_have_title("rgb(1, 2, 3)", timeout=60_000)
    assert page.evaluate("globalThis.attacked") is None


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A bundle without a page: a model that takes pictures, one with other types, and one that is damaged."""
    numbers = adder()
    old, numbers.graph.input[0].name = numbers.graph.input[0].name, "<i>\"x\" & 'y'"
    for node in numbers.graph.node:
        node.input[:] = [numbers.graph.input[0].name if name == old else name for name in node.input]
    models = {
        "pictures.tinf": tinyinfer.compile(network(1, 28, "probabilities")).to_bytes(),
        "a&b sum#1.tinf": tinyinfer.compile(numbers).to_bytes(),
    }
    write_bundle(models, tmp_path / "bare", demo=False)
    (tmp_path / "bare" / "broken.tinf").write_bytes(b"<b>")
    return tmp_path / "bare"


def test_a_bundle_without_a_page_gets_one_with_samples(page: Page, bare: Path, tmp_path: Path) -> None:
    Image.new("L", (40, 40), 255).save(tmp_path / "white.png")
    session = tinyinfer.InferenceSession(bare / "pictures.tinf")
    with serving(bare) as (_, (host, port)):
        page.goto(f"http://{host}:{port}/")
        forms, answers = page.locator("form"), page.locator("form + pre")
        expect(forms).to_have_count(2)
        forms.nth(0).locator("button").click()
        expect(answers.nth(0)).to_contain_text("float32", timeout=60_000)
        forms.nth(1).locator("button").click()
        expect(answers.nth(1)).to_contain_text("simd128", timeout=60_000)
        for picked in (False, True):
            if picked:
                forms.nth(1).locator("input").set_input_files(tmp_path / "white.png")
                forms.nth(1).locator("button").click()
            expected = session.run({"image": np.full((1, 1, 28, 28), picked, np.float32)})["probabilities"].ravel()
            expect(answers.nth(1)).to_contain_text(
                f"largest: {expected.max():.6g} at {expected.argmax()}", timeout=60_000
            )
        expect(page.locator(".error")).to_have_text(re.compile("^broken.tinf: "))
        assert page.locator("i, b").count() == 0
        assert "index.js" in page.locator("table").last.inner_text()


def test_the_samples_of_that_page_run(page: Page, bare: Path) -> None:
    with serving(bare) as (_, (host, port)):
        page.goto(f"http://{host}:{port}/")
        codes = page.locator("pre code").all_inner_texts()
        assert len(codes) == 2
        for n, code in enumerate(codes):
            script = f'<!doctype html><script type="module">\n{code}\ndocument.title = "done {n}";</script>'
            (bare / "try.html").write_text(script, encoding="utf-8")
            page.goto(f"http://{host}:{port}/try.html")
            expect(page).to_have_title(f"done {n}", timeout=60_000)


def test_what_is_served_is_printed(bare: Path) -> None:
    process = start("serve", bare, "--port", "0")
    assert ask(address(process), "/").status == 200
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=300)
    assert cells(out, "index.js")[1] == f"{(bare / 'index.js').stat().st_size:,}"
    assert "probabilities" in cells(out, "pictures.tinf")[2]


def test_a_folder_that_is_no_bundle_is_not_listed(site: Path) -> None:
    (site / "index.html").unlink()
    with serving(site) as (_, where):
        assert ask(where, "/").status == 404


def test_only_code_that_stands_in_the_page_is_allowed() -> None:
    """SHA-256 of `f()` by `printf 'f()' | openssl dgst -sha256 -binary | base64`."""
    given = server.policy(b"<script src=a.js>g()</script><script>f()</script><p onclick='h()'>f()</p>")
    scripts = next(rule for rule in given.split("; ") if rule.startswith("script-src"))
    assert scripts == "script-src 'self' 'wasm-unsafe-eval' 'sha256-GcEEE0IkDzIP5EQ6DXZaDPORqT5RTBELX8Fyzyg9yvo='"
    assert "'unsafe-inline'" not in given


def test_a_page_under_development_is_not_kept(site: Path) -> None:
    process = start("serve", site, "--port", "0", "--dev")
    where = address(process)
    answer = ask(where, "/a.css")
    again = ask(where, "/a.css", **{"If-None-Match": answer.headers["etag"]})
    process.kill()
    _, errors = process.communicate()
    assert (again.status, again.headers["cache-control"]) == (200, "no-store")
    assert "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:;" in answer.headers["content-security-policy"]
    assert "http" not in answer.headers["content-security-policy"]
    assert "--dev: nothing is cached" in errors


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
    [
        "/../private.txt",
        "/%2e%2e/private.txt",
        "/assets/../../private.txt",
        "//private.txt",
        "/link.txt",
        *HIDDEN,
        *ENCODED,
        *ABSOLUTE,
    ],
)
def test_nothing_outside_the_folder(running: tuple[str, int], path: str) -> None:
    answer = ask(running, path)
    assert answer.status == 404
    assert b"root:" not in answer.body
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
