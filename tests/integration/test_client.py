"""The SDK against a real server: every case blocking and awaited."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from server import UDFS, Running, second_account, serving

from tileserver import AsyncClient, CallError, Client, Tile, run, run_async, udf
from tileserver.client import Token, Udf
from tileserver.errors import (
    ConflictError,
    FormatNotPossibleError,
    InvalidParameterError,
    NotFoundError,
    PublicationError,
    SetupError,
    TooManyRequestsError,
    UdfRaisedError,
    UnauthorisedError,
)

GREET = "from tileserver import udf\n\n@udf\ndef greet(name: str = 'you'):\n    return {'hello': name}\n"
Make = Callable[..., Any]


class Awaited:
    """An `AsyncClient` whose methods are waited for, so that one test serves both clients."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.runner = asyncio.Runner()
        self.client = AsyncClient(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        return (lambda *args, **kwargs: self._wait(found(*args, **kwargs))) if callable(found) else found

    def _wait(self, answer: Any) -> Any:
        return self.runner.run(_listed(answer) if inspect.isasyncgen(answer) else answer)

    def close(self) -> None:
        self.runner.run(self.client.close())
        self.runner.close()


async def _listed(answers: Any) -> list[Any]:
    return [each async for each in answers]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that these tests may change."""
    with serving(UDFS, data=tmp_path_factory.mktemp("client") / "data") as running:
        yield running


@pytest.fixture(params=[Client, Awaited], ids=["blocking", "awaited"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes clients of either sort, which are closed at the end."""
    made: list[Any] = []

    def client(*args: Any, **kwargs: Any) -> Any:
        made.append(request.param(*args, **kwargs))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def client(own: Running, make: Make) -> Any:
    """The owner's."""
    return make(own.url, own.private_token)


def test_both_have_the_same_methods() -> None:
    """With the same parameters and texts, and what they return."""
    names = {name for name in vars(Client) | vars(AsyncClient) if not name.startswith("_")}
    for name in names - {"close", "tiles", "url"}:
        one, other = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(one) == inspect.signature(other)
        assert inspect.getdoc(one) == inspect.getdoc(other)
        assert not str(inspect.signature(one)).endswith("Generator")
    assert inspect.signature(Client.tokens).return_annotation == list[Token]


def test_what_is_published(client: Any, own: Running) -> None:
    """Names, kinds, sources, tokens and addresses."""
    known = {each.name: each for each in client.udfs()}
    assert known["address"].kind == "raster"
    assert known["address"].token.token == own.token("address")
    assert known["address"].token.map_url == f"{own.url}/tiles/{own.token('address')}/map"
    assert known["computed"].headers["shades"].startswith('"""A sibling')
    assert client.udf("address") == known["address"]
    with pytest.raises(NotFoundError):
        client.udf("no such/udf")


def test_runs_are_objects(client: Any) -> None:
    """An array, features, a table, data, text and bytes, each by its UDF's name."""
    found = client.run("address", tile=(3, 1, 2))
    assert isinstance(found, np.ndarray)
    assert found[:3, 0, 0].tolist() == [3, 1, 2]
    assert client.run("address", tile=Tile(3, 1, 2, size=512)).shape[1:] == (512, 512)
    assert isinstance(client.run("corners", tile=(3, 1, 2), wide=True), gpd.GeoDataFrame)
    assert isinstance(client.run("features"), gpd.GeoDataFrame)
    table = client.run("numbers", count=4, start=None)
    pd.testing.assert_frame_equal(table, pd.DataFrame({"n": range(4), "value": [0.5, 1.5, 2.5, 3.5]}))
    assert client.run("page", name="é&b") == "<h1>Hello é&b</h1>"
    assert client.run("ready", media_type="application/x-own", size=23) == b"<script>1</script>     "
    assert client.run("typed", n=np.int64(3), when="2024-01-01", many=[1, 2], flag=True)["many"] == "[1, 2]"


@pytest.mark.parametrize(
    ("name", "extension", "kind"),
    [
        ("numbers", "csv", pd.DataFrame),
        ("numbers", "json", list),
        ("features", "geojson", gpd.GeoDataFrame),
        ("features", "parquet", gpd.GeoDataFrame),
        ("page", "txt", str),
    ],
)
def test_runs_in_a_format(client: Any, name: str, extension: str, kind: type) -> None:
    """That is asked for."""
    assert isinstance(client.run(name, format=extension), kind)


@pytest.mark.parametrize("extension", ["png", "webp", "jpg"])
def test_tiles_are_what_maps_get(client: Any, own: Running, extension: str) -> None:
    """The same bytes, and the picture in them."""
    answer = client.tile("address", (3, 1, 2), extension)
    with own.client() as http:
        same = http.get(f"/tiles/{own.token('address')}/3/1/2.{extension}")
    assert (answer.body, answer.media_type) == (same.content, same.headers["content-type"])
    assert answer.data.shape[1:] == (256, 256)


def test_vector_tiles_are_layers(client: Any) -> None:
    """With their features; where nothing is, nothing."""
    layers = client.tile("corners", (3, 1, 2)).data
    assert [each["properties"]["name"] for each in layers["corners"]["features"]] == ["square", "middle"]
    assert client.tile("features", (3, 0, 0)).data is None


def test_strangers_run_shared_tokens(own: Running, make: Make) -> None:
    """Without a private token; they manage nothing, and do not read why a function failed."""
    stranger = make(own.url, "")
    assert stranger.run(own.token("numbers"))["n"].tolist() == [0, 1, 2]
    assert stranger.tile_url(own.token("address"), "png", a=1).endswith("/{z}/{x}/{y}.png?a=1")
    with pytest.raises(UnauthorisedError):
        stranger.udfs()
    with pytest.raises(UdfRaisedError) as caught:
        stranger.run(own.token("failing"), tile=(1, 0, 0))
    assert caught.value.message == ""
    with pytest.raises(NotFoundError):
        stranger.run("fsh_" + "a" * 43)


def test_owners_read_why_it_failed(client: Any) -> None:
    """Message, traceback, line and what it printed."""
    with pytest.raises(UdfRaisedError) as caught:
        client.run("failing", tile=(1, 1, 0))
    error = caught.value
    assert (error.exception, error.line, error.printed) == ("ValueError", 11, "about to fail\n")
    assert "the secret is 42" in error.message
    assert "failing.py" in error.__notes__[0]


def test_requests_that_can_be_mended(client: Any) -> None:
    """The server's own errors; a tile that there is none of is refused here."""
    with pytest.raises(InvalidParameterError, match="'count'"):
        client.run("numbers", count="many")
    with pytest.raises(FormatNotPossibleError):
        client.run("numbers", format="png")
    with pytest.raises(InvalidParameterError, match="give less"):
        client.run("page", name="x" * 70_000)
    with pytest.raises(ValueError, match="outside the pyramid"):
        client.run("address", tile=(1, 2, 0))


@udf
def doubled(n: int = 2) -> dict:
    """Twice as much."""
    return {"twice": np.multiply(n, 2).item()}


def test_the_life_of_a_pushed_udf(client: Any, tmp_path: Path) -> None:
    """Pushed, run, pushed anew under the same token, its runs read, its cache cleared, deleted."""
    pushed = client.push(GREET)
    assert (pushed.name, client.run(pushed, name="A")) == ("greet", {"hello": "A"})
    again = client.push(GREET.replace("hello", "bye"))
    assert again.token == pushed.token
    assert client.run("greet") == {"bye": "you"}
    runs = client.logs("greet")
    assert runs[-1]["parameters"] == {"name": "you"}
    assert client.logs(again, after=runs[-1]["id"]) == []
    assert client.usage("greet")["calls"] == 2
    assert client.usage(days=1)["calls"] >= 2
    assert client.clear("greet") is None
    assert client.delete_udf("greet") is None
    with pytest.raises(NotFoundError, match=r"create_token\('greet'\)"):
        client.run("greet")


def test_a_function_and_a_file_are_pushed(client: Any, tmp_path: Path) -> None:
    """A live one with what it uses, and a file with the module beside it."""
    assert client.run(client.push(doubled), n=4) == {"twice": 8}
    (tmp_path / "uses.py").write_text("import beside\n" + GREET.replace("name}", "name + beside.SIGN}"))
    (tmp_path / "beside.py").write_text("SIGN = '!'")
    assert client.run(client.push(tmp_path / "uses.py"), name="A") == {"hello": "A!"}
    assert [each.name for each in client.push_all(tmp_path)] == ["uses"]
    for name in ("doubled", "uses"):
        client.delete_udf(name)


def test_pushing_what_cannot_be(client: Any) -> None:
    """A file that is served is not overwritten; a reserved parameter is named with its line."""
    with pytest.raises(ConflictError):
        client.push(GREET, name="address")
    with pytest.raises(PublicationError, match="'format'"):
        client.push(GREET.replace("name", "format"))


def test_the_life_of_a_token(client: Any, own: Running, make: Make) -> None:
    """Made, listed, read, switched off and on, deleted."""
    made = client.create_token("numbers", cache=False)
    assert (made.udf_slug, made.enabled, made.cache) == ("numbers", True, False)
    assert made in client.tokens("numbers")
    assert client.token(made.token) == made
    stranger = make(own.url, "")
    assert client.disable_token(made).enabled is False
    with pytest.raises(NotFoundError):
        stranger.run(made.token)
    assert client.enable_token(made.token).enabled is True
    assert len(stranger.run(made.token)) == 3
    assert client.cap_token(made, 2).calls_per_day == 2
    assert stranger.file(made.token, "csv").media_type.startswith("text/csv")
    with pytest.raises(TooManyRequestsError, match="This token"):
        stranger.run(made.token)
    assert client.cap_token(made, None).calls_per_day is None
    capped = client.create_token("numbers", calls_per_day=5)
    assert (capped.calls_per_day, client.delete_token(capped).calls_per_day) == (5, 5)
    assert client.delete_token(made).token == made.token
    with pytest.raises(NotFoundError):
        client.token(made.token)
    for bad in ("../x", "", "é/?#"):
        with pytest.raises(NotFoundError):
            client.token(bad)


def test_every_page_of_tokens_is_read(client: Any) -> None:
    """More than one."""
    made = [client.create_token(client.udf("page")) for _ in range(101)]
    assert {each.token for each in made} <= {each.token for each in client.tokens()}
    for each in made:
        client.delete_token(each)
    assert len(client.tokens("page")) == 1


def test_addresses(client: Any, own: Running) -> None:
    """As the server tells them, with format and parameters; the document is TileJSON."""
    token, record = own.token("address"), client.udf("address")
    for what in ("address", token, record, record.token):
        assert client.tile_url(what, "png") == f"{own.url}/tiles/{token}/{{z}}/{{x}}/{{y}}.png"
    assert client.file_url("numbers", "csv", count=2, start=None).endswith(".csv?count=2")
    assert client.map_url("address", a="b c").endswith(f"/tiles/{token}/map?a=b+c")
    document = client.tilejson("address", a=1)
    assert document["tilejson"] == "3.0.0"
    assert "a=1" in document["tiles"][0]


def test_many_tiles(client: Any) -> None:
    """All that an area takes, each once, at several zooms and across the 180th meridian."""
    found = {
        (tile.z, tile.x, tile.y): answer for tile, answer in client.tiles("address", (-180, -85, 180, 85), range(3))
    }
    assert len(found) == 1 + 4 + 16
    for (z, x, y), answer in found.items():
        assert answer.data[:3, 0, 0].tolist() == [z, x, y]
    across = {(tile.x, tile.y) for tile, _ in client.tiles("address", (170, 10, -170, 20), 3)}
    assert across == {(7, 3), (0, 3)}


def test_warm(own: Running, client: Any, tmp_path: Path) -> None:
    """All tiles of an area are there afterwards: asked for again, by whomever, none is a run."""
    log = tmp_path / "log"
    log.touch()
    for _ in range(2):
        assert client.warm("counted", (-180, -85, 180, 85), range(2), log=str(log)) == 1 + 4
    assert len(log.read_text().splitlines()) == 1 + 4


def test_a_tile_that_fails_ends_the_row(client: Any) -> None:
    """With its error."""
    with pytest.raises(UdfRaisedError):
        list(client.tiles("failing", (-180, -85, 180, 85), 2))


def test_tiles_are_asked_for_at_once(own: Running, make: Make, tmp_path: Path) -> None:
    """As many as the client may; whoever stops asks for no more."""
    log = tmp_path / "log"
    log.touch()
    client = make(own.url, own.private_token, concurrency=2)
    if isinstance(client, Client):
        row = client.tiles("counted", (-180, -85, 180, 85), 3, log=str(log))
        next(row)
        row.close()
    else:

        async def first() -> None:
            row = client.client.tiles("counted", (-180, -85, 180, 85), 3, log=str(log))
            await anext(row)
            await row.aclose()

        client.runner.run(first())
    assert 1 <= len(log.read_text().splitlines()) <= 4


@pytest.fixture(scope="module")
def second(own: Running) -> str:
    """Another account's private token."""
    return second_account(own)


def test_another_account_sees_nothing(own: Running, second: str, make: Make) -> None:
    """Of names and tokens; what is shared it may run."""
    other = make(own.url, second)
    assert (other.udfs(), other.tokens()) == ([], [])
    for ask in (other.udf, other.logs, other.clear, other.delete_udf, other.create_token):
        with pytest.raises(NotFoundError):
            ask("address")
    with pytest.raises(NotFoundError):
        other.token(own.token("address"))
    assert len(other.run(own.token("numbers"))) == 3


def test_defaults_are_this_machines(own: Running, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data directory's server and token; what Python shows of a client has no token in it."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(own.data))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    client = make()
    assert client.url == own.url
    assert client.udf("address").name == "address"
    assert own.private_token not in repr(client) + repr(vars(getattr(client, "client", client)))


def test_run_asks_from_outside(own: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function that UDFs call each other with, where no server runs it; what went wrong is a `CallError`."""
    monkeypatch.setattr("tileserver.authoring._connection", [])
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(own.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    assert run("numbers", count=2)["n"].tolist() == [0, 1]
    assert asyncio.run(run_async("address", tile=(3, 1, 2), cache_max_age="1h"))[:3, 0, 0].tolist() == [3, 1, 2]
    with pytest.raises(CallError) as caught:
        run("failing", tile=(1, 0, 0))
    assert caught.value.cause == "udf_raised"


def test_no_server() -> None:
    """One sentence, after a moment's patience; an address that is none at once."""
    with Client("http://127.0.0.1:1", "x") as client, pytest.raises(SetupError, match="no server answers"):
        client.udfs()
    with pytest.raises(SetupError, match="no token has") as caught:
        Client("http://127.0.0.1:1", "fpt_é\nx")
    assert "fpt_" not in str(caught.value)
    for url in ("http://", "http://[::1"):
        with pytest.raises(SetupError, match="http"):
            Client(url, "x")


class Busy(BaseHTTPRequestHandler):
    """Busy once, then no JSON."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.headers["authorization"] or "")
        busy = len(self.seen) == 1
        body = b'{"code": "busy", "detail": "Busy."}' if busy else b"[]"
        self.send_response(503 if busy else 200)
        if busy:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None: ...


def test_a_busy_server_is_asked_again(make: Make) -> None:
    """When it says; over a real connection."""
    Busy.seen.clear()
    with HTTPServer(("127.0.0.1", 0), Busy) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        assert make(f"http://127.0.0.1:{httpd.server_port}", "fpt_x").pages("/udf/self") == []
        httpd.shutdown()
        thread.join()
    assert Busy.seen == ["Bearer fpt_x"] * 2


def test_a_udf_with_no_token_says_so(client: Any) -> None:
    """In its record, and when it is run."""
    pushed = client.push(GREET, name="closed")
    client.disable_token(pushed.token)
    found: Udf = client.udf("closed")
    assert found.token is None
    assert "no enabled token" in repr(found)
    with pytest.raises(NotFoundError, match="no enabled token"):
        client.run(found)
    client.delete_udf(found)
