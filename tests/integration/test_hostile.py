"""What nobody sends who means well: each is answered in a moment, with one sentence, and costs nobody else anything."""

import json
import random
from urllib.parse import quote

import httpx
import pytest
from server import Running, raw

DEEP = quote("[" * 900 + "]" * 900)
QUERIES = [
    ("typed", "n=" + "9" * 5000),
    ("typed", "n=" + "9" * 3000),
    ("typed", f"n={2**64}"),
    ("typed", f"n=-{2**63 + 1}"),
    ("typed", "n=%D9%A3"),
    ("typed", "n=1e3"),
    ("typed", "n=1&maybe=1e999"),
    ("typed", "n=1&maybe=nan"),
    ("typed", "n=1&flag=maybe"),
    ("typed", "n=1&many=" + DEEP),
    ("typed", "n=1&mapping=" + DEEP),
    ("typed", "n=1&mapping=" + quote('{"a":' * 900 + "1" + "}" * 900)),
    ("typed", "n=1&mapping=" + quote('{"a":1e999}')),
    ("typed", "n=1&mapping=" + quote('{"a":"\\ud800"}')),
    ("typed", "n=1&many=" + quote("[123456789012345678901234567890]")),
    ("typed", "n=1&pair=1,2,3"),
    ("typed", "n=1&when=%00"),
    ("typed", "n=1&text=%FF"),
    ("typed", "n=1&text=%ED%A0%80"),
    ("typed", "&".join(f"a{number}=1" for number in range(300))),
    ("typed", "n=1&cache_max_age=-1"),
    ("typed", "n=1&cache_max_age=" + "9" * 5000),
    ("typed", "n=1&format=%00"),
    ("typed", "n=1&format=" + "x" * 9000),
    ("address", "tile_size=0x10"),
    ("address", "tile_size=99999"),
    ("address", "tile_size=²56"),
    ("address", "quality=1e9"),
    ("address", "rescale=nan,inf"),
    ("address", "rescale=-inf,inf"),
    ("address", "rescale=" + ",".join(map(str, range(2000)))),
    ("address", "bands=0"),
    ("address", "bands=" + "9" * 5000),
    ("address", "colormap=../../etc/passwd"),
    ("address", "colormap=" + DEEP),
    ("address", "colormap=" + quote('{"1":5}')),
]
LEAKS = ("Traceback", 'File "', "/site-packages/", "tileserver/", "line ", "int()", "sys.", "Error")


@pytest.mark.parametrize(("name", "query"), QUERIES)
def test_parameters_that_nobody_means(server: Running, name: str, query: str) -> None:
    """422 with one sentence; nothing of Python, of the server's files or of other tokens in it."""
    route = f"/tiles/{server.token(name)}/3/1/2" if name == "address" else f"/files/{server.token(name)}"
    extra = "&when=2024-03-20" if "when=" not in query else ""
    with server.client() as client:
        answer = client.get(f"{route}?{query}{extra}")
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid_parameter", "format_not_possible")
    assert not [leak for leak in LEAKS if leak in answer.json()["detail"]]
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("query", ["n=1&text=%00%0d%0aX:y", "n=1&text=" + "x" * 60_000, f"n={2**63}", "n=1&n=2&n=3"])
def test_odd_but_good_parameters(server: Running, query: str) -> None:
    """They arrive as they are."""
    with server.client() as client:
        answer = client.get(f"/files/{server.token('typed')}?when=2024-03-20&{query}")
    assert answer.status_code == 200
    assert "x" not in [name for name, _ in answer.headers.items()]


def request(path: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return b"\r\n".join((method + b" " + path + b" HTTP/1.1", *headers, b"Connection: close", b"", b""))


LOCAL = b"Host: localhost"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(b"/static/../app.py", LOCAL), 404),
        (request(b"/static/%2e%2e/app.py", LOCAL), 404),
        (request(b"/static/..%2fapp.py", LOCAL), 404),
        (request(b"/static//etc/passwd", LOCAL), 404),
        (request(b"/static/%00", LOCAL), 404),
        (request(b"/static/" + b"a" * 5000, LOCAL), 404),
        (request(b"/static/", LOCAL), 404),
        (request(b"/tiles/../server/v1/user/self", LOCAL), 404),
        (request(b"/tiles/x/../../server/v1/udf/self", LOCAL), 404),
        (request(b"/server/v1/realtime-shared/../user/self", LOCAL), 404),
        (request(b"/%73erver/v1/user/self", LOCAL), 401),
        (request(b"//evil.example/%2e%2e", LOCAL), 404),
        (request(b"*", LOCAL, method=b"OPTIONS"), 404),
        (request(b"/", b"Host: evil.example"), 403),
        (request(b"/openapi.json", b"Host: evil.example"), 403),
        (request(b"/static/map.js", b"Host: evil.example"), 403),
        (request(b"/server/v1/health", b"Host: evil.example"), 403),
        (request(b"/sign-in?code=x", b"Host: evil.example"), 403),
        (request(b"/", b"Host: localhost", b"Host: evil.example"), 403),
        (request(b"/"), 403),
        (request(b"/livez", b"Host: 10.0.0.1"), 200),
        (request(b"/sign-out", LOCAL, b"Content-Length: 0", b"Sec-Fetch-Site: cross-site", method=b"POST"), 403),
        (request(b"/sign-out", LOCAL, b"Content-Length: 0", b"Origin: http://localhost:3000", method=b"POST"), 403),
        (request(b"/server/v1/udf/new", LOCAL, b"Content-Length: 0", b"Origin: null", method=b"POST"), 403),
        (request(b"/\xff", LOCAL), 400),
        (b"FOO / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xa5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
def test_requests_that_nobody_sends(server: Running, sent: bytes, status: int) -> None:
    """A status of its own, and nothing of the server's inside."""
    head, _, body = raw(server, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert b"Traceback" not in body
    if status not in (200, 400):
        assert set(json.loads(body)) == {"code", "detail"}


BODIES = [
    b"",
    b"{",
    b"null",
    b"[" * 100_000,
    b"\xff",
    b'{"udf_slug": 5}',
    b'{"udf_slug": "\\ud800"}',
    b'{"udf_slug": "a\\u0000"}',
    b'{"udf_slug": "address", "metadata_json": {"a": 1e999}}',
    b'{"udf_slug": "address", "metadata_json": {"a": "' + b"x" * 64_000 + b'"}}',
    *[b'{"udf_slug": "address", "metadata_json": ' + b'{"a":' * n + b"1" + b"}" * n + b"}" for n in (60, 900, 5000)],
]


@pytest.mark.parametrize("body", BODIES)
def test_bodies_that_nobody_posts(server: Running, body: bytes) -> None:
    """4xx for the owner, and nothing was made."""
    with server.owner() as owner:
        before = owner.get("/server/v1/udf-access-token/self?limit=1000").json()
        answer = owner.post("/server/v1/udf-access-token/new", content=body)
        assert answer.status_code in (404, 422)
        assert owner.get("/server/v1/udf-access-token/self?limit=1000").json() == before


def test_a_body_that_is_too_large(server: Running) -> None:
    """422 before it is read to its end."""
    with server.owner() as owner:
        answer = owner.post("/server/v1/udf/new", content=b"x" * (33 * 2**20))
    assert answer.status_code == 422
    assert "larger than" in answer.json()["detail"]


@pytest.mark.parametrize(
    "code",
    [
        '@udf\ndef f(n="\\ud800"): return {"n": n}',
        '@udf\ndef f():\n    """\\ud800"""\n    return {"a": 1}',
        "@udf\ndef f(n=2**70): return {'n': str(n)}",
        "@udf\ndef f(n=1e999): return {'n': str(n)}",
        "@udf\ndef f(): raise ValueError('\\ud800')",
        "@udf\ndef f(): return {'n': 2**70}",
        "@udf\ndef f(): return [[]] * 3",
        "import sys\n@udf\ndef f():\n    a = []\n    for _ in range(5000): a = [a]\n    return a",
        "class R:\n    @property\n    def __class__(self): raise KeyError\n@udf\ndef f(): return R()",
    ],
)
def test_functions_that_nobody_writes(server: Running, code: str) -> None:
    """Published and run, or refused; a failure is the function's own, and its owner reads why."""
    with server.owner() as owner, server.client() as client:
        posted = {"slug": "odd", "udf_body": json.dumps({"code": "from tileserver import udf\n" + code})}
        saved = owner.post("/server/v1/udf/new", json=posted)
        assert saved.status_code == 200, saved.text
        token = owner.post("/server/v1/udf-access-token/new", json={"udf_id": saved.json()["id"]}).json()["token"]
        answer, known = client.get(f"/files/{token}"), owner.get(f"/files/{token}")
        assert answer.status_code in (200, 422), known.text
        assert client.get(f"/tiles/{token}/tilejson.json").status_code == 200
        assert client.get(f"/tiles/{token}/map").status_code == 200
        assert owner.delete(f"/server/v1/udf/by-id/{saved.json()['id']}").status_code == 200


def test_a_thousand_damaged_requests(server: Running) -> None:
    """Never a 5xx, never a dead server; the first good one afterwards is answered."""
    chance = random.Random(2)
    good = [
        f"/tiles/{server.token('address')}/3/1/2@2x.png?a=1&v=2",
        f"/files/{server.token('typed')}?n=1&when=2024-03-20",
        f"/tiles/{server.token('corners')}/map",
        "/server/v1/udf/self?skip=1&limit=2",
        "/static/map.js",
        "/sign-in?code=x",
    ]
    signs = "/.@%x0129-+e&=?;#\"'<>\\"
    with server.client() as client:
        for _ in range(1000):
            letters = list(chance.choice(good))
            for _ in range(chance.randint(1, 4)):
                place = chance.randrange(len(letters))
                letters[place : place + chance.randint(0, 3)] = chance.choice(signs) * chance.randint(0, 2)
            try:
                answer = client.get("/" + "".join(letters).lstrip("/"))
            except httpx.InvalidURL:
                continue
            assert answer.status_code < 500, "".join(letters)
            assert "Traceback" not in answer.text[:10_000]
        assert client.get(f"/tiles/{server.token('address')}/3/1/2.png").status_code == 200
    assert not [line for line in server.lines if "Traceback" in line]
