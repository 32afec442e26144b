"""Parameters of every Python type (hosted API, section 2.5), and what of them the function got."""

from typing import Any, NamedTuple

import pytest
from server import Running
from session import Sdk
from versions import only

SETUP = """
import datetime, numpy as np, pandas as pd, geopandas as gpd, shapely
def told(frame):
    return {row["name"]: [row["type"], row["text"]] for row in frame.to_dict("records")}
"""
LATER = ("1.14.2", "2.9.5")


class Given(NamedTuple):
    """A keyword argument as source, and what should come of it."""

    keyword: str
    kind: str
    text: str

    @property
    def name(self) -> str:
        return self.keyword.partition("=")[0]

    def check(self, told: dict[str, list[str]]) -> None:
        assert told[self.name] == [self.kind, self.text]


EVERYWHERE = [
    Given("i=-7", "int", "-7"),
    Given("f=1.5", "float", "1.5"),
    Given("f=2", "float", "2.0"),
    Given("s='a b&c=é/%'", "str", "'a b&c=é/%'"),
    Given("s='[1]'", "str", "'[1]'"),
    Given("s=''", "str", "''"),
    Given("b=True", "bool", "True"),
    Given("b=False", "bool", "False"),
    Given("ints=[1, 2]", "list", "[1, 2]"),
    Given("i=None", "int", "0"),
    Given("when=datetime.datetime(2024, 1, 2, 3, 4, 5)", "str", "'2024-01-02T03:04:05'"),
]
"""What every version can say in a query."""
IN_JSON = [
    Given("lst=[1, 'x', None]", "list", "[1, 'x', None]"),
    Given("tup=(1, 'x')", "tuple", "(1, 'x')"),
    Given("d={'k': [1, {'m': True}]}", "dict", "{'k': [1, {'m': True}]}"),
    Given("df=pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})", "dict", "{'a': [1, 2], 'b': ['x', 'y']}"),
    Given("gdf=gpd.GeoDataFrame({'a': [1]}, geometry=[shapely.Point(1, 2)], crs=4326)", "list", "['POINT (1 2)', 1]"),
    Given("box=[0, 1, 2, 3]", "tuple", "(0.0, 1.0, 2.0, 3.0)"),
    Given("raw=[1, 2]", "str", "'[1, 2]'"),
    Given("raw=True", "str", "'true'"),
]
"""What those say as JSON that encode richer values; an unannotated parameter gets the text."""
BY_ADDRESS = [
    Given("i=np.int64(7)", "int", "7"),
    Given("geom=shapely.Point(1, 2)", "str", "'POINT (1 2)'"),
    Given("raw=5", "str", "'5'"),
    Given("raw='5'", "str", "'5'"),
]
"""What 1.x cannot put into a record, and what has no type in a query."""


def arrived(sdk: Sdk, call: str, **names: Any) -> dict[str, list[str]]:
    """Type and text of each parameter as the function saw it."""
    told: dict[str, list[str]] = sdk.get(f"{SETUP}told({call})", **names)
    return told


@pytest.mark.parametrize("given", [*EVERYWHERE, *BY_ADDRESS], ids=lambda given: given.keyword[:30])
def test_in_a_query(sdk: Sdk, server: Running, given: Given) -> None:
    """Of a run by shared token."""
    given.check(arrived(sdk, f"fused.run(token, {given.keyword})", token=server.token("arrives")))


@only(*LATER)
@pytest.mark.parametrize("given", IN_JSON, ids=lambda given: given.keyword[:30])
def test_as_json_in_a_query(sdk: Sdk, server: Running, given: Given) -> None:
    """The same for richer values."""
    given.check(arrived(sdk, f"fused.run(token, {given.keyword})", token=server.token("arrives")))


@only(*LATER)
@pytest.mark.parametrize("given", [*EVERYWHERE, *IN_JSON], ids=lambda given: given.keyword[:30])
def test_in_an_object_run(sdk: Sdk, given: Given) -> None:
    """The parameters travel inside the posted source's record."""
    given.check(arrived(sdk, f"fused.run(fused.load('arrives'), engine='remote', {given.keyword})"))


@only(*LATER)
def test_a_number_in_an_object_run_stays_one(sdk: Sdk) -> None:
    """A record has types, so an unannotated parameter gets the number."""
    told = arrived(sdk, "fused.run(fused.load('arrives'), engine='remote', raw=5)")
    assert told["raw"] == ["int", "5"]


@only("1.14.2")
@pytest.mark.parametrize("given", [*EVERYWHERE, *IN_JSON], ids=lambda given: given.keyword[:30])
def test_in_a_saved_run(sdk: Sdk, given: Given) -> None:
    """As in a query of a token."""
    given.check(arrived(sdk, f"fused.core.run_file('arrives', {given.keyword}).data"))


@only(*LATER)
def test_what_does_not_convert(sdk: Sdk, server: Running) -> None:
    """The run fails, and the server's sentence names the parameter."""
    with server.client() as client:
        answer = client.get(f"/server/v1/realtime-shared/{server.token('arrives')}/run/file", params={"i": "seven"})
    assert answer.status_code == 422
    assert "'i'" in str(answer.json()["detail"])
    assert sdk.raised("fused.run(token, i='seven')", token=server.token("arrives"))


@pytest.mark.parametrize(
    "name", ["format", "profile", "cache_reset", "fused_session_token", "_anything", "_stream_logs"]
)
@only("1.14.2")
def test_reserved_names_do_not_arrive(server: Running, name: str) -> None:
    """Not even where a function takes whatever there is."""
    with server.client() as client:
        url = f"/server/v1/realtime-shared/{server.token('takes_all')}/run/file"
        told = client.get(url, params={"river": "Ob", name: "json", "dtype_out_vector": "json"}).json()
    assert told == [{"name": "river", "type": "str", "text": "'Ob'"}]
