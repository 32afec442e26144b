"""DESIGN's "Rules that every tile answer keeps", sentence by sentence, on a real server."""

import contextlib
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from server import Running, raw

from tileserver import processes

CORS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "ETag, Retry-After, Server-Timing, Cache-Status, Age, X-Tile-Changes",
}


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


def pixels(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


# Parameters


def test_parameters_come_from_the_query_string(server: Running, client: httpx.Client) -> None:
    """Bound against the signature; the last counts, a list collects; unknown names change nothing."""
    url = f"/files/{server.token('typed')}?when=2024-03-20"
    answer = client.get(f"{url}&n=1&n=2&many=1&many=2&unknown=5&flag=TRUE").json()
    assert (answer["n"], answer["many"], answer["flag"]) == ("2", "[1, 2]", "True")
    first = client.get(f"{url}&n=1")
    again = client.get(f"{url}&n=1&unknown=6&_private=7&v=8&cache_reset=9")
    assert "detail=memory" in again.headers["cache-status"]
    assert first.headers["etag"] == again.headers["etag"]


@pytest.mark.parametrize(
    "query",
    [
        "n=x",
        "n=1.5",
        "n=",
        "n=1&when=soon",
        "n=1&pair=1",
        "n=1&mapping=[]",
        "n=1&choice=c",
        "n=1&maybe=x",
        "n=1&flag=2",
    ],
)
def test_what_does_not_convert_is_a_422_that_names_it(server: Running, client: httpx.Client, query: str) -> None:
    """Code, one sentence, the name; nothing of the value."""
    answer = client.get(f"/files/{server.token('typed')}?when=2024-03-20&{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_parameter"
    assert f"'{query.split('&')[-1].partition('=')[0]}'" in answer.json()["detail"]
    assert set(answer.json()) == {"code", "detail"}


def test_what_a_tile_injects_cannot_be_set(server: Running, client: httpx.Client) -> None:
    """x, y and z are the address's, on tile routes."""
    answer = client.get(f"/tiles/{server.token('address')}/5/3/4.png?x=9&y=9&z=9&tile=1/1/1")
    assert pixels(answer.content)[0, 0].tolist() == [5, 3, 4, 255]


def test_output_options_are_part_of_the_key(server: Running, client: httpx.Client) -> None:
    """Another range, band or quality is another picture, and the first is still there."""
    url = f"/tiles/{server.token('address')}/6/1/2"
    tags = [
        client.get(url + q).headers["etag"]
        for q in (".png", ".png?rescale=0,9", ".png?bands=1", ".jpg?quality=5", ".jpg")
    ]
    assert len(set(tags)) == 5
    assert client.get(url + ".png").headers["etag"] == tags[0]


# Format


def test_the_extension_goes_before_the_query_before_the_kind(server: Running, client: httpx.Client) -> None:
    """Extension, `format`, `dtype_out_raster`, kind; aliases share the entry."""
    url = f"/tiles/{server.token('address')}/7/5/6"
    kinds = [
        client.get(url + end).headers["content-type"]
        for end in (".webp?format=png", "?format=jpg&dtype_out_raster=png", "?dtype_out_raster=webp", "")
    ]
    assert kinds == ["image/webp", "image/jpeg", "image/webp", "image/png"]
    assert "hit" in client.get(url + ".jpeg").headers["cache-status"]
    assert (
        client.get(f"/tiles/{server.token('features')}/3/4/3").headers["content-type"]
        == "application/vnd.mapbox-vector-tile"
    )


@pytest.mark.parametrize(
    "end", [".mvt", ".csv", "?format=parquet", ".zip", "?format=nonsense", "?dtype_out_raster=mvt"]
)
def test_a_format_that_the_kind_cannot_give(server: Running, client: httpx.Client, end: str) -> None:
    """422 `format_not_possible`, saying which can."""
    answer = client.get(f"/tiles/{server.token('address')}/7/5/6{end}")
    assert (answer.status_code, answer.json()["code"]) == (422, "format_not_possible")
    assert "png, jpg, webp" in answer.json()["detail"]


# Nothing there


def test_nothing_is_a_picture_a_204_or_a_collection(server: Running, client: httpx.Client) -> None:
    """As the format has it, whether the function found nothing or was not asked; 404 where the client overzooms."""
    token = server.token("features")
    for tile in ("3/5/3", "3/0/0"):
        vector = client.get(f"/tiles/{token}/{tile}.mvt")
        assert (vector.status_code, vector.content) == (204, b"")
        assert client.get(f"/tiles/{token}/{tile}.geojson").json() == {"type": "FeatureCollection", "features": []}
        assert client.get(f"/tiles/{token}/{tile}.mvt?empty=404").status_code == 404
    assert client.get(f"/tiles/{token}/3/4/3.mvt?empty=404").status_code == 200
    jpeg = client.get(f"/tiles/{server.token('nothing')}/3/0/0@2x.jpg")
    assert pixels(jpeg.content).shape == (512, 512, 4)
    assert (pixels(jpeg.content)[..., :3] > 250).all()


def test_outside_zooms_and_bounds_no_worker_runs(server: Running, client: httpx.Client) -> None:
    """Even where the function would fail."""
    for tile in ("1/0/0", "9/1/1", "3/0/0"):
        answer = client.get(f"/tiles/{server.token('nothing')}/{tile}.png")
        assert answer.status_code == 200
        assert "detail=outside" in answer.headers["cache-status"]


# Caching by others


@pytest.mark.parametrize(
    ("query", "seconds"), [("", [60]), ("?cache_max_age=9", range(10)), ("?v=old", [60]), ("?v={v}", [86400])]
)
def test_how_long_others_may_keep_a_tile(
    server: Running, client: httpx.Client, query: str, seconds: Sequence[int]
) -> None:
    """A minute, or what is left of the entry; a day with the current `v`, which the templates give out.

    `max-age` counts from when it was made, as `Age` does: a cache takes one from the other (RFC 9111, section 4.2).
    """
    token = server.token("address")
    template = client.get(f"/tiles/{token}/tilejson.json").json()["tiles"][0]
    url = f"/tiles/{token}/8/5/6.png{query.format(v=httpx.URL(template).params['v'])}"
    for _ in range(2):
        answer = client.get(url)
        scope, _, age = answer.headers["cache-control"].partition(", max-age=")
        assert scope == "private"
        assert int(age) - int(answer.headers["age"]) in seconds


def test_what_is_not_kept_is_kept_by_nobody(server: Running, client: httpx.Client) -> None:
    """As who asks says."""
    url = f"/tiles/{server.token('address')}/8/5/6.png?cache_max_age=0"
    assert client.get(url).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("end", ["9/1/2.png", "9/1/2.jpg", "9/1/2@2x.webp"])
def test_a_validator_is_answered_from_the_cache(server: Running, client: httpx.Client, end: str) -> None:
    """304 with the headers of the 200, without a body; another validator gets the tile."""
    url = f"/tiles/{server.token('address')}/{end}"
    first = client.get(url)
    for _ in range(3):
        unchanged = client.get(url, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert "hit" in unchanged.headers["cache-status"]
        for name in ("etag", "cache-control", "vary"):
            assert unchanged.headers[name] == first.headers[name] or name == "cache-control"
        assert "content-type" not in unchanged.headers
        assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("end", ["10/1/2.png", "10/1/2.png?cache_max_age=0", "10/0/0.png"])
def test_every_tile_says_where_it_came_from(server: Running, client: httpx.Client, end: str) -> None:
    """Age, Cache-Status and Server-Timing, on the first answer, from memory, and as it was just sent."""
    for _ in range(3):
        answer = client.get(f"/tiles/{server.token('address')}/{end}")
        assert int(answer.headers["age"]) >= 0
        assert answer.headers["cache-status"].startswith("tileserver; ")
        assert "lookup;dur=" in answer.headers["server-timing"]


# Compression


def test_text_is_sent_gzipped_to_who_takes_it(server: Running) -> None:
    """One ETag for each coding, Vary on both, and the same content."""
    for url in (
        f"/tiles/{server.token('features')}/4/8/7.mvt",
        f"/files/{server.token('numbers')}.csv",
        f"/files/{server.token('page')}",
    ):
        coded = exchange(server, url, "Accept-Encoding: br, gzip;q=0.5")
        for refusing in ("", "Accept-Encoding: identity", "Accept-Encoding: gzip;q=0, *;q=0.1"):
            plain = exchange(server, url, refusing)
            assert plain[1] == gzip.decompress(coded[1])
            assert b"content-encoding" not in plain[0]
            assert tag(plain[0]) != tag(coded[0])
        assert b"content-encoding: gzip" in coded[0]
        assert b"vary: Accept-Encoding" in coded[0]


def tag(head: bytes) -> bytes:
    return head.partition(b"etag: ")[2].partition(b"\r\n")[0]


def exchange(server: Running, url: str, *headers: str, method: str = "GET") -> tuple[bytes, bytes]:
    """Head and body as they are on the wire."""
    lines = [f"{method} {url} HTTP/1.1", "Host: localhost", "Connection: close", *filter(None, headers)]
    head, _, body = raw(server, ("\r\n".join(lines) + "\r\n\r\n").encode()).partition(b"\r\n\r\n")
    return head, body


# HEAD, OPTIONS, CORS

ROUTES = [
    ("tiles", "3/1/2.png", 200),
    ("tiles", "3/1/2.png", 304),
    ("features", "3/0/0.mvt", 204),
    ("failing", "3/1/2.png", 422),
    ("address", "3/1/2.mvt", 422),
    ("address", "31/0/0.png", 404),
    ("address", "nonsense", 404),
    ("address", "tilejson.json", 200),
    ("corners", "metadata.json", 200),
    ("", "3/1/2.png", 404),
    ("", "tilejson.json", 404),
    ("", "map", 404),
]


@pytest.mark.parametrize(("name", "end", "status"), ROUTES)
def test_any_page_may_read_token_routes(
    server: Running, client: httpx.Client, name: str, end: str, status: int
) -> None:
    """CORS `*` without credentials on every answer: tile, empty, 304, error, sibling; with HEAD and OPTIONS too."""
    token = server.token("address" if name == "tiles" else name) if name else "fsh_" + "x" * 43
    url = f"/tiles/{token}/{end}"
    first = client.get(url)
    headers = {"Origin": "https://other.example"} | ({"If-None-Match": first.headers["etag"]} if status == 304 else {})
    answer = client.get(url, headers=headers)
    assert answer.status_code == status
    head = client.head(url, headers=headers)
    assert (head.status_code, head.content) == (status, b"")
    options = client.options(url, headers=headers | {"Access-Control-Request-Method": "GET"})
    assert (options.status_code, options.content) == (204, b"")
    assert "Authorization" in options.headers["access-control-allow-headers"]
    assert options.headers["access-control-allow-private-network"] == "true"
    for each in (answer, head, options):
        assert {key: each.headers.get(key) for key in CORS} == CORS
        assert "access-control-allow-credentials" not in each.headers
    for key in ("content-type", "content-length"):
        assert head.headers.get(key) == answer.headers.get(key)


def test_hosted_routes_and_files_have_the_same(server: Running, client: httpx.Client) -> None:
    """Both spellings of every address."""
    token = server.token("address")
    for url in (
        f"/server/v1/realtime-shared/{token}/run/tiles/3/1/2",
        f"/server/v1/realtime-shared/{token}/run/tiles/metadata.json",
        f"/server/v1/realtime-shared/{token}/run/tiles/tilejson.json",
        "/server/v1/realtime-shared/x/run",
        f"/files/{server.token('numbers')}",
        "/files/x.csv",
    ):
        for answer in (client.get(url), client.options(url)):
            assert {key: answer.headers.get(key) for key in CORS} == CORS


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(server: Running, client: httpx.Client, method: str) -> None:
    """With what is allowed, as JSON, readable by pages."""
    answer = client.request(method, f"/tiles/{server.token('address')}/3/1/2.png")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert set(answer.json()) == {"code", "detail"}
    assert answer.headers["access-control-allow-origin"] == "*"


def test_other_routes_are_for_our_own_pages(server: Running) -> None:
    """No CORS where a session or a private token counts."""
    with server.owner() as owner:
        for url in ("/", "/server/v1/user/self", "/server/v1/udf/self", "/nonsense"):
            assert "access-control-allow-origin" not in owner.get(url, headers={"Origin": "https://a.example"}).headers


# Errors


@pytest.mark.parametrize(("name", "end", "status"), [each for each in ROUTES if each[2] >= 400])
def test_errors_are_never_kept(server: Running, client: httpx.Client, name: str, end: str, status: int) -> None:
    """Code and one sentence, `no-store`, no validator; the same again."""
    url = f"/tiles/{server.token(name) if name else 'fsh_' + 'x' * 43}/{end}"
    one, two = client.get(url), client.get(url)
    assert one.json() == two.json()
    assert set(one.json()) == {"code", "detail"}
    assert one.json()["detail"].endswith((".", "webp"))
    assert one.headers["cache-control"] == "no-store"
    assert "etag" not in one.headers


def test_unknown_disabled_and_deleted_are_one(server: Running) -> None:
    """The same 404 with the same body and headers on every kind of address; for what was cached, too."""
    with server.client() as client, server.owner() as owner:
        made = owner.post("/server/v1/udf-access-token/new", json={"udf_slug": "address"}).json()["token"]
        manage = f"/server/v1/udf-access-token/by-token/{made}"
        ends = (
            "/tiles/{}/11/1/1.png",
            "/tiles/{}/tilejson.json",
            "/tiles/{}/map",
            "/files/{}.png",
            "/tiles/{}/1/0/0.mvt",
        )
        for end in ends:
            client.get(end.format(made))

        def seen(token: str) -> list[tuple[int, bytes, list[tuple[str, str]]]]:
            answers = [client.get(end.format(token)) for end in ends]
            return [(each.status_code, each.content, each.headers.multi_items()) for each in answers]

        owner.post(manage, json={"enabled": False})
        disabled = seen(made)
        owner.delete(manage)
        assert disabled == seen(made) == seen("fsh_" + "u" * 43)
        assert {each[0] for each in disabled} == {404}


# What a UDF made is not ours


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/plain"])
def test_bodies_that_a_function_wrote_are_sandboxed(server: Running, client: httpx.Client, media_type: str) -> None:
    """They may run scripts, in an origin of their own; on every route, and on HEAD."""
    token = server.token("ready")
    for url in (f"/files/{token}", f"/tiles/{token}/1/0/0", f"/server/v1/realtime-shared/{token}/run"):
        answer = client.get(url, params={"media_type": media_type})
        assert answer.headers["content-type"].startswith(media_type)
        assert answer.headers["content-security-policy"] == "sandbox allow-scripts"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.head(url).headers["content-security-policy"] == "sandbox allow-scripts"


@pytest.mark.parametrize("media_type", ["text/html\r\nX-Evil: 1", "text/html;\0", "", "nonsense"])
def test_a_function_sets_no_header(server: Running, client: httpx.Client, media_type: str) -> None:
    """What is no media type is the function's own error, told to its owner."""
    answer = client.get(f"/files/{server.token('ready')}", params={"media_type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (422, "udf_raised")
    assert "x-evil" not in answer.headers


# Public addresses


def test_addresses_follow_host_where_it_is_ours(server: Running, client: httpx.Client) -> None:
    """A name that is not allowed gets into no document; forwarded headers from anybody do not count."""
    url = f"/tiles/{server.token('address')}/tilejson.json"
    own = urlsplit(server.url).netloc
    for host, shown in (("localhost:1234", "localhost:1234"), ("evil.example", own), ('"<x>', own)):
        forwarded = {"Host": host, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
        document = client.get(url, headers=forwarded).json()
        assert urlsplit(document["tiles"][0])[:2] == ("http", shown)


def test_names_are_text_wherever_they_go(server: Running, client: httpx.Client) -> None:
    """A format or parameter in the query gets into documents escaped, and into no header."""
    token = server.token("address")
    answer = client.get(f"/tiles/{token}/tilejson.json", params={"a": '"</script>\r\nX: y', "format": "png"})
    assert json.loads(answer.text)["tiles"][0].count("\n") == 0
    page = client.get(f"/tiles/{token}/map", params={"a": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in page.text


def test_the_data_directory_is_its_users_only(server: Running) -> None:
    """No file and no folder in it can be read by others."""
    for place in [server.data, *server.data.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):  # it was on its way
            assert not place.stat().st_mode & 0o077, place


def test_no_secret_is_where_others_look(server: Running, client: httpx.Client) -> None:
    """Not in arguments, not in the environment of any process, not in the log."""
    secrets = [
        server.private_token.encode(),
        (server.data / "master.key").read_bytes(),
        server.token("failing").encode(),
    ]
    client.get(f"/tiles/{server.token('failing')}/5/1/2.png")
    pids = processes.tree([server.process.pid])
    seen = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # a worker that has just ended
            seen += [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    seen += [file.read_bytes() for file in (server.data / "logs").iterdir()]
    assert len(pids) > 1
    assert not [secret for secret in secrets if any(secret in each for each in seen)]
