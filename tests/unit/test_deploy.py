"""The files in deploy/: right for the programs that read them, and of one mind about port, user and settings."""

import http.server
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tileserver.settings import unknown_variables

DEPLOY = Path(__file__).parents[2] / "deploy"
TOKEN = "fsh_" + "Ab-_9" * 8
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def text(name: str) -> str:
    return (DEPLOY / name).read_text()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the headers that arrived."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Connection", "close")  # so that nobody answers after the end
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def adapted(folder: Path, port: int, upstream: int) -> Path:
    """The nginx configuration with paths and ports of this test."""
    conf = text("nginx.conf").replace("server tileserver:8000", f"server 127.0.0.1:{upstream}")
    conf = conf.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/tmp/nginx", f"{folder}/nginx")
    conf = conf.replace("/dev/stdout", f"{folder}/access.log").replace("/dev/stderr", f"{folder}/error.log")
    path = folder / "nginx.conf"
    path.write_text(conf)
    return path


@pytest.fixture
def nginx(tmp_path):
    """nginx before an echoing server: its port, a way to end the echo, and the folder of its logs."""
    echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    echo.daemon_threads = True
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    port = free_port()
    conf = adapted(tmp_path, port, echo.server_address[1])
    process = subprocess.Popen(["nginx", "-c", conf, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port, echo, tmp_path
    process.terminate()
    process.wait(10)
    echo.shutdown()
    echo.server_close()


def get(port: int, path: str, **headers: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.read().decode()


def lines(path: Path, count: int) -> str:
    """A log once it has `count` lines: nginx writes after it has answered."""
    for _ in range(100):
        if len(path.read_text().splitlines()) >= count:
            break
        time.sleep(0.05)
    assert len(path.read_text().splitlines()) == count
    return path.read_text()


@needs_nginx
def test_nginx_accepts_its_file(tmp_path):
    """`nginx -t` finds nothing to say against it."""
    conf = adapted(tmp_path, free_port(), free_port())
    done = subprocess.run(["nginx", "-t", "-c", conf], capture_output=True, text=True)
    assert done.returncode == 0 and "[warn]" not in done.stderr, done.stderr


@needs_nginx
def test_nginx_replaces_forwarded_headers(nginx):
    """The server hears scheme and host from nginx; what a client made up does not get through."""
    port, _, _ = nginx
    made_up = {"X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil", "X-Forwarded-Prefix": "/evil"}
    heard = get(port, "/livez", **made_up, **{"X-Forwarded-For": "6.6.6.6"})
    assert "X-Forwarded-Proto: http\n" in heard and f"X-Forwarded-Host: 127.0.0.1:{port}\n" in heard
    assert not any(word in heard for word in ("gopher", "evil", "6.6.6.6"))


@needs_nginx
def test_nginx_writes_no_token_down(nginx):
    """Neither log holds a token, whether the server answered or was away; the rest of the path is kept."""
    port, echo, folder = nginx
    paths = [
        f"/tiles/{TOKEN}/3/1/2.png?v=1",
        f"/files/{TOKEN}.csv",
        f"/server/v1/realtime-shared/{TOKEN}/run/tiles/3/1/2?secret={TOKEN}",
        f"//{TOKEN}/{TOKEN}/x",
        "/tiles/another-token/3/1/2.png",
    ]
    for path in paths:
        get(port, path, Referer=f"http://127.0.0.1/tiles/{TOKEN}/map")
    echo.shutdown()
    echo.server_close()
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(port, f"/tiles/{TOKEN}/gone")
    caught.value.close()
    logged = lines(folder / "access.log", len(paths) + 1)
    for name in ("access.log", "error.log"):
        assert not re.search(r"fsh_|another-token|secret", (folder / name).read_text())
    assert "/tiles/***/3/1/2.png 200" in logged and "/realtime-shared/***/run/tiles/3/1/2 200" in logged


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path):
    """`systemd-analyze verify` finds nothing to say against it."""
    unit = tmp_path / "tileserver.service"
    unit.write_text(text("tileserver.service").replace("/opt/tileserver/bin/tileserver", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert done.returncode == 0 and str(unit) not in done.stderr, done.stderr


def test_port_is_the_same_everywhere():
    """What the container listens on is what nginx asks and the health check looks at; nobody publishes it."""
    container, compose = text("Containerfile"), text("compose.yaml")
    assert "EXPOSE 8000" in container and "127.0.0.1:8000/livez" in container
    assert "server tileserver:8000" in text("nginx.conf") and "--port 8000" in text("tileserver.service")
    assert re.findall(r"ports: (.*)", compose) == ['["${PORT:-8080}:8080"]']
    assert "listen 8080" in text("nginx.conf")


def test_container_runs_as_nobody_special():
    """The user is a number other than root's, and owns the volume."""
    container = text("Containerfile")
    user = re.findall(r"^USER (\d+)$", container, re.MULTILINE)
    assert user and user[-1] != "0" and f"--uid {user[-1]} " in container
    assert "VOLUME /data" in container and '"--data-dir", "/data"' in container
    assert "data:/data" in text("compose.yaml") and "/udfs:ro" in text("compose.yaml")


def test_trusted_proxy_is_nginx():
    """The address whose headers count is nginx's own in the compose file."""
    compose = text("compose.yaml")
    trusted = re.search(r"TILESERVER_TRUSTED_PROXIES: (\S+)", compose)
    nginx = compose[compose.index("\n  nginx:") :]
    assert trusted and f"ipv4_address: {trusted[1]}\n" in nginx


@pytest.mark.parametrize("name", ["Containerfile", "compose.yaml", "nginx.conf", "tileserver.service", "README.md"])
def test_settings_exist(name):
    """Every variable that a file names is one that the server reads."""
    named = set(re.findall(r"TILESERVER_[A-Z_]+", text(name))) - {"TILESERVER_CONTAINER_MEMORY", "TILESERVER_ISOLATION"}
    assert unknown_variables(dict.fromkeys(named, "")) == []
