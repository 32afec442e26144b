"""Runs of saved UDFs by address and name (hosted API, section 2.4): the overview's `run_file`, its twins, and curl."""

import httpx
import pytest
from expected import hello, nowhere, tile
from server import Running
from session import Sdk
from test_shared_runs import data
from versions import only

RAW = "/server/v1/realtime/{client}/api/v1/run/udf/saved/{who}/{name}"


@only("1.14.2", "1.8.0")
def test_run_file(sdk: Sdk) -> None:
    """By address and name, with parameters."""
    told = sdk.get(f"fused.core.run_file('owner@localhost', 'hello', n=5, name='é'){data(sdk)}")
    assert told == hello(5, "é")


@only("1.14.2", "1.8.0")
def test_run_file_by_name(sdk: Sdk) -> None:
    """A name alone is one's own."""
    assert sdk.get(f"fused.core.run_file('hello', n=3){data(sdk)}") == hello(3)


@only("1.14.2", "1.8.0")
def test_run_file_of_what_was_saved(sdk: Sdk) -> None:
    """A UDF that the SDK saved is run as one of a file is."""
    sdk.get("@fused.udf\ndef sava(n: int = 1):\n    import pandas as pd\n    return pd.DataFrame({'n': [n]})")
    sdk.get("sava.to_fused()")
    assert sdk.get(f"int(fused.core.run_file('owner@localhost', 'sava', n=3){data(sdk)}.n[0])") == 3


@only("1.14.2", "1.8.0")
def test_run_tile(sdk: Sdk) -> None:
    """The function gets the tile."""
    told = sdk.get(f"fused.core.run_tile('owner@localhost', 'where', x=1, y=2, z=3, n=4){data(sdk)}")
    assert told == tile(3, 1, 2, n=4)


@only("1.14.2", "1.8.0")
def test_async_twins(sdk: Sdk) -> None:
    """As the overview has it; they give data."""
    assert sdk.get("await fused.core.run_file_async('owner@localhost', 'hello', n=7)") == hello(7)
    told = sdk.get("await fused.core.run_tile_async('owner@localhost', 'where', x=1, y=2, z=3)")
    assert told == tile(3, 1, 2)


@only("1.14.2", "1.8.0")
def test_any_client_id(sdk: Sdk) -> None:
    """The server takes whatever stands there."""
    told = sdk.get(f"fused.core.run_file('owner@localhost', 'hello', _client_id='mine'){data(sdk)}")
    assert told == hello()


@only("1.14.2", "1.8.0")
def test_a_name_that_nobody_has(sdk: Sdk) -> None:
    """Not found, and the same for an account that nobody has."""
    errors = [sdk.raised(f"fused.core.run_file('{who}@localhost', 'nothing')") for who in ("owner", "nobody")]
    assert all("HTTPError" in error.bases and error.text == "UDF not found" for error in errors)


@only("2.9.5")
def test_the_newest_has_none_of_them(sdk: Sdk) -> None:
    """It says so itself."""
    for name in ("run_file", "run_file_async", "run_tile", "run_tile_async"):
        assert sdk.raised(f"fused.core.{name}").kind == "AttributeError"


@only("1.14.2")
@pytest.mark.parametrize("who", ["owner@localhost", "owner%40localhost"])
def test_curl(owner: httpx.Client, who: str) -> None:
    """The overview's line, with the at sign as it is and escaped: Parquet under the type that the SDK knows."""
    url = RAW.format(client="fused", who=who, name="hello") + "?dtype_out_raster=png&dtype_out_vector=parquet"
    answer = owner.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content.startswith(b"PAR1")


@only("1.14.2")
def test_curl_needs_the_owner(server: Running) -> None:
    """Without credentials it is unauthorised; a shared token is no credential of an account."""
    url = RAW.format(client="fused", who="owner@localhost", name="hello")
    with server.client() as client:
        assert client.get(url).status_code == 401
        shared = {"Authorization": f"Bearer {server.token('hello')}"}
        assert client.get(url, headers=shared).status_code == 401


@only("1.14.2")
def test_no_tile_is_no_tile(sdk: Sdk) -> None:
    """A file run of a tile function injects nothing."""
    assert sdk.get("fused.core.run_file('owner@localhost', 'where', n=2).data") == nowhere(2)


@only("1.14.2")
def test_formats_by_dtype(sdk: Sdk) -> None:
    """`_dtype_out_vector` chooses; what the SDK cannot decode it gives as bytes."""
    call = "fused.core.run_file('owner@localhost', 'hello', _dtype_out_vector='csv').data"
    assert [line[-3:] for line in sdk.get(call)["text"].splitlines()[1:]] == ["1,x", "2,y"]
