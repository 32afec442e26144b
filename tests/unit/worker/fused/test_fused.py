"""The names of `fused` in a worker: what runs here, what is asked of the server, and what is not there."""

import asyncio
import base64
import http.server
import io
import pickle
import sys
import threading
import types
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import geopandas
import mercantile
import pandas
import pytest
import shapely

from tileserver import authoring, functioncache
from tileserver.errors import CallError
from tileserver.jobs import Call, Fetch, Source
from tileserver.signature import parse
from tileserver.tiles import Tile
from tileserver.worker import fused, program
from tileserver.worker.fused import loaded, secret


class Server:
    """Answers calls with what was asked, and requests for code out of a dict."""

    def __init__(self) -> None:
        self.asked: list[Call] = []
        self.codes: dict[str, tuple[str, dict[str, str]]] = {}

    def ask(self, request: Call | Fetch) -> "Future[Any]":
        future: Future[Any] = Future()
        if isinstance(request, Fetch) and request.name not in self.codes:
            future.set_exception(CallError(f"'{request.name}': there is no UDF of this name", cause="not_found"))
        elif isinstance(request, Fetch):
            code, headers = self.codes[request.name]
            udf = parse(code, file="loaded.py", headers=headers)
            source = Source(
                digest=udf.digest, name=request.name, code=code, entry=udf.entry, headers=headers, fused=udf.fused
            )
            future.set_result(source)
        elif request.name == "fails":
            future.set_exception(CallError("'fails' failed", cause="udf_raised"))
        else:
            self.asked.append(request)
            future.set_result({name: texts[0] for name, texts in request.arguments.items()})
        return future


@pytest.fixture(autouse=True)
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server()
    authoring.connect(server.ask)
    functioncache.keep_in(functioncache.Store(tmp_path / "cache", 10**8))
    yield server
    functioncache.keep_in(None)
    authoring._connection.clear()
    loaded._loaded.cache_clear()


@fused.udf
def double(n: int, bounds: fused.types.Bounds = None):
    """Something to run."""
    return [n * 2, bounds]


def undecorated(n, **more):
    """No decorator is needed to run it here."""
    return [n, more]


def test_run_by_name(server: Server) -> None:
    """Every spelling of the SDK's versions comes to the same call."""
    told = fused.run("child", n=1, flag=True, names=["a"], none=None, engine="remote", max_retry=3, _log=True)
    assert told == {"n": "1", "flag": "true", "names": '["a"]'}
    fused.run("a@b", "child")
    fused.run(udf_email="a@b", udf_name="child")
    fused.run("a@b/child", parameters={"n": 2})
    fused.run(token="fsh_x", cache=False)
    fused.run("child", x=1, y=2, z=3, cache_max_age="1h")
    fused.run("child", tile=mercantile.Tile(1, 2, 3), type="tile")
    fused.run("child", tile=(3, 1, 2))
    names = [call.name for call in server.asked]
    assert names == ["child", "a@b/child", "a@b/child", "a@b/child", "fsh_x", "child", "child", "child"]
    assert [call.max_age for call in server.asked[3:6]] == [None, 0, 3600]
    assert {call.tile for call in server.asked[5:]} == {(3, 1, 2)}
    assert all(call.lenient for call in server.asked)


def test_run_later(server: Server) -> None:
    """Coroutines, of names and of objects."""

    async def main() -> list[Any]:
        waiting = fused.run("child", n=1, sync=False)
        return await asyncio.gather(waiting, fused.run_async("child", n=2), fused.run_async(double, n=3))

    assert asyncio.run(main()) == [{"n": "1"}, {"n": "2"}, [6, None]]


def test_run_here() -> None:
    """A function is run in this process, with its parameters converted, or called as it is."""
    assert fused.run(double, n="4", strange=1) == [8, None]
    assert fused.run(double, n="4", x=1, y=2, z=3)[1] == list(Tile(3, 1, 2).bounds)
    assert double("a") == ["aa", None]

    @fused.udf(cache_max_age="1h", instance_type="large")
    async def later(n):
        await asyncio.sleep(0)
        return n

    assert fused.run(later, n="4") == "4"


def test_what_cannot_run() -> None:
    """Each is said in a sentence, as the SDK's class of errors."""
    for wrong, words in (
        (lambda: fused.run(), "needs a UDF"),
        (lambda: fused.run(5), "not int"),
        (lambda: fused.run("a", engine="batch"), "engine='batch'"),
        (lambda: fused.run("a", instance_type="m5.large"), "instance_type="),
        (lambda: fused.run("fails"), "failed"),
        (lambda: fused.api.upload("a", "fd://a"), "from outside"),
        (lambda: fused.file_path("../x"), "leads out"),
    ):
        with pytest.raises(fused.types.UdfRuntimeError, match=words):
            wrong()
    with pytest.raises(AttributeError, match=r"fused\.ingest is not there"):
        fused.ingest  # noqa: B018


def test_submit(server: Server) -> None:
    """In the order of the arguments: a list of rows or of results, by name or here."""
    assert fused.submit("child", [{"n": 1}, {"n": 2}], m=5, collect=False).results() == [
        {"n": "1", "m": "5"},
        {"n": "2", "m": "5"},
    ]
    table = fused.submit(double, [3, 4])
    assert table.index.tolist() == [3, 4]
    assert table["result"].tolist() == [[6, None], [8, None]]
    assert fused.submit(double, pandas.DataFrame({"n": [1]}), debug_mode=True) == [2, None]

    @fused.udf
    def rows(n: int, m: int = 0):
        if n == 0:
            raise ValueError("oh")
        return pandas.DataFrame({"v": range(n)})

    found = fused.submit(rows, [{"n": 2, "m": 7}, {"n": 0, "m": 8}, {"n": 1, "m": 9}], ignore_exceptions=True)
    assert found["v"].tolist() == [0, 1, 0]
    assert found.index.tolist() == [(2, 7, 0), (2, 7, 1), (1, 9, 0)]
    with pytest.raises(ValueError, match="oh"):
        fused.submit(rows, [{"n": 0}])
    jobs = fused.submit(rows, [1, 0], collect=False)
    assert (list(jobs.errors()), len(jobs), len(jobs[0].result())) == ([1], 2, 1)
    server.codes["child"] = ("@fused.udf\ndef udf(first, second=1): ...\n", {})
    assert fused.submit("child", [5])["result"].tolist() == [{"first": "5"}]


def test_submit_without_a_row() -> None:
    """Runs without parameters, of which all fail, and none at all."""

    @fused.udf
    def fails(n: int = 0):
        if n:
            raise ValueError("oh")
        return n

    assert fused.submit(fails, [{}, {}])["result"].tolist() == [0, 0]
    assert fused.submit(fails, pandas.Series([0]), drop_index=True).index.names == ["arg_pos"]
    assert len(fused.submit(fails, [1, 2], ignore_exceptions=True)) == 0
    assert fused.submit(undecorated, [3], cache_reset=True)["result"].tolist() == [[3, {}]]
    for nothing in ([], pandas.DataFrame()):
        with pytest.raises(CallError, match="at least one run"):
            fused.submit(fails, nothing)


def test_submit_that_fails_leaves_nothing_behind() -> None:
    """The others have ended when the first one's error is raised."""
    ended = []

    @fused.udf
    def fails(n: int):
        if n == 0:
            raise ValueError("oh")
        threading.Event().wait(0.2)
        ended.append(n)

    for options in ({}, {"collect": False}):
        with pytest.raises(ValueError, match="oh"):
            list(fused.submit(fails, [0, 1], **options))
        assert ended.pop() == 1


def test_submit_that_does_not_wait() -> None:
    """What is asked for one by one comes at once; what has not begun need not."""
    go = threading.Event()

    @fused.udf
    def waits(n: int):
        assert go.wait(10)
        return n

    jobs = fused.submit(waits, [1, 2], max_workers=1, collect=False)
    assert not jobs.done()
    jobs.cancel()
    go.set()
    jobs.wait()
    assert (jobs.done(), jobs[0].result(), list(jobs.errors())) == (True, 1, [1])


def test_load(server: Server) -> None:
    """Its globals, its modules, itself; run when first wanted, once."""
    code = "import utils\nRUNS = []\nRUNS.append(1)\n@fused.udf\ndef udf(n: int = 1):\n    return [n, utils.A, RUNS]\n"
    server.codes["child"] = (code, {"utils": "A = 5\ndef f(): return A\n"})
    child = fused.load("child")
    assert child.utils.f() == 5
    assert child(n="3") == child("3") == fused.run(child, n=3) == [3, 5, [1]]
    assert fused.load("child").RUNS == [1]
    assert (child.f(), child.utils.A, child.udf(2)[0], child.name) == (5, 5, 2, "child")
    assert "fused.udf" in child.code
    with pytest.raises(AttributeError, match="the UDF 'child' has no 'nothing'"):
        child.nothing  # noqa: B018
    with pytest.raises(CallError, match="there is no UDF"):
        fused.load("absent")
    assert asyncio.run(fused.load_async("child")) is child
    assert fused.load("@fused.udf\ndef udf(n=1):\n    return n\n")() == 1


def test_loaded_code_that_fails_says_why(server: Server) -> None:
    """Also where it lacks an attribute; it is run anew at the next wish."""
    server.codes["child"] = ("import math\nmath.nothing\n@fused.udf\ndef udf(): ...\n", {})
    child = fused.load("child")
    for _ in range(2):
        with pytest.raises(AttributeError, match=r"module 'math' has no attribute 'nothing'"):
            child.udf  # noqa: B018
        with pytest.raises(AttributeError, match=r"module 'math' has no attribute 'nothing'"):
            child()


def test_loaded_code_loads_in_threads(server: Server) -> None:
    """While its own text runs, other threads may run that of others."""
    server.codes["inner"] = ("A = 1\n@fused.udf\ndef udf(n): return n + A\n", {})
    code = "inner = fused.load('inner')\nGOT = fused.submit(inner, [1, 2], collect=False).results()\n"
    server.codes["outer"] = (f"{code}@fused.udf\ndef udf(): return GOT\n", {})
    done: Future[Any] = Future()
    threading.Thread(target=lambda: done.set_result(fused.load("outer")()), daemon=True).start()
    assert done.result(10) == [2, 3]


def test_loaded_classes_have_a_module(server: Server) -> None:
    """As `dataclasses` looks for, and pickles."""
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    n: int\n"
    server.codes["child"] = (f"{text}import h\n@fused.udf\ndef udf(): ...\n", {"h": text})
    child = fused.load("child")
    for made in (child.A(1), child.h.A(1)):
        assert pickle.loads(pickle.dumps(made)) == made
    assert "h" not in sys.modules


def test_utils_are_public_udfs(server: Server) -> None:
    """The account's own comes first."""
    server.codes["public/common"] = ("def f(): return 1\n@fused.udf\ndef udf(): ...\n", {})
    assert fused.utils.common.f() == 1
    assert fused.public.common.utils.f() == 1
    server.codes["common"] = ("def f(): return 2\n@fused.udf\ndef udf(): ...\n", {})
    assert fused.utils.common.f() == 2


def test_a_cached_function_of_loaded_code(server: Server) -> None:
    """Known by its text: another version of the loaded code is another function."""
    code = "import h\n@fused.cache\ndef f():\n    NOTED.append(1)\n    return h.A\n@fused.udf\ndef udf(): ...\n"
    runs: list[int] = []
    noted = type("Noting", (), {"append": runs.append})
    results = []
    for text in ("A = 1", "A = 1", "A = 2"):
        loaded._loaded.cache_clear()
        server.codes["child"] = (code, {"h": text})
        child = fused.load("child")
        child._module().NOTED = noted
        results.append(child.f())
    assert results == [1, 1, 2]
    assert len(runs) == 2


def test_a_download_happens_once() -> None:
    """Over HTTP; what fails leaves nothing."""
    hits = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(404 if self.path == "/b" else 200)
            self.send_header("Transfer-Encoding", "chunked") if self.path == "/chunks" else None
            self.send_header("Content-Length", "9" if self.path == "/short" else "5")
            self.end_headers()
            self.wfile.write(b"a\r\nhello" if self.path == "/chunks" else b"hello")

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        paths = {fused.download(f"{address}/a", "folder/a.txt") for _ in range(3)}
        assert hits == ["/a"]
        assert [Path(each).read_text() for each in paths] == ["hello"]
        with pytest.raises(OSError, match="404"):
            fused.download(f"{address}/b", "folder/b.txt")
        for broken in ("short", "chunks"):
            with pytest.raises(OSError, match="broke off"):
                fused.download(f"{address}/{broken}", f"folder/{broken}.txt")
        assert [each.name for each in Path(fused.file_path("folder")).iterdir()] == ["a.txt"]
    finally:
        server.shutdown()
        server.server_close()


def test_a_fused_table(tmp_path: Path) -> None:
    """Chunks as row groups, with the columns that are wanted, and a reference system where none is said."""
    points = geopandas.GeoDataFrame({"n": [1, 2, 3]}, geometry=geopandas.points_from_xy([0, 1, 2], [0, 0, 0]))
    points.to_parquet(tmp_path / "7.parquet", row_group_size=2)
    chunk = fused.get_chunk_from_table(str(tmp_path), 7, 0)
    assert chunk["n"].tolist() == [1, 2]
    assert chunk.crs.to_epsg() == 4326
    assert fused.get_chunk_from_table(f"file://{tmp_path}", "7", 1, columns=["geometry"]).columns.tolist() == [
        "geometry"
    ]
    assert fused.get_chunk_from_table(str(tmp_path / "7.parquet"), None, None)["n"].tolist() == [1, 2, 3]
    plain = fused.get_chunk_from_table(str(tmp_path), 7, None, columns=["n"])
    assert type(plain) is pandas.DataFrame
    _write_sample(tmp_path, b"5")
    chunks = fused.get_chunks_metadata(str(tmp_path))
    assert chunks.loc[0, ["file_id", "chunk_id"]].tolist() == ["7", 1]
    assert chunks.total_bounds.tolist() == [0, 1, 2, 3]
    _write_sample(tmp_path, b"4")
    with pytest.raises(CallError, match="no Fused table"):
        fused.get_chunks_metadata(str(tmp_path))


def _write_sample(folder: Path, version: bytes) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ("file_id", "chunk_id", "bbox_minx", "bbox_miny", "bbox_maxx", "bbox_maxy")
    stream = io.BytesIO()
    pandas.DataFrame([("7", 1, 0, 1, 2, 3)], columns=columns).to_parquet(stream)
    told = {"fused:format_version": version, "fused:_metadata": base64.b64encode(stream.getvalue())}
    pq.write_table(pa.table({"n": [1]}).replace_schema_metadata(told), folder / "_sample")


@pytest.mark.parametrize(
    ("bounds", "zoom"), [([0, 0, 180, 85], 1), ([-180, -85, 180, 85], 0), ([1, 1, 1.01, 1.01], 15)]
)
def test_the_zoom_of_an_area(bounds: list[float], zoom: int) -> None:
    """That of the smallest tile that is as large."""
    assert fused.estimate_zoom(bounds) == zoom
    assert fused.estimate_zoom(shapely.box(*bounds)) == zoom
    assert fused.estimate_zoom(mercantile.Tile(0, 0, 7)) == 7


def test_secrets_are_read_only() -> None:
    """By item and by attribute, and not shown."""
    secret.provide({"key": "hidden-value"})
    assert fused.secrets["key"] == fused.secrets.key == fused.secrets.get("key") == "hidden-value"
    assert list(fused.secrets) == ["key"]
    assert "hidden" not in repr(fused.secrets)
    assert fused.user_secrets is fused.secrets
    with pytest.raises(TypeError):
        fused.secrets.key = "other"
    for wrong in (lambda: fused.secrets.other, lambda: fused.secrets["other"]):
        with pytest.raises((AttributeError, KeyError), match="no secret 'other'"):
            wrong()
    secret.provide({})


def test_ours_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Though another `fused` is installed and imported; its parts are ours too."""
    for name in [name for name in sys.modules if name.split(".")[0] == "fused"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "fused").mkdir()
    (tmp_path / "fused" / "__init__.py").write_text("raise ImportError('the SDK')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "fused.core", types.ModuleType("fused.core"))
    program.provide_fused()
    assert "fused.core" not in sys.modules
    names: dict[str, Any] = {}
    exec("import fused\nimport fused.types\nfrom fused.types import TileGDF\nfrom fused import cache", names)
    assert names["fused"] is fused
    assert names["TileGDF"] is fused.types.TileGDF
    for name in [name for name in sys.modules if name.split(".")[0] == "fused"]:
        monkeypatch.delitem(sys.modules, name)
