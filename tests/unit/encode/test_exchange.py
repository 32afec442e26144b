"""Results from one function to another; the other forms are seen with a server, in `test_calls`."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from shapely.geometry import Point

from tileserver.encode import exchange
from tileserver.errors import BadResultError


@pytest.mark.parametrize("array", [np.arange(6, dtype="uint8").reshape(2, 3), np.ma.masked_equal([[1, 2]], 2)])
def test_an_array_with_its_bounds(array: np.ndarray) -> None:
    """Is again a pair, of the array and a list."""
    drawn = exchange.draw((array, (1, 2, 3, 4.5)))
    found, bounds = exchange.read(drawn.body, drawn.media_type)
    assert found.dtype == array.dtype
    assert type(found) is type(array)
    assert found.tolist() == array.tolist()
    assert bounds == [1, 2, 3, 4.5]


def test_a_pair_of_other_things() -> None:
    """Is plain data, or cannot be handed on."""
    drawn = exchange.draw((1, (2, 3)))
    assert exchange.read(drawn.body, drawn.media_type) == [1, [2, 3]]
    with pytest.raises(BadResultError) as caught:
        exchange.draw((np.zeros(3), np.zeros(3)))
    assert "ndarray" in caught.value.message


def test_series_come_back_as_frames() -> None:
    """Under their names, with their index and reference system."""
    index = pd.Index(["a"], name="n")
    for series, column in (
        (pd.Series([1], index=index, name="v"), "v"),
        (pd.Series([1], index=index), "value"),
        (gpd.GeoSeries([Point(1, 2)], index=index, crs=3857), "geometry"),
    ):
        drawn = exchange.draw(series)
        found = exchange.read(drawn.body, drawn.media_type)
        assert found[column].tolist() == series.tolist()
        assert found.index.equals(index)
        assert getattr(found, "crs", None) == getattr(series, "crs", None)


def test_features_without_geometry_come_back_as_a_table() -> None:
    """There is nothing else in them."""
    drawn = exchange.draw(gpd.GeoDataFrame({"a": [1]}))
    pd.testing.assert_frame_equal(exchange.read(drawn.body, drawn.media_type), pd.DataFrame({"a": [1]}))


def test_a_data_array_is_no_table() -> None:
    """Though it hands itself over as one of its cells; who returns it is told what else to return."""
    with pytest.raises(BadResultError) as caught:
        exchange.draw(xr.DataArray(np.zeros((2, 2)), dims=("y", "x"), name="v"))
    assert "DataArray cannot be handed to another function" in caught.value.message
