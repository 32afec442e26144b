"""Columns value by value as bytes: what comes back is what went in, of its own type."""

import datetime
import decimal
import enum
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver.encode import packing

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


def again(values):
    """Packed and unpacked."""
    series = pd.Series(values, dtype=object)
    return list(packing.unpacked(pd.Series(packing.column(series), series.index)))


@given(st.lists(VALUES, max_size=8))
def test_values_come_back(values):
    """However they are nested; integers of any size, decimals to the digit, times with their zones."""
    found = again(values)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    "value",
    [
        np.float32(1.1),
        np.int8(3),
        np.bool_(True),
        pd.Timestamp("2020-01-01T00:00:00.123456789+02:00"),
        pd.Timedelta("1 days 00:00:00.000000001"),
        {1, 2},
        frozenset(["a"]),
        (1, (2, "b")),
    ],
)
def test_types_stay(value):
    """Those of NumPy and pandas, to the nanosecond."""
    (found,) = again([value])
    assert type(found) is type(value)
    assert found == value


def test_arrays_stay():
    """Of numbers with type and shape; of objects as lists."""
    numbers, texts = np.arange(6, dtype="int16").reshape(2, 3), np.array(["a", None], object)
    found = again([numbers, texts])
    assert found[0].dtype == "int16"
    assert np.array_equal(found[0], numbers)
    assert found[1] == ["a", None]


def test_of_others_the_text_stays():
    """And missing values are None."""
    kind = enum.Enum("kind", "ONE")
    assert again([kind.ONE, pd.NA, pd.NaT, (1, 2), pd.Interval(1, 2), 1j]) == [
        "kind.ONE", None, None, (1, 2), "(1, 2]", "1j",
    ]  # fmt: skip
    assert again([decimal.Decimal("NaN")])[0].is_nan()
    assert again([uuid.UUID(int=5)]) == [uuid.UUID(int=5)]
