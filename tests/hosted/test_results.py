"""Results of every kind (hosted API, section 2.6): what the SDK makes of the answer is what the function returned."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import httpx
import numpy as np
import pandas as pd
import pytest
import shapely
from server import Running
from session import Sdk
from test_shared_runs import data
from values import array, described
from versions import only

CELLS = np.arange(24, dtype="uint8").reshape(3, 2, 4)
TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
FEATURES = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=4326)
TABLES = {"table": TABLE, "features": FEATURES}
ARRAYS = {"flat": CELLS[0], "bands": CELLS, "floats": CELLS[0].astype("float32") / 8}
PLAIN: dict[str, Any] = {
    "number": 7,
    "list": [1, "two", None],
    "dict": {"k": [1], "river": "Ob"},
    "text": "a river",
}
ROWS = {
    "number": pd.DataFrame({"value": [7]}),
    "list": pd.DataFrame({"value": ['[1,"two",null]']}),
    "dict": pd.DataFrame({"k": ["[1]"], "river": ["Ob"]}),
    "text": pd.DataFrame({"value": ["a river"]}),
}
KINDS = [*TABLES, *ARRAYS, *PLAIN, "bounded", "layer", "layers", "parts", "none"]
UDFS = Path(__file__).parents[1] / "udfs" / "hosted"


def floats(values: Any) -> Any:
    """Opened with a mask, as every version opens TIFFs: bytes become floats."""
    return array(np.asarray(values, dtype="float32"))


@pytest.fixture(scope="session")
def tokens(owner: httpx.Client) -> dict[str, str]:
    """Tokens by what their function returns unless it is told otherwise: `gives`, once for each kind."""
    code = (UDFS / "gives.py").read_text()
    return {what: _published(owner, what, code.replace('"table"):', f'"{what}"):')) for what in KINDS}


def _published(owner: httpx.Client, what: str, code: str) -> str:
    udf = {"slug": f"gives_{what}", "udf_body": json.dumps({"code": code, "entrypoint": "gives"})}
    owner.post("/server/v1/udf/new", json=udf).raise_for_status()
    token: str = owner.post("/server/v1/udf-access-token/new", json={"udf_slug": udf["slug"]}).json()["token"]
    return token


def got(sdk: Sdk, tokens: dict[str, str], what: str, more: str = "") -> Any:
    """What a run by token gives."""
    return sdk.get(f"fused.core.run_shared_file(token=token{more}){data(sdk)}", token=tokens[what])


@pytest.mark.parametrize("what", TABLES)
def test_tables(sdk: Sdk, tokens: dict[str, str], what: str) -> None:
    """A DataFrame, and with geometry a GeoDataFrame with its CRS."""
    assert got(sdk, tokens, what) == described(TABLES[what])


@only("2.9.5")
@pytest.mark.parametrize("what", ARRAYS)
def test_arrays(sdk: Sdk, tokens: dict[str, str], what: str) -> None:
    """The newest asks for npy first: shape and type stay."""
    assert got(sdk, tokens, what) == array(ARRAYS[what])


@only("1.14.2")
@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_as_tiff(sdk: Sdk, tokens: dict[str, str], what: str) -> None:
    """The shape stays; values as floats, as the SDK opens them."""
    assert got(sdk, tokens, what) == floats(ARRAYS[what])


@only("1.8.0")
@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_as_dataset(sdk: Sdk, tokens: dict[str, str], what: str) -> None:
    """The oldest makes a Dataset of every TIFF; a flat one has one band."""
    values = np.atleast_3d(ARRAYS[what].T).T
    image = floats(values) | {"dims": ["band", "y", "x"]}
    assert got(sdk, tokens, what) == {"type": "Dataset", "variables": {"image": image}}


@only("1.14.2", "2.9.5")
def test_an_array_with_bounds(sdk: Sdk, tokens: dict[str, str]) -> None:
    """A pair again; georeferenced between."""
    bounds = [0.0, 0.0, 4.0, 2.0]
    assert got(sdk, tokens, "bounded") == {"type": "tuple", "items": [floats(CELLS), bounds]}


@only("1.14.2", "2.9.5")
def test_xarray(sdk: Sdk, tokens: dict[str, str]) -> None:
    """A DataArray, and a Dataset with its variable's name."""
    layer = floats(CELLS[:1]) | {"dims": ["band", "y", "x"]}
    assert got(sdk, tokens, "layer") == layer | {"type": "DataArray"}
    assert got(sdk, tokens, "layers") == {"type": "Dataset", "variables": {"height": layer}}


def test_png(sdk: Sdk, tokens: dict[str, str]) -> None:
    """Bands of whole numbers; the newest asks by `format`, every 1.x by dtype."""
    more = ", _dtype_out_raster='png'" if sdk.old else ", _format='png'"
    image = got(sdk, tokens, "bands", more)["variables"]["image"]
    assert (image["dims"], image["dtype"], image["shape"][1:]) == (["band", "y", "x"], "int64", [2, 4])
    read = f"fused.core.run_shared_file(token=token{more}){data(sdk)}.image.values[:3].tolist()"
    assert sdk.get(read) == CELLS.tolist()


@only("2.9.5")
@pytest.mark.parametrize("what", PLAIN)
def test_plain_data(sdk: Sdk, tokens: dict[str, str], what: str) -> None:
    """The newest gets it as JSON."""
    assert got(sdk, tokens, what) == PLAIN[what]


@only("1.14.2", "1.8.0")
@pytest.mark.parametrize("what", PLAIN)
def test_plain_data_as_a_row(sdk: Sdk, tokens: dict[str, str], what: str) -> None:
    """Every 1.x asks for tables and images: a table of one row, in which what is nested is JSON."""
    assert got(sdk, tokens, what) == described(ROWS[what])


@only("2.9.5")
def test_a_page(sdk: Sdk, server: Running) -> None:
    """The text, whether it comes as JSON or, where it is asked for, as HTML."""
    for more in ("", ", _format='html'"):
        call = f"fused.core.run_shared_file(token=token, name='Ob'{more}).data"
        assert sdk.get(call, token=server.token("pages")) == "<h1>Hello Ob</h1>"


@only("2.9.5")
def test_several_at_once(sdk: Sdk, tokens: dict[str, str]) -> None:
    """A dict of what has formats of its own comes in one archive."""
    assert got(sdk, tokens, "parts", ", _format='zip'") == {"table": described(TABLE), "cells": array(CELLS[0])}


def test_nothing(sdk: Sdk, tokens: dict[str, str]) -> None:
    """None is an empty body with 200: the newest gives None, every 1.x the body."""
    expected = described(b"") if sdk.old else None
    assert got(sdk, tokens, "none") == expected


def posted(sdk: Sdk, what: str) -> Any:
    """What the same function gives whose source travels in the request."""
    return sdk.get("fused.run(fused.load('gives'), engine='remote', what=what)", what=what)


@only("1.14.2", "2.9.5")
def test_one_function_of_many_kinds(sdk: Sdk, server: Running) -> None:
    """A parameter may change what comes: the answer is of the kind that came."""
    call = "fused.run(token, what=what)"
    told = [sdk.get(call, token=server.token("gives"), what=what) for what in ("table", "flat")]
    assert told == [described(TABLE), floats(CELLS[0]) if sdk.old else array(CELLS[0])]


@only("1.14.2", "2.9.5")
@pytest.mark.parametrize("what", ["table", "features", "none"])
def test_of_an_object_run(sdk: Sdk, what: str) -> None:
    """A posted source gives the same."""
    assert posted(sdk, what) == described({**TABLES, "none": None}[what])


@only("1.14.2")
def test_arrays_of_an_object_run_in_1x(sdk: Sdk) -> None:
    """As TIFF."""
    assert posted(sdk, "bands") == floats(CELLS)


@only("1.14.2")
@pytest.mark.parametrize("what", PLAIN)
def test_plain_data_of_an_object_run_in_1x(sdk: Sdk, what: str) -> None:
    """As a row, too."""
    assert posted(sdk, what) == described(ROWS[what])


@only("2.9.5")
@pytest.mark.parametrize("what", [*ARRAYS, *PLAIN])
def test_everything_of_an_object_run_in_the_newest(sdk: Sdk, what: str) -> None:
    """Arrays as npy, plain data as JSON."""
    told = posted(sdk, what)
    assert told == (array(ARRAYS[what]) if what in ARRAYS else PLAIN[what])


def test_a_raster_tile(sdk: Sdk, server: Running) -> None:
    """Three bands of a tile, whatever the version makes of them."""
    call = f"fused.core.run_shared_tile(token=token, x=1, y=2, z=3, level=7){data(sdk)}"
    values = f"told = {call}\nnp.asarray(told.image if hasattr(told, 'image') else told)"
    told = sdk.get(f"import numpy as np\n{values}[:3, 0, 0].tolist()", token=server.token("shades"))
    assert told == [7, 14, 21]
