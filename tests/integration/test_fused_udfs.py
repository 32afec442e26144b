"""Sources in the style of public UDFs of Fused, written for this test: they run as tiles, unchanged."""

import base64
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import httpx
import mapbox_vector_tile
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image
from server import Running, serving

from tileserver import Client

FUSED = Path(__file__).parents[1] / "udfs" / "fused"


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server over these UDFs."""
    with serving(FUSED, data=tmp_path_factory.mktemp("fused") / "data") as running:
        yield running


def get(server: Running, udf: str, tile: str = "", /, extension: str = "", **parameters: Any) -> httpx.Response:
    """A tile, or a file where there is no tile; by the owner, who reads why it failed."""
    token = server.token(udf)
    path = f"/tiles/{token}/{tile}" if tile else f"/files/{token}"
    with server.owner() as owner:
        answer = owner.get(path + extension, params=parameters)
    assert answer.status_code in (200, 204), answer.text
    return answer


def pixels(answer: httpx.Response) -> Any:
    """(height, width, 4)."""
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def features(answer: httpx.Response) -> list[Any]:
    """Of the layer `udf`."""
    return list(mapbox_vector_tile.decode(answer.content)["udf"]["features"])


def table(folder: Path) -> Path:
    """A Fused table of two files with two chunks each: a point in the middle of each chunk's box."""
    folder.mkdir()
    chunks = []
    for file in range(2):
        boxes = [(file * 90 + chunk * 45 - 90, 0, file * 90 + chunk * 45 - 45, 40) for chunk in range(2)]
        points = [shapely.box(*box).centroid for box in boxes]
        frame = geopandas.GeoDataFrame({"name": [f"{file}-{place}" for place in range(2)]}, geometry=points, crs=4326)
        frame.to_parquet(folder / f"{file}.parquet", row_group_size=1)
        chunks += [(str(file), place, *box) for place, box in enumerate(boxes)]
    names = ("file_id", "chunk_id", "bbox_minx", "bbox_miny", "bbox_maxx", "bbox_maxy")
    stream = io.BytesIO()
    pandas.DataFrame(chunks, columns=names).to_parquet(stream)
    told = {"fused:format_version": "5", "fused:_metadata": base64.b64encode(stream.getvalue())}
    sample = pa.table({"name": ["0-0"]}).replace_schema_metadata(told)
    pq.write_table(sample, folder / "_sample")
    return folder


def test_an_array_for_the_tile_that_bbox_says(fused: Running) -> None:
    """`bbox: fused.types.TileGDF` has x, y and z; `colored=False` is a text; the array's own size is the picture's."""
    image = pixels(get(fused, "relief", "2/1/3.png"))
    assert image.shape == (128, 128, 4)
    assert (image == [21, 10, 0, 255]).all()
    grey = pixels(get(fused, "relief", "2/1/3.png", colored="False", chip_len="16"))
    assert (grey == [21, 21, 21, 255]).all()


def test_on_a_file_route_the_area_comes_as_json(fused: Running) -> None:
    """As a box or as GeoJSON; the tile is then the smallest around it."""
    box = shapely.box(-170, 10, -80, 60)
    for text in ("[-170, 10, -80, 60]", "-170,10,-80,60", shapely.to_geojson(box), "1/0/0"):
        assert (pixels(get(fused, "relief", extension=".png", bbox=text))[..., 0] == 10).all()
    with fused.owner() as owner:
        answer = owner.get(f"/files/{fused.token('relief')}.png", params={"bbox": "[1, 2]"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_parameter"


def test_loaded_code(fused: Running) -> None:
    """By name and by address, its globals and its own modules."""
    image = pixels(get(fused, "chips", "0/0/0.png", chip_len="256"))
    ramp = np.linspace(0, 255, 256).astype("uint8")
    assert image[0, :, 0].tolist() == (ramp // 2).tolist()
    assert image[8, :, 0].tolist() == (ramp // 2 + 127).tolist()


def test_a_fused_table(fused: Running, tmp_path: Path) -> None:
    """Only the chunks that the tile meets; nothing where there is none."""
    place = table(tmp_path / "table")
    found = features(get(fused, "buildings", "2/2/1.mvt", table_path=place))
    assert sorted(each["properties"]["name"] for each in found) == ["1-0", "1-1"]
    assert get(fused, "buildings", "2/2/2.mvt", table_path=place).status_code == 204
    assert get(fused, "buildings", "1/1/0.mvt", table_path=place).status_code == 204


def test_a_cached_function(fused: Running, tmp_path: Path) -> None:
    """It runs once for each name, whichever worker and tile asks, until told to run anew; that does not stick."""
    log = tmp_path / "log"
    for tile in ("1/0/0.png", "1/0/1.png"):
        assert (pixels(get(fused, "mosaic", tile, log=log)) == [43, 43, 43, 255]).all()
    assert log.read_text() == "a\nbbb\n"
    get(fused, "mosaic", "1/1/0.png", log=log, reset="true", scenes='["a"]')
    get(fused, "mosaic", "1/1/1.png", log=log, scenes='["a"]')
    assert log.read_text() == "a\nbbb\na\n"


def test_text_stays_text_where_nothing_is_said(fused: Running) -> None:
    """A number among the letters is none; a flag of any other text than false is set."""
    assert (pixels(get(fused, "palette", "1/1/1.png", palette=7))[..., :3] == 70).all()
    assert (pixels(get(fused, "palette", "1/1/1.png", colored="0", gain="2"))[0, 0] == [120, 0, 0, 255]).all()
    assert (pixels(get(fused, "palette", "1/1/1.png", colored="FALSE"))[0, 0] == [60, 60, 60, 255]).all()


def test_an_array_with_bounds_of_its_own(fused: Running) -> None:
    """The half of the tile that it covers."""
    image = pixels(get(fused, "placed", "1/0/0.png"))
    assert (image[:, :127] == [200, 200, 200, 255]).all()
    assert (image[:, 129:, 3] == 0).all()


def test_a_chain(fused: Running) -> None:
    """A child as a tile, another as a file; what they do not take is dropped."""
    assert (pixels(get(fused, "parent", "2/1/3.png")) == [22, 70, 21, 255]).all()


def test_many_at_once(fused: Running) -> None:
    """The four children of a tile, in their places."""
    image = pixels(get(fused, "quarters", "1/1/0.png"))[..., 0]
    assert [image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]] == [22, 23, 22, 23]


def test_the_first_parameter_takes_the_tile(fused: Running) -> None:
    """Under any name, as old ones have it; `fused.utils` finds shared code, which has a `utils` of its own."""
    [found] = features(get(fused, "classic", "3/1/2.mvt", width=5))
    assert found["properties"] == {"zoom": 3, "width": 5}


def test_a_download(fused: Running, tmp_path: Path) -> None:
    """Fetched once, read through the cache."""
    frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=[shapely.Point(10, 10), shapely.Point(-10, 10)], crs=4326)
    (tmp_path / "all.geojson").write_text(frame.to_json())
    url = (tmp_path / "all.geojson").as_uri()
    assert [each["properties"]["n"] for each in features(get(fused, "places", "1/1/0.mvt", url=url))] == [1]
    (tmp_path / "all.geojson").unlink()
    assert [each["properties"]["n"] for each in features(get(fused, "places", "1/0/0.mvt", url=url))] == [2]


def test_a_table(fused: Running) -> None:
    """`from fused import udf`; a list in JSON."""
    rows = get(fused, "hexes", "1/1/0.json", names=json.dumps(["u", "v"])).json()
    assert rows == [{"cell": "u", "west": 0.0, "res": 3}, {"cell": "v", "west": 0.0, "res": 3}]


def test_a_file_run_of_shared_code(fused: Running) -> None:
    """Defaults, and a module that is imported."""
    assert get(fused, "common", extension=".json", n="5").json() == [2.5, 10, None]


def test_numbers_of_a_posted_call(fused: Running) -> None:
    """Stay numbers where nothing is said of a parameter; texts stay texts."""
    head, told = "def udf(a, b, c: str, d: float):", "[[each, type(each).__name__] for each in (a, b, c, d)]"
    code = f"@fused.udf\n{head}\n    return {told}\n"
    udf = {"name": "udf", "code": code, "entrypoint": "udf", "type": "geopandas_v2"}
    step = {"type": "udf", "udf": udf | {"parameters": {"a": 5, "b": "5", "c": 5, "d": 5}}}
    with fused.owner() as owner:
        body = {"step_config": json.dumps(step), "format": "json"}
        answer = owner.post("/server/v1/realtime/any/api/v1/run/udf", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == [[5, "int"], ["5", "str"], ["5", "str"], [5.0, "float"]]


def test_what_passes_between_functions(fused: Running) -> None:
    """Whole numbers, masks, reference systems and nothing, as they were; features in metres as places on Earth."""
    place = geopandas.GeoDataFrame(geometry=[shapely.Point(500_000, 0)], crs=32633)
    with Client(fused.url, fused.private_token) as client:
        told = client.run("receives", area=place, ident=uuid.UUID(int=1))
        assert client.run("kinds", kind="nothing") is None
    assert told == {
        "series": {"a": 2**62 + 1},
        "crs": 3857,
        "placed": [[[0, 1], [2, -1]], [0, 0, 1, 1]],
        "nothing": None,
        "area": [15, 0, 15, 0],
        "ident": "UUID",
        "submitted": [],
    }


def test_a_udf_named_as_a_library(fused: Running, tmp_path: Path) -> None:
    """Imports the library all the same."""
    (tmp_path / "numpy.py").write_text(
        "@fused.udf\ndef udf():\n    import numpy as np\n    return np.arange(3).tolist()\n"
    )
    with Client(fused.url, fused.private_token) as client:
        assert client.run(client.push(tmp_path / "numpy.py")) == [0, 1, 2]
