"""Clearing by place on a real server: by its API, by the client's command, and while tiles are being rendered."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from server import Running, serving
from typer.testing import CliRunner

from tileserver.cli import cache
from tileserver.tiles import Bounds, Tile, along_curve, covering

STAMPED = """
import time
from pathlib import Path
import geopandas, shapely
from tileserver import udf

@udf(maxzoom=20)
def stamped(tile, until: str = "", label: str = "a"):
    Path(until + ".began").touch() if until else None
    while until and not Path(until).exists():
        time.sleep(0.01)
    return geopandas.GeoDataFrame({"n": [time.time_ns()]}, geometry=[shapely.box(*tile.bounds)], crs=4326)

@udf
def file(label: str = "a", count: int = 1):
    return {"n": time.time_ns()}
"""
BLOCKED = """
import time
import geopandas, shapely
from tileserver import udf

@udf(block_zoom=3)
def blocked(bounds, label: str = "a") -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame({"n": [time.time_ns()]}, geometry=[shapely.box(*bounds)], crs=4326)
"""
BESIDES = [[8.69, 47.3], [8.71, 47.3], [8.7, 47.5]]
HERE, BESIDE, AWAY, LOW = Tile.at(8.5, 47.4, 12), Tile.at(8.7, 47.4, 12), Tile.at(-70, -30, 12), Tile.at(8.5, 47.4, 3)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two server processes, each with a memory of its own."""
    folder = tmp_path_factory.mktemp("clearing")
    one, other = STAMPED.split("@udf\n")
    (folder / "stamped.py").write_text(one)
    (folder / "filed.py").write_text(
        "import time\nfrom tileserver import udf\n\n@udf\n" + other.replace("file", "filed")
    )
    (folder / "blocked.py").write_text(BLOCKED)
    with serving(folder, data=folder / "data", arguments=("--processes", "2")) as server:
        yield server


@pytest.fixture
def stamps(running: Running) -> Callable[[], list[bytes]]:
    """What is answered for the four tiles, the same by every process."""

    def _asked() -> list[bytes]:
        return [_same(running, f"/tiles/{running.token('stamped')}/{t.z}/{t.x}/{t.y}.mvt") for t in TILES]

    return _asked


PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates, which take a while to load for each connection."""
TILES = (HERE, BESIDE, AWAY, LOW)


def _same(running: Running, path: str) -> bytes:
    """Of eight connections, of which each process takes some."""
    found = {httpx.get(running.url + path, verify=PLAIN).content for _ in range(8)}
    assert len(found) == 1
    return found.pop()


def cleared(running: Running, body: dict[str, Any], name: str = "stamped") -> httpx.Response:
    with running.owner() as owner:
        return owner.post(f"/api/v1/udf/{name}/clear", json=body)


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({}, [True, True, True, True]),
        ({"bbox": [8.49, 47.39, 8.51, 47.41]}, [True, False, False, True]),
        ({"bbox": [8.49, 47.39, 8.51, 47.41], "zooms": [10, 20]}, [True, False, False, False]),
        ({"zooms": [12, 12]}, [True, True, True, False]),
        ({"bbox": [170, -40, 10, 50]}, [True, True, True, True]),
        ({"bbox": [170, -40, -10, 50]}, [False, False, True, False]),
        (
            {"area": {"type": "Polygon", "coordinates": [[*BESIDES, BESIDES[0]]]}},
            [False, True, False, True],
        ),
        (
            {
                "area": {
                    "type": "MultiPolygon",
                    "coordinates": [[BESIDES], [[[-71, -31], [-69, -31], [-70, -29]]]],
                },
                "zooms": [12, 12],
            },
            [False, True, True, False],
        ),
    ],
)  # fmt: skip
def test_what_lies_there_is_made_anew(running: Running, stamps, body: dict[str, Any], gone: list[bool]) -> None:
    """In every process, from memory and from disk; nothing else is."""
    before = stamps()
    assert cleared(running, body).status_code == 204
    assert [one != other for one, other in zip(before, stamps(), strict=True)] == gone


def test_files_go_with_everything_only(running: Running) -> None:
    """A box has none."""
    path = f"/files/{running.token('filed')}"
    before = _same(running, path)
    assert cleared(running, {"bbox": [-180, -90, 180, 90]}, "filed").status_code == 204
    assert _same(running, path) == before
    assert cleared(running, {}, "filed").status_code == 204
    assert _same(running, path) != before


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"bbox": [0, 10, 1, 5]}, "west, south, east, north"),
        ({"bbox": [0, 10, 1]}, "bbox"),
        ({"bbox": [0, 0, 1, 1], "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0]]]}}, "not both"),
        ({"zooms": [5, 4]}, "the first and the last"),
        ({"zooms": [0, 31]}, "zooms"),
        ({"area": {"type": "Point", "coordinates": [0, 0]}}, "area"),
        ({"area": {"type": "MultiPolygon", "coordinates": []}}, "one polygon or more"),
        ({"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, "three places"),
        ({"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 91]]]}}, "an area's places"),
        ({"area": {"type": "Polygon", "coordinates": [[[0, 0]] * 2001]}}, "simplify"),
        ({"box": [0, 0, 1, 1]}, "box"),
    ],
)
def test_what_is_no_place_clears_nothing(running: Running, stamps, body: dict[str, Any], sentence: str) -> None:
    """And says what one is."""
    before = stamps()
    answer = cleared(running, body)
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert stamps() == before


LAYERS = (
    ("tiles/{stamped}/3/4/2.mvt", ""),
    ("tiles/{stamped}/3/4/2.mvt", "?label=b"),
    ("tiles/{stamped}/5/16/11.geojson", "?label=b"),
    ("tiles/{blocked}/5/16/11.mvt", ""),
    ("tiles/{blocked}/5/16/11.mvt", "?label=b"),
    ("files/{filed}", "?count=2"),
    ("files/{filed}", "?label=b&count=2"),
)


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({"parameters": {"label": "b"}}, [False, True, True, False, True, False, False]),
        ({"parameters": {}}, [True, False, False, True, False, False, False]),
        ({"parameters": {"label": "b"}, "zooms": [5, 5]}, [False, False, True, False, True, False, False]),
        ({"parameters": {"label": "b"}, "bbox": [-9, -9, -8, -8]}, [False] * 7),
        ({"parameters": {"count": 2, "label": None}}, [False] * 5 + [True, False]),
    ],
)
def test_what_was_made_with_some_parameters(running: Running, body: dict[str, Any], gone: list[bool]) -> None:
    """Is made anew alone, in every format and process: tiles, blocks, and files where no place is named."""
    names = ("stamped", "blocked", "filed")
    tokens = {name: running.token(name) for name in names}
    paths = [f"/{path.format(**tokens)}{query}" for path, query in LAYERS]
    before = [_same(running, path) for path in paths]
    told = [cleared(running, body, name).status_code for name in names]
    assert told == ([422, 422, 204] if "count" in body["parameters"] else [204] * 3)
    assert [one != _same(running, path) for one, path in zip(before, paths, strict=True)] == gone


def test_parameters_that_there_are_not_clear_nothing(running: Running, stamps) -> None:
    """And the sentence says which there are."""
    before = stamps()
    for parameters, sentence in (
        ({"lable": "b"}, "no parameter 'lable'; it has until, label."),
        ({"tile": "1/1/1"}, "no parameter 'tile'"),
    ):
        answer = cleared(running, {"parameters": parameters})
        assert (answer.status_code, sentence in answer.json()["detail"]) == (422, True)
    assert "count" in cleared(running, {"parameters": {"count": "many"}}, "filed").json()["detail"]
    assert stamps() == before


def test_a_body_without_a_byte_clears_everything(running: Running, stamps) -> None:
    """As one without a field does."""
    before = stamps()
    with running.owner() as owner:
        assert owner.post("/api/v1/udf/stamped/clear").status_code == 204
    assert all(one != other for one, other in zip(before, stamps(), strict=True))


def test_only_its_owner_clears(running: Running) -> None:
    """Nobody else learns that there is something."""
    with running.client() as stranger:
        assert stranger.post("/api/v1/udf/stamped/clear", json={}).status_code == 401
    assert cleared(running, {}, "none").status_code == 404


@pytest.mark.parametrize(
    "body",
    [lambda _: {"bbox": [8.49, 47.39, 8.51, 47.41]}, lambda gate: {"parameters": {"until": str(gate)}}],
    ids=["box", "parameters"],
)
def test_a_clearing_reaches_what_is_being_made(
    running: Running, tmp_path: Path, body: Callable[[Path], dict[str, Any]]
) -> None:
    """A tile that began before it is given to who waits for it, and to nobody after."""
    gate = tmp_path / "gate"
    path = f"/tiles/{running.token('stamped')}/{HERE.z}/{HERE.x}/{HERE.y}.mvt?until={gate}"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(httpx.get, running.url + path, timeout=60)
        while not Path(f"{gate}.began").exists():
            threading.Event().wait(0.01)
        assert cleared(running, body(gate)).status_code == 204
        gate.touch()
        first = waiting.result()
    assert first.status_code == 200
    second = _same(running, path)
    assert second != first.content


def test_the_command(running: Running, stamps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As typed."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(running.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps(_feature("Polygon", [BESIDES])))
    two, line = tmp_path / "two.geojson", tmp_path / "line.geojson"
    away = _feature("MultiPolygon", [[[[-71, -31], [-69, -31], [-70, -29]]]])
    two.write_text(json.dumps({"type": "FeatureCollection", "features": [_feature("Polygon", [BESIDES]), away]}))
    line.write_text(json.dumps(_feature("LineString", BESIDES)))
    for arguments, gone, said in (
        (["--bbox", "8.49,47.39,8.51,47.41"], [True, False, False, True], "tiles in 8.49,47.39,8.51,47.41"),
        (["--area", str(area), "--zooms", "12"], [False, True, False, False], f"tiles in {area} of zooms 12"),
        (["--area", str(two), "--zooms", "12"], [False, True, True, False], f"tiles in {two}"),
        (["-p", "label=b"], [False, False, False, False], "cleared 'stamped' with label=b\n"),
        (["-p", "label=a", "--zooms", "3"], [False, False, False, True], "with label=a: tiles of zooms 3"),
        ([], [True, True, True, True], "cleared 'stamped'"),
    ):
        before = stamps()
        result = CliRunner().invoke(cache.app, ["clear", "stamped", *arguments], catch_exceptions=False)
        assert result.exit_code == 0
        assert said in result.stdout
        assert [one != other for one, other in zip(before, stamps(), strict=True)] == gone
    for wrong in (
        ["--bbox", "1,2,3"],
        ["--zooms", "a-b"],
        ["--zooms", "5-4"],
        ["--area", str(line)],
        ["--area", str(tmp_path)],
    ):
        assert CliRunner().invoke(cache.app, ["clear", "stamped", *wrong]).exit_code == 2


def _feature(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}}


def test_warming(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles are there before anybody asks, and what is there takes no run."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(running.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    typed = ["warm", "stamped", "--bbox", "100,-10,120,10", "--zooms", "4-6", "--at-once", "3"]
    for _ in range(2):
        result = CliRunner().invoke(cache.app, typed, catch_exceptions=False)
        assert (result.exit_code, result.stdout) == (0, "'stamped' has 30 tiles there\n")
    base, sources = f"{running.url}/tiles/{running.token('stamped')}", set()
    with httpx.Client() as reader:
        for zoom in (4, 5, 6):
            for columns, rows in covering(Bounds(100, -10, 120, 10), zoom):
                for tile in along_curve(columns, rows, zoom):
                    answer = reader.get(f"{base}/{tile.z}/{tile.x}/{tile.y}.mvt")
                    sources.add(answer.headers["cache-status"].rpartition("detail=")[2])
    assert sources <= {"memory", "disk"}
    assert CliRunner().invoke(cache.app, [*typed[:-1], "0"]).exit_code == 2
