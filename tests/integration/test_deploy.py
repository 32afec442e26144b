"""The server as deploy/ starts it: the container's command and user, the compose file's settings, behind nginx."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from server import UDFS, Running, serving

DEPLOY = Path(__file__).parents[2] / "deploy"
pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


def compose_settings(public_url: str) -> dict[str, str]:
    """What compose.yaml sets, for one loopback address in the place of the two containers'."""
    pairs = re.findall(r"^ +(TILESERVER_[A-Z_]+): (\S+)", (DEPLOY / "compose.yaml").read_text(), re.MULTILINE)
    values = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in pairs}
    return values | {"TILESERVER_PUBLIC_URL": public_url, "TILESERVER_TRUSTED_PROXIES": "127.0.0.1"}


@contextlib.contextmanager
def nginx(folder: Path, port: int, upstream: str) -> Iterator[None]:
    """nginx with deploy/nginx.conf, its paths, its port and what is behind it on loopback; it answers."""
    conf = (DEPLOY / "nginx.conf").read_text().replace("server tileserver:8000", f"server {upstream}")
    conf = conf.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("/tmp/nginx", f"{folder}/nginx")
    conf = conf.replace("/dev/stdout", f"{folder}/access.log").replace("/dev/stderr", f"{folder}/error.log")
    (folder / "nginx.conf").write_text(conf)
    subprocess.run(["nginx", "-c", str(folder / "nginx.conf")], check=True)  # returns when it listens
    try:
        yield
    finally:
        subprocess.run(["nginx", "-c", str(folder / "nginx.conf"), "-s", "stop"], check=True)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    """The running server and the address that the world knows."""
    folder = tmp_path_factory.mktemp("deployed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    public = f"http://localhost:{port}"
    with (
        serving(UDFS, data=folder / "data", **compose_settings(public)) as running,
        nginx(folder, port, urlsplit(running.url).netloc),
    ):
        yield running, public


def test_tiles_come_through_the_proxy(deployed: tuple[Running, str]) -> None:
    """The same bytes and headers as from the server itself, compressed once, and 304 for who has them."""
    running, public = deployed
    path = f"/tiles/{running.token('corners')}/3/1/2.mvt"
    with httpx.Client() as client:
        direct, proxied = client.get(running.url + path), client.get(public + path)
        assert proxied.content == direct.content
        for name in ("etag", "content-encoding", "content-type", "cache-control", "access-control-allow-origin"):
            assert proxied.headers[name] == direct.headers[name]
        again = client.get(public + path, headers={"If-None-Match": direct.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_addresses_are_the_public_ones(deployed: tuple[Running, str]) -> None:
    """What the server prints and TileJSON's template lead through the proxy."""
    running, public = deployed
    assert any(line.strip().startswith("sign in") and public in line for line in running.lines)
    with httpx.Client() as client:
        document = client.get(f"{public}/tiles/{running.token('address')}/tilejson.json").json()
        template = document["tiles"][0]
        assert urlsplit(template).netloc == urlsplit(public).netloc
        assert client.get(template.format(z=3, x=1, y=2)).status_code == 200


def test_the_owner_signs_in_through_the_proxy(deployed: tuple[Running, str]) -> None:
    """The printed link opens a session there; strangers and made-up hosts see nothing."""
    running, public = deployed
    with httpx.Client() as client:
        assert "Sign in" in client.get(public).text
        assert client.get(public, headers={"Host": "evil.example"}).status_code == 403
        assert client.get(running.wait_for(r"sign in +(http\S+)")[1], follow_redirects=True).status_code == 200
        assert "address" in client.get(public).text


USER = re.findall(r"^USER (\d+)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)[-1]
BECOME = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", "--bounding-set=-all")


def can_become() -> bool:
    """Whether we may start a process as the container's user, and that user can run this interpreter again."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    again = "import subprocess, sys, tileserver.cli.serve; subprocess.run([sys.executable, '-c', ''], check=True)"
    command = [*BECOME, sys.executable, "-c", again]
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_become(), reason="needs root, and an environment that others can read")
def test_the_containers_command_runs_as_its_user() -> None:
    """With no right but to its data folder: number 10001, no capability, the arguments of CMD, the health check."""
    check = re.search(r'"-c", "(.*)"\]', (DEPLOY / "Containerfile").read_text())
    assert check
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        udfs, data = Path(place, "udfs"), Path(place, "data")
        shutil.copytree(UDFS, udfs)
        data.mkdir(mode=0o700)
        shutil.chown(data, int(USER), int(USER))
        with serving(udfs, data=data, prefix=BECOME, arguments=("--host", "0.0.0.0")) as running:
            code = check[1].replace(":8000", f":{urlsplit(running.url).port}")
            assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
            tile = httpx.get(f"{running.url}/tiles/{running.token('address')}/3/1/2.png")
            assert tile.status_code == 200
            assert {path.stat().st_uid for path in data.rglob("*")} == {int(USER)}
