"""`tileserver login` and `logout`, as typed."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from server import Running, second_account, serving

TOKEN = "fpt_" + "x" * 43


def typed(home: Path, *arguments: str, entered: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command of somebody who has this home folder."""
    own = {"PATH": "", "COLUMNS": "200", "HOME": str(home), **environment}
    command = (sys.executable, "-m", "tileserver", *arguments)
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False, input=entered)


def test_signed_in_elsewhere_and_out_again(tmp_path: Path) -> None:
    """The other commands ask that server in that account's name, until one signs out."""
    home = tmp_path / "home"
    home.mkdir()
    with serving(data=tmp_path / "data") as server:
        private = second_account(server)
        told = typed(home, "login", f"{server.url}/server/v1/", "--fused", entered=f"{private}\n")
        assert (told.returncode, told.stderr) == (0, "")
        assert "as b@c" in told.stdout
        assert private not in told.stdout
        typed(home, "secret", "set", "KEY", entered="value")
        with server.client(headers={"Authorization": f"Bearer {private}"}) as other:
            assert other.get("/server/v1/realtime/x/api/v1/secrets").json() == {"KEY": "value"}
        kept = [home / ".fused" / "credentials", home / ".config" / "tileserver" / "credentials.json"]
        assert json.loads(kept[0].read_text())["access_token"] == private
        assert {stat.S_IMODE(place.stat().st_mode) for place in kept} == {0o600}
        fused = httpx.get(f"{_base(home)}/user/self", headers={"Authorization": f"Bearer {private}"})
        assert fused.json()["email"] == "b@c"
        assert typed(home, "logout").returncode == 0
        assert not any(place.exists() for place in kept)
        assert "no credentials" in typed(home, "secret", "list").stderr


def _base(home: Path) -> str:
    return (home / ".fused" / "settings.toml").read_text().split('"')[1]


def test_the_owner_on_this_machine_is_known(server: Running, tmp_path: Path) -> None:
    """Nothing is asked for where the data directory has the token of that server; an earlier login is forgotten."""
    earlier = tmp_path / ".config" / "tileserver"
    earlier.mkdir(parents=True)
    (earlier / "credentials.json").write_text('{"url": "http://127.0.0.1:1", "token": "fpt_x"}')
    told = typed(tmp_path, "login", server.url, "--fused", TILESERVER_DATA_DIR=str(server.data))
    assert "as owner@localhost" in told.stdout
    credentials = json.loads((tmp_path / ".fused" / "credentials").read_text())
    assert credentials["access_token"] == server.private_token
    assert list(earlier.iterdir()) == []


@pytest.mark.parametrize(("url", "said"), [(None, "Sign in"), ("http://127.0.0.1:1", "no server"), ("x", "http://")])
def test_who_is_refused_is_not_signed_in(server: Running, tmp_path: Path, url: str | None, said: str) -> None:
    """A wrong token, no server, no address: one line, and nothing is written."""
    told = typed(tmp_path, "login", url or server.url, "--fused", entered=TOKEN)
    assert told.returncode == 1
    assert said in told.stderr
    assert told.stderr.count("\n") == 1
    assert TOKEN not in told.stderr
    assert list(tmp_path.iterdir()) == []
