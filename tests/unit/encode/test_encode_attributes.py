"""Columns of every type that pandas, NumPy and Arrow have, as a vector tile's decoder reads them."""

import datetime as dt
from decimal import Decimal

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from commands import features

from tileserver.encode import mvt
from tileserver.tiles import Tile

DAY = dt.date(2024, 5, 6)
NOON = pd.Timestamp("2024-05-06T12:00:00")
ZONED = pd.Timestamp("2024-05-06T12:00:00.25", tz="Europe/Lisbon")
ISO = "2024-05-06T12:00:00.250000+01:00"


def told(column, **options):
    """A column's values as they come back, one for each row; "missing" where there is none."""
    frame = geopandas.GeoDataFrame({"a": column}, geometry=[shapely.Point(10, 50)] * len(column), crs=4326)
    found = features(mvt.encode(frame, Tile(4, 8, 5), **options), "udf")
    return [each.properties.get("a", "missing") for each in found]


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_integers_to_the_last_bit(kind):
    """The least and the greatest of each type, as NumPy, nullable and Arrow columns."""
    limits = np.iinfo(kind)
    values = [int(limits.min), 0, 1, int(limits.max)]
    assert told(pd.Series(values, dtype=kind)) == values
    nullable = pd.Series([*values, None], dtype=kind.replace("int", "Int").replace("uI", "UI"))
    assert told(nullable) == [*values, "missing"]
    arrow = pd.Series([*values, None], dtype=pd.ArrowDtype(pa.from_numpy_dtype(np.dtype(kind))))
    assert told(arrow) == [*values, "missing"]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats(kind):
    """Exactly the number that the type holds; NaN is missing, infinity is not."""
    values = np.array([0.1, -1.5, np.inf, np.nan], kind)
    assert told(pd.Series(values)) == [float(values[0]), -1.5, np.inf, "missing"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series(["a", "", "ü€𝄞", None]), ["a", "", "ü€𝄞", "missing"]),
        (pd.Series(["a", None], dtype="string"), ["a", "missing"]),
        (pd.Series(["a", None], dtype=pd.ArrowDtype(pa.large_string())), ["a", "missing"]),
        (pd.Series(["a", "b", None], dtype="category"), ["a", "b", "missing"]),
        (pd.Series([3, 1, None], dtype="category"), [3, 1, "missing"]),
        (pd.Series([True, False]), [True, False]),
        (pd.Series([True, None], dtype="boolean"), [True, "missing"]),
        (pd.Series([True, None], dtype=object), [True, "missing"]),
        (pd.Series([NOON, pd.NaT]), ["2024-05-06T12:00:00", "missing"]),
        (pd.Series([ZONED, None]), [ISO, "missing"]),
        (pd.Series([DAY, None], dtype=object), ["2024-05-06", "missing"]),
        (pd.Series([DAY, None], dtype=pd.ArrowDtype(pa.date32())), ["2024-05-06", "missing"]),
        (pd.Series([dt.time(1, 2, 3)], dtype=object), ["01:02:03"]),
        (pd.Series([pd.Timedelta(hours=25), pd.NaT]), ["P1DT1H0M0S", "missing"]),
        (pd.Series([pd.Period("2024-05", "M")]), ["2024-05"]),
        (pd.Series([Decimal("1.5"), None], dtype=object), [1.5, "missing"]),
        (pd.Series([Decimal("1.5")], dtype=pd.ArrowDtype(pa.decimal128(5, 2))), [1.5]),
        (pd.Series([b"\x00\xff", None], dtype=object), ["AP8=", "missing"]),
        (
            pd.Series([{"k": [1, None]}, [1, 2], (3,), None], dtype=object),
            ['{"k":[1,null]}', "[1,2]", "[3]", "missing"],
        ),
        (pd.Series([np.array([1, 2])], dtype=object), ["[1,2]"]),
        (pd.Series([[1, 2]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), ["[1,2]"]),
        (pd.Series([{"x": 1}], dtype=pd.ArrowDtype(pa.struct([("x", pa.int64())]))), ['{"x":1}']),
        (
            pd.Series([1, 2.5, "three", True, None, 2**64 - 1], dtype=object),
            [1, 2.5, "three", True, "missing", 2**64 - 1],
        ),
        (pd.Series([None, None], dtype=object), ["missing", "missing"]),
        (pd.Series([2**64], dtype=object), [str(2**64)]),
        (pd.Series([1 + 2j]), ["(1+2j)"]),
    ],
)
def test_every_type(column, expected):
    """Numbers stay numbers, booleans booleans, text text; the rest is text that says it all; nothing is nothing."""
    found = told(column)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_one_value_is_there_once():
    """Whichever columns it is in, and of whichever width; and the frequent ones have the shortest numbers."""
    rows = 300
    frame = geopandas.GeoDataFrame(
        {"rare": np.arange(rows) + 1000, "same": np.full(rows, 7, np.uint64), "again": np.full(rows, 7, np.int8)},
        geometry=[shapely.Point(10, 50)] * rows,
        crs=4326,
    )
    body = mvt.encode(frame, Tile(4, 8, 5))
    [feature, *_] = features(body, "udf")
    assert feature.properties == {"rare": 1000, "same": 7, "again": 7}
    assert body.count(b"\x22\x02\x28\x07") == 1


def test_names_of_columns():
    """Any name is text; two of one name are two attributes of the same name, of which the last counts, as in JSON."""
    frame = geopandas.GeoDataFrame({1: [5], "ä": [6]}, geometry=[shapely.Point(10, 50)], crs=4326)
    [feature] = features(mvt.encode(frame, Tile(4, 8, 5)), "udf")
    assert feature.properties == {"1": 5, "ä": 6}


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([3, 2**63, 2**64 - 1], [3, 2**63, 2**64 - 1]),
        ([-1, 0, 5], [None, 0, 5]),
        ([1.0, 2.5, np.nan], [1, None, None]),
        (["a", "b", "c"], [None, None, None]),
        ([True, False, True], [None, None, None]),
        (pd.MultiIndex.from_tuples([(1, 2), (3, 4), (5, 6)]), [None, None, None]),
    ],
)
def test_ids(index, expected):
    """Whole numbers that are not negative; everything else gives none."""
    frame = geopandas.GeoDataFrame(geometry=[shapely.Point(10, 50)] * 3, crs=4326, index=index)
    assert [each.id for each in features(mvt.encode(frame, Tile(4, 8, 5)), "udf")] == expected
