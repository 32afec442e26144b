"""Tiles over HTTP: what is drawn, what the headers say, what is refused."""

import gzip
import io
import json

import mapbox_vector_tile
import numpy as np
import pytest
import rasterio
from PIL import Image
from server import Running, raw

from tileserver.tiles import Tile


def pixels(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


@pytest.mark.parametrize(
    ("suffix", "size"), [("", 256), ("@2x", 512), ("@3x.png", 768), ("%402x.webp", 512), (".png?tile_size=512", 512)]
)
def test_sizes(server: Running, suffix: str, size: int) -> None:
    """The scale and `tile_size` set the pixels of the side."""
    with server.client() as client:
        answer = client.get(f"/tiles/{server.token('address')}/3/1/2{suffix}")
    assert Image.open(io.BytesIO(answer.content)).size == (size, size)


@pytest.mark.parametrize(
    ("extension", "media_type"),
    [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("avif", "image/avif"),
    ],
)
def test_images(server: Running, extension: str, media_type: str) -> None:
    """The media type follows the extension, and the picture is that."""
    with server.client() as client:
        answer = client.get(f"/tiles/{server.token('address')}/3/1/2.{extension}")
    assert answer.headers["content-type"] == media_type
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)


def test_values_for_who_computes(server: Running) -> None:
    """As they were returned: npy, and a GeoTIFF that lies where the tile does."""
    tile = Tile(3, 1, 2)
    with server.client() as client:
        array = np.load(io.BytesIO(client.get(f"/tiles/{server.token('address')}/3/1/2@2x.npy").content))
        tiff = client.get(f"/tiles/{server.token('address')}/3/1/2.tif").content
    assert (array.shape, array.dtype) == ((4, 512, 512), np.uint8)
    assert array[:, 0, 0].tolist() == [3, 1, 2, 255]
    with rasterio.MemoryFile(tiff) as file, file.open() as found:
        assert found.crs.to_epsg() == 3857 and found.bounds == pytest.approx(tile.bounds_3857)
        assert found.read()[:, 9, 9].tolist() == [3, 1, 2, 255]


def test_how_a_picture_looks_is_in_the_key(server: Running) -> None:
    """An answer of another quality, colour map or gamma is another answer; what is no such thing is refused."""
    queries = (
        "jpg?quality=5", "jpg?quality=95", "webp?quality=5", "webp?lossless=true", "png?bands=2&colormap=magma",
        "png?bands=2&colormap=viridis", "png?gamma=2", "png",
    )  # fmt: skip
    with server.client() as client:
        url = f"/tiles/{server.token('address')}/8/77/33."
        assert len({client.get(url + query).headers["etag"] for query in queries}) == len(queries)
        assert "hit" in client.get(url + "png?gamma=2.0").headers["cache-status"]
        assert np.array_equal(
            pixels(client.get(url + "png?compression=smallest").content), pixels(client.get(url + "png").content)
        )
        for query in ("png?gamma=0", "webp?lossless=perhaps", "png?compression=best", "png?bands=2&colormap=[1]"):
            assert client.get(url + query).status_code == 422


def test_the_legend_is_in_the_tilejson(server: Running) -> None:
    """Of a raster with a colour map."""
    with server.client() as client:
        url = f"/tiles/{server.token('address')}/tilejson.json"
        assert "legend" not in client.get(url).json()
        document = client.get(url, params={"colormap": '[[0,"navy"],[9,"#fff"]]', "bands": "1"}).json()
        assert document["legend"] == {"stops": [[0, "navy"], [9, "#fff"]]}
        assert client.get(document["tiles"][0].format(z=9, x=1, y=1)).status_code == 200
        legend = client.get(url, params={"colormap": "magma", "rescale": "3,4"}).json()["legend"]
        assert legend == {"name": "magma", "range": [3, 4]}


def test_vector_tiles(server: Running) -> None:
    """Geometry covers the tile, attributes are exact, None is left out."""
    with server.client() as client:
        answer = client.get(f"/tiles/{server.token('corners')}/6/33/21.mvt?wide=1")
    decoded = mapbox_vector_tile.decode(answer.content)["corners"]["features"]
    assert [each["properties"] for each in decoded] == [
        {"name": "square", "zoom": 6, "ratio": 0.5, "is_wide": True},
        {"name": "middle", "zoom": 6, "is_wide": True},
    ]
    assert decoded[1]["geometry"]["coordinates"] == pytest.approx([2048, 2048], abs=1)


def test_validators_and_304(server: Running) -> None:
    """A client that has the tile gets 304 without a body, from the cache."""
    url = f"/tiles/{server.token('address')}/7/1/1.png"
    with server.client() as client:
        first = client.get(url)
        again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["access-control-allow-origin"] == "*"
        assert "tileserver; fwd=miss" in first.headers["cache-status"]
        assert "tileserver; hit" in again.headers["cache-status"]
        assert first.headers["cache-control"].startswith("private, max-age=")
        for part in ("lookup", "queue", "udf", "encode"):
            assert part in first.headers["server-timing"]


def test_one_validator_for_each_coding(server: Running) -> None:
    """Without gzip the bytes are another representation, with another ETag."""
    url = f"/tiles/{server.token('corners')}/4/1/1.mvt"
    with server.client() as client:
        coded = client.get(url, headers={"Accept-Encoding": "gzip"})
        plain = client.get(url, headers={"Accept-Encoding": "identity"})
    assert coded.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert coded.content == plain.content
    assert coded.headers["etag"] != plain.headers["etag"]
    assert "Accept-Encoding" in coded.headers["vary"]


def test_head_and_options(server: Running) -> None:
    """HEAD is GET without the body; OPTIONS is 204 and allows Authorization."""
    url = f"/tiles/{server.token('address')}/7/2/1.png"
    with server.client() as client:
        head, get = client.head(url), client.get(url)
        assert head.content == b""
        assert head.headers["content-length"] == str(len(get.content))
        options = client.options(url, headers={"Access-Control-Request-Private-Network": "true"})
    assert options.status_code == 204
    assert "Authorization" in options.headers["access-control-allow-headers"]
    assert options.headers["access-control-allow-private-network"] == "true"


def test_empty_answers(server: Running) -> None:
    """Nothing there: a transparent image of the size, or the background for JPEG; 404 where asked for."""
    token = server.token("nothing")
    with server.client() as client:
        for tile in ("3/4/3", "9/1/1", "3/0/0"):
            answer = client.get(f"/tiles/{token}/{tile}@2x.png")
            assert answer.status_code == 200
            image = pixels(answer.content)
            assert image.shape == (512, 512, 4)
            assert not image[..., 3].any()
            assert client.get(f"/tiles/{token}/{tile}.png?empty=404").status_code == 404
            assert (pixels(client.get(f"/tiles/{token}/{tile}.jpg").content)[..., :3] > 250).all()


@pytest.mark.parametrize(
    "path",
    [
        "31/0/0",
        "-1/0/0",
        "0/1/0",
        "0/0/1",
        "3/8/0",
        "1e3/0/0",
        "01/0/0",
        "+1/0/0",
        "1/0/0.0",
        "3/1/2@5x",
        "3/1/2@1x.png",
        "3/1/2.",
        "3/1/%32",
        "3/1%2f2",
        "3/1/2%00",
        "../3/1/2",
        "3/1/../2",
        "%D9%A3/1/2",
        "9" * 5000 + "/0/0",
        "3/1/" + "1" * 5000,
        "3/1/2/",
        "3/1",
        "",
    ],
)
def test_what_is_no_tile_is_404(server: Running, path: str) -> None:
    """Malformed addresses never reach a worker and never show a traceback."""
    request = f"GET /tiles/{server.token('address')}/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = raw(server, request.encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404")
    assert json.loads(body)["code"] == "not_found"
    assert b"access-control-allow-origin: *" in head


def test_parameters_that_do_not_convert_are_named(server: Running) -> None:
    """422 with the name, the same for strangers."""
    with server.client() as client:
        answer = client.get(f"/files/{server.token('numbers')}.json?count=many")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_parameter"
    assert "'count'" in answer.json()["detail"]
    assert answer.headers["cache-control"] == "no-store"


def test_conversions_by_annotation(server: Running) -> None:
    """Each parameter arrives as the type that its annotation says."""
    query = "n=3&when=2024-03-20T12:00:00Z&pair=2,b&many=4&many=5&mapping=%7B%22a%22:1%7D&choice=b&maybe=2&flag=1"
    with server.client() as client:
        answer = client.get(f"/files/{server.token('typed')}?{query}")
    assert answer.json() == {
        "n": "3",
        "when": "datetime.datetime(2024, 3, 20, 12, 0, tzinfo=datetime.timezone.utc)",
        "pair": "(2, 'b')",
        "many": "[4, 5]",
        "mapping": "{'a': 1}",
        "choice": "'b'",
        "maybe": "2.0",
        "flag": "True",
        "text": "'t'",
    }


def test_a_format_that_cannot_be(server: Running) -> None:
    """422 that says which can."""
    with server.client() as client:
        answer = client.get(f"/tiles/{server.token('address')}/3/1/2.mvt")
    assert (answer.status_code, answer.json()["code"]) == (422, "format_not_possible")
    assert "png" in answer.json()["detail"]


def test_what_a_function_said_goes_to_its_owner_only(server: Running) -> None:
    """A stranger reads one sentence; the owner message, line and printed output."""
    url = f"/tiles/{server.token('failing')}/3/1/2.png"
    with server.client() as stranger, server.owner() as owner:
        told, known = stranger.get(url), owner.get(url)
    assert told.status_code == known.status_code == 422
    assert told.json() == {"code": "udf_raised", "detail": known.json()["detail"]}
    assert "secret" not in told.text
    assert "the secret is 42" in known.json()["message"]
    assert known.json()["line"] == 11
    assert "about to fail" in known.json()["printed"]


@pytest.mark.parametrize("how", ["type", "shape"])
def test_a_wrong_result_says_what_may_be_returned(server: Running, how: str) -> None:
    """The owner reads what was returned and what may be."""
    with server.owner() as owner:
        body = owner.get(f"/tiles/{server.token('failing')}/3/1/3.png?how={how}").json()
    assert body["code"] == "bad_result"
    assert "return" in body["message"]


def test_what_only_running_tells(server: Running) -> None:
    """Computed options and defaults come from a worker, the sibling module with them."""
    with server.client() as client:
        token = server.token("computed")
        assert (pixels(client.get(f"/tiles/{token}/4/1/1.png").content)[..., 0] == 8).all()
        assert client.get(f"/tiles/{token}/tilejson.json").json()["maxzoom"] == 4


def test_tables(server: Running) -> None:
    """CSV, JSON and Parquet of the same table."""
    token = server.token("numbers")
    with server.client() as client:
        assert client.get(f"/files/{token}.csv").text.split() == ["n,value", "0,0.5", "1,1.5", "2,2.5"]
        assert client.get(f"/files/{token}.json?count=1").json() == [{"n": 0, "value": 0.5}]
        assert client.get(f"/files/{token}").content[:4] == b"PAR1"
        hosted = client.get(f"/server/v1/realtime-shared/{token}/run/file?dtype_out_vector=parquet")
        assert hosted.headers["content-type"] == "application/octet-stream"


def test_pages_of_functions_are_sandboxed(server: Running) -> None:
    """HTML that a function wrote cannot act in our origin's name."""
    with server.client() as client:
        answer = client.get(f"/files/{server.token('page')}?name=you")
    assert answer.text == "<h1>Hello you</h1>"
    assert answer.headers["content-security-policy"] == "sandbox allow-scripts"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_tilejson(server: Running) -> None:
    """TileJSON 3.0.0 whose template leads to a tile, with the vector layer's fields."""
    token = server.token("corners")
    with server.client() as client:
        client.get(f"/tiles/{token}/0/0/0")
        document = client.get(f"/tiles/{token}/tilejson.json?wide=true").json()
        assert document["tilejson"] == "3.0.0"
        hosted = f"/server/v1/realtime-shared/{token}/run/tiles/tilejson.json?wide=true"
        assert client.get(hosted).json() == document
        assert document["vector_layers"][0]["id"] == "corners"
        assert document["vector_layers"][0]["fields"]["name"] == "String"
        url = document["tiles"][0].format(z=3, x=1, y=2)
        assert "wide=true" in url
        answer = client.get(url)
        assert answer.headers["cache-control"] == f"private, max-age={86400 + int(answer.headers['age'])}"
        assert gzip.decompress(gzip.compress(answer.content)) == answer.content
        stats = client.get(f"/tiles/{token}/metadata.json").json()["tilestats"]
        assert stats["layers"][0]["layer"] == "corners"


def test_long_and_endless_requests(server: Running) -> None:
    """A request line or headers over 64 kB are refused, and others do not notice."""
    assert raw(server, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 414")
    headers = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"".join(
        b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(200)
    )
    assert raw(server, headers + b"\r\n")[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 414")
    with server.client() as client:
        assert client.get("/livez").status_code == 200


def test_who_asks_says_how_old_an_answer_may_be(server: Running) -> None:
    """`cache_max_age=0` neither takes nor stores, whatever others stored; a longer one takes what is there."""
    url = f"/tiles/{server.token('address')}/8/8/8.png"
    with server.client() as client:
        for query, status in (("", "miss"), ("", "hit"), ("?cache_max_age=0", "miss"), ("?cache_max_age=1h", "hit")):
            answer = client.get(url + query)
            assert status in answer.headers["cache-status"], query
            assert ("no-store" in answer.headers["cache-control"]) == ("=0" in query)


@pytest.mark.parametrize("name", ["twin_a", "twin_b"])
def test_metadata_wait_for_what_a_run_tells(server: Running, name: str) -> None:
    """Two files with the same text are two layers; the first question for metadata knows kind and fields of each."""
    with server.client() as client:
        document = client.get(f"/tiles/{server.token(name)}/tilejson.json").json()
    assert document["vector_layers"][0]["fields"] == {"zoom": "Number"}
    assert ".mvt?" in document["tiles"][0]
