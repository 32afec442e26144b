"""`tileserver collection` against a real server, as typed."""

import json

import pytest
from server import Running
from typer.testing import CliRunner, Result

from tileserver.cli import collection
from tileserver.errors import NotFoundError, TileserverError


@pytest.fixture
def typed(server: Running, monkeypatch: pytest.MonkeyPatch):
    """Runs `tileserver collection` with arguments."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(server.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)

    def run(*arguments: str, entered: str | None = None) -> Result:
        return CliRunner().invoke(collection.app, arguments, input=entered, catch_exceptions=False)

    return run


def test_the_life_of_a_collections_token(server: Running, typed) -> None:
    """Not there, made for a team, opened by a session, made public, closed by a passcode, replaced, taken back."""
    typed("unshare")
    assert typed("show").stdout.strip() == "not shared"
    with pytest.raises(NotFoundError):
        typed("session")
    made = json.loads(typed("share", "--team", "--json").stdout)
    tile = made["tile_url"].format(name="address", z=3, x=1, y=2)
    assert made["tile_url"] in typed("show").stdout
    with server.client() as client:
        assert client.get(tile).status_code == 404
        session = typed("session", "--seconds", "60").stdout.strip()
        assert client.get(f"{tile}?{session}").status_code == 200
        assert json.loads(typed("share", "--public", "--json").stdout)["share_token"] == made["share_token"]
        assert client.get(tile).status_code == 200
        with pytest.raises(TileserverError, match="needs no session"):
            typed("session")
        typed("passcode", entered="open sesame\n")
        assert "with a passcode" in typed("show").stdout
        assert "sesame" not in typed("show").stdout
        assert client.get(tile).status_code == 404
        said = {"Authorization": "Fused-Canvas-Passcode open sesame"}
        assert client.get(tile, headers=said).status_code == 200
        typed("passcode", "--none")
        assert client.get(tile).status_code == 200
        again = json.loads(typed("share", "--new", "--json").stdout)
        assert again["share_token"] != made["share_token"]
        assert client.get(tile).status_code == 404
        file = again["file_url"].format(name="numbers")
        assert client.get(file).status_code == 200
        assert typed("unshare").stdout.strip() == "not shared"
        assert client.get(file).status_code == 404
