"""Values as a query carries them, which the server reads as the same values again."""

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import Point, shape

from tileserver.parameters import as_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (3, "3"),
        (0.5, "0.5"),
        (True, "true"),
        ([1, "a"], '[1, "a"]'),
        ({"k": (1, 2)}, '{"k": [1, 2]}'),
        (np.int64(7), "7"),
        (np.array([1.5, 2]), "[1.5, 2.0]"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2024-01-02T03:04:05+00:00"),
        (pd.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
        ([dt.datetime(2024, 1, 2)], '["2024-01-02T00:00:00"]'),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (np.datetime64("2024-01-02T03:04", "ns"), "2024-01-02T03:04:00.000000000"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("/a/b"), "/a/b"),
        ({1}, "[1]"),
    ],
)
def test_plain_values(value: Any, text: str) -> None:
    """Numbers and lists as JSON, dates as ISO 8601, text as it is."""
    assert as_text(value) == text


def test_tables_and_geometries() -> None:
    """As JSON that pandas reads, and as GeoJSON."""
    frame = pd.DataFrame({"a": [1, 2]})
    assert pd.DataFrame(json.loads(as_text(frame)))["a"].tolist() == [1, 2]
    assert shape(json.loads(as_text(Point(1, 2)))) == Point(1, 2)
    features = json.loads(as_text(gpd.GeoDataFrame(geometry=[Point(1, 2)], crs=4326)))["features"]
    assert shape(features[0]["geometry"]) == Point(1, 2)


def test_features_are_in_degrees() -> None:
    """Whatever their reference system; dates among their attributes are ISO 8601."""
    frame = gpd.GeoDataFrame({"t": [pd.Timestamp("2024-01-02")]}, geometry=[Point(500_000, 0)], crs=32633)
    document = json.loads(as_text(frame))
    assert shape(document["features"][0]["geometry"]).equals_exact(Point(15, 0), 1e-9)
    assert document["features"][0]["properties"] == {"t": "2024-01-02T00:00:00"}
    assert "crs" not in document
    assert shape(json.loads(as_text(frame.geometry))["features"][0]["geometry"]).equals_exact(Point(15, 0), 1e-9)
