"""The other commands: what they say where the server is not what they look for."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from tileserver import credentials
from tileserver.cli import remote, token
from tileserver.errors import NotFoundError, SetupError, TileserverError

ANSWERS: dict[str, tuple[int, bytes]] = {
    "/server/v1/good": (200, b'{"a": 1}'),
    "/server/v1/absent": (404, b'{"code": "not_found", "detail": "No such token."}'),
    "/server/v1/unpublishable": (422, b'{"code": "not_publishable", "detail": "f.py:1: no"}'),
    "/server/v1/broken": (500, b"<html>"),
    "/server/v1/html": (200, b"<html>"),
}


class Handler(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["authorization"]))
        status, body = ANSWERS.get(self.path, (302, b""))
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Something that answers where the credentials point; what it was asked."""
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
    thread.start()
    credentials.save(tmp_path, credentials.Credentials(f"http://127.0.0.1:{httpd.server_port}", "fpt_secret"))
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    Handler.seen.clear()
    yield Handler.seen
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_an_answer_and_the_servers_own_errors(server: list[tuple[str, str]]) -> None:
    """JSON, else the error by its code; a proxy in the environment is not asked for this machine."""
    assert remote.request("GET", "/good") == {"a": 1}
    assert server == [("/server/v1/good", "Bearer fpt_secret")]
    with pytest.raises(NotFoundError, match="No such token"):
        remote.request("GET", "/absent")
    with pytest.raises(TileserverError, match=r"f\.py:1: no"):
        remote.request("GET", "/unpublishable")
    with pytest.raises(TileserverError, match="answered 500"):
        remote.request("GET", "/broken")


def test_what_is_no_server_of_ours(server: list[tuple[str, str]]) -> None:
    """Another program's page, and a redirection, which gets no token."""
    with pytest.raises(SetupError, match="no server answers"):
        remote.request("GET", "/html")
    with pytest.raises(TileserverError, match="answered 302"):
        remote.request("GET", "/moved")
    assert [path for path, _ in server] == ["/server/v1/html", "/server/v1/moved"]


@pytest.mark.parametrize(
    "url", ["file:///etc", "localhost:8000", "nonsense", "http://", "http://127.0.0.1:1", "http://[::1"]
)
def test_addresses_that_lead_nowhere(server: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """One sentence that names the address."""
    monkeypatch.setenv("TILESERVER_URL", url)
    with pytest.raises(SetupError, match="http"):
        remote.request("GET", "/good")
    assert server == []


def command(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"TILESERVER_DATA_DIR": str(folder), "PATH": "", "COLUMNS": "200"}
    return subprocess.run(
        (sys.executable, "-m", "tileserver", *arguments), env=environment, capture_output=True, text=True, check=False
    )


def test_without_a_server_a_command_says_so(tmp_path: Path) -> None:
    """One line on standard error, exit status 1."""
    told = command(tmp_path, "token", "list")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("tileserver: no credentials in ")
    assert told.stderr.count("\n") == 1
    assert json.dumps(str(tmp_path))[1:-1] in told.stderr


@pytest.mark.parametrize(
    "arguments", [("update", "fsh_x"), ("show",), ("nonsense",), ("list", "--x"), ("delete", "a", "b")]
)
def test_wrong_usage_is_status_two(arguments: tuple[str, ...]) -> None:
    """And the usage on standard error."""
    told = CliRunner().invoke(token.app, arguments)
    assert (told.exit_code, told.stdout) == (2, "")
    assert "Usage" in told.stderr


def test_a_token_is_one_part_of_the_address(server: list[tuple[str, str]]) -> None:
    """Whatever is typed in its place, nothing else is asked for."""
    for typed in ("../../user/self", "a b?c#d", "é", ""):
        CliRunner().invoke(token.app, ["show", "--", typed])
    assert {path.count("/") for path, _ in server} == {5}
    assert len(server) == 4
