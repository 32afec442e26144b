"""`tileserver token` against a real server, as typed."""

import json

import pytest
from server import Running
from typer.testing import CliRunner, Result

from tileserver.cli import token
from tileserver.errors import NotFoundError


@pytest.fixture
def typed(server: Running, monkeypatch: pytest.MonkeyPatch):
    """Runs `tileserver token` with arguments."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(server.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(token.app, arguments, catch_exceptions=False)

    return run


def test_the_life_of_a_token(server: Running, typed) -> None:
    """Made, shown, listed, switched, deleted; `--json` is the token object with its addresses."""
    made = json.loads(typed("create", "address", "--json").stdout)
    assert {"token", "tile_url", "file_url", "map_url", "enabled"} <= set(made)
    shown = typed("show", made["token"]).stdout
    for url in (made["tile_url"], made["file_url"], made["map_url"]):
        assert url in shown
    assert made["token"] in typed("list").stdout
    assert made["token"] in [each["token"] for each in json.loads(typed("list", "--json").stdout)]
    tile = made["tile_url"].format(z=3, x=1, y=2)
    with server.client() as client:
        assert client.get(tile).status_code == 200
        assert "disabled" in typed("update", made["token"], "--disabled").stdout
        assert client.get(tile).status_code == 404
        assert json.loads(typed("update", made["token"], "--enabled", "--json").stdout)["enabled"] is True
        assert client.get(tile).status_code == 200
        assert typed("delete", made["token"]).stdout == "deleted the token of 'address'\n"
        assert client.get(tile).status_code == 404


def test_a_token_without_a_cache_runs_each_time(server: Running, typed) -> None:
    """`--no-cache`, for who develops."""
    made = json.loads(typed("create", "address", "--no-cache", "--json").stdout)
    with server.client() as client:
        for _ in range(2):
            answer = client.get(made["tile_url"].format(z=12, x=1, y=2))
            assert answer.headers["cache-control"] == "no-store"
            assert "detail=run" in answer.headers["cache-status"]
    typed("delete", made["token"])


def test_caps_as_typed(typed) -> None:
    """Set, shown, taken away; and something has to be changed."""
    made = json.loads(typed("create", "address", "--calls-per-day", "4", "--json").stdout)
    assert made["calls_per_day"] == 4
    assert "4 calls a day" in typed("show", made["token"]).stdout
    assert typed("update", made["token"], "--disabled").stdout.splitlines()[0].endswith("4 calls a day")
    assert json.loads(typed("update", made["token"], "--calls-per-day", "5", "--json").stdout)["enabled"] is False
    [line] = [each for each in typed("list").stdout.splitlines() if made["token"] in each]
    assert line.split()[2:4] == ["no", "5"]
    assert "calls a day" not in typed("update", made["token"], "--calls-per-day", "0").stdout
    for wrong in ((), ("--calls-per-day", "-1")):
        assert typed("update", made["token"], *wrong).exit_code == 2
    typed("delete", made["token"])


@pytest.mark.parametrize("arguments", [("create", "no such"), ("show", "fsh_x"), ("delete", "../x"), ("show", "é")])
def test_what_is_not_there(typed, arguments: tuple[str, ...]) -> None:
    """The server's own sentence; the command line prints it and ends with status 1."""
    with pytest.raises(NotFoundError):
        typed(*arguments)


def test_a_token_for_the_team(server: Running, typed) -> None:
    """It says so, and opens nothing to who has only that."""
    made = json.loads(typed("create", "address", "--team", "--json").stdout)
    assert made["access_scope"] == "team"
    assert json.loads(typed("create", "address", "--json").stdout)["access_scope"] is None
    tile = made["tile_url"].format(z=3, x=1, y=2)
    with server.client() as client, server.owner() as owner:
        assert (client.get(tile).status_code, owner.get(tile).status_code) == (404, 200)
