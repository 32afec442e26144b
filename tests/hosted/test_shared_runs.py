"""Runs by shared token (hosted API, section 2.4), as the SDK's core makes them, and their async twins."""

import httpx
from expected import hello, tile
from server import Running
from session import Sdk
from versions import only

FILE = "fused.core.run_shared_file(token=token"
TILE = "fused.core.run_shared_tile(token=token, x=1, y=2, z=3"


def data(sdk: Sdk) -> str:
    """What follows a call for its value: the oldest gives data at once."""
    return "" if sdk.version == "1.8.0" else ".data"


def test_a_file_run(sdk: Sdk, server: Running) -> None:
    """As the overview has it: what the function returned."""
    assert sdk.get(f"{FILE}, n=5, name='a b&é'){data(sdk)}", token=server.token("hello")) == hello(5, "a b&é")


def test_defaults(sdk: Sdk, server: Running) -> None:
    """A parameter that is not given has its own."""
    assert sdk.get(f"{FILE}){data(sdk)}", token=server.token("hello")) == hello()


def test_what_the_function_does_not_take_is_dropped(sdk: Sdk, server: Running) -> None:
    """The overview's `my_param` harms nobody."""
    assert sdk.get(f"{FILE}, my_param='...'){data(sdk)}", token=server.token("hello")) == hello()


def test_a_tile_run(sdk: Sdk, server: Running) -> None:
    """The function gets the tile as a GeoDataFrame."""
    assert sdk.get(f"{TILE}, n=4){data(sdk)}", token=server.token("where")) == tile(3, 1, 2, n=4)


def test_nobody_needs_credentials(stranger: Sdk, server: Running) -> None:
    """The token is enough."""
    assert stranger.get(f"{FILE}, n=6){data(stranger)}", token=server.token("hello")) == hello(6)
    assert stranger.get(f"{TILE}){data(stranger)}", token=server.token("where")) == tile(3, 1, 2)


def test_credentials_of_nobody_do_no_harm(server: Running) -> None:
    """A token route asks for none, so wrong ones are as none."""
    url = f"/server/v1/realtime-shared/{server.token('hello')}/run/file"
    with server.client(headers={"Authorization": "Bearer nobody"}) as client:
        assert client.get(url).status_code == 200


@only("1.14.2", "1.8.0")
def test_async_twins(sdk: Sdk, server: Running) -> None:
    """They give data, in every 1.x."""
    told = sdk.get("await fused.core.run_shared_file_async(token=token, n=7)", token=server.token("hello"))
    assert told == hello(7)
    told = sdk.get("await fused.core.run_shared_tile_async(token=token, x=1, y=2, z=3)", token=server.token("where"))
    assert told == tile(3, 1, 2)


@only("2.9.5")
def test_async_twins_of_the_newest(sdk: Sdk, server: Running) -> None:
    """They stumble over their own `profile=False`; with another spelling of it they give what the others give."""
    call = "await fused.core.run_shared_file_async(token=token, n=7"
    assert sdk.raised(f"{call})", token=server.token("hello")).kind == "TypeError"
    assert sdk.get(f"({call}, _profile=0)).data", token=server.token("hello")) == hello(7)
    call = "await fused.core.run_shared_tile_async(token=token, x=1, y=2, z=3, _profile=0)"
    assert sdk.get(f"({call}).data", token=server.token("where")) == tile(3, 1, 2)


def test_a_token_that_nobody_has(sdk: Sdk) -> None:
    """An HTTP error, and the very same for one that is disabled."""
    disabled = sdk.get("api.create_udf_access_token('hello', enabled=False).token")
    errors = [sdk.raised(f"{FILE})", token=token) for token in ("fsh_" + "x" * 43, disabled)]
    assert all("HTTPError" in error.bases for error in errors)
    assert errors[0].text.replace("fsh_" + "x" * 43, "") == errors[1].text.replace(disabled, "")


def test_a_tile_that_cannot_be(sdk: Sdk, server: Running) -> None:
    """There is no column 9 at zoom 3."""
    error = sdk.raised("fused.core.run_shared_tile(token=token, x=9, y=2, z=3)", token=server.token("where"))
    assert "HTTPError" in error.bases


def test_a_result_is_kept(sdk: Sdk, server: Running) -> None:
    """The second run is the first one's; with an age of nothing it is a new one."""
    stamp = f"{FILE}, n=1){data(sdk)}.stamp[0]"
    first = sdk.get(stamp, token=server.token("stamps"))
    assert sdk.get(stamp) == first
    if sdk.version != "1.8.0":
        assert sdk.get(f"{FILE}, n=1, cache_max_age=0){data(sdk)}.stamp[0]") != first


def test_another_format_is_another_entry(server: Running) -> None:
    """Of the same parameters."""
    url = f"{server.url}/server/v1/realtime-shared/{server.token('stamps')}/run/file"
    texts = [httpx.get(url, params={"format": each, "n": 9}).text for each in ("csv", "json", "csv")]
    assert texts[0] == texts[2]
    assert texts[1] not in texts[0]


def test_a_token_without_cache_keeps_nothing(sdk: Sdk) -> None:
    """`cache=False` on the token."""
    token = sdk.get("api.create_udf_access_token('stamps', cache=False).token")
    stamps = {sdk.get(f"{FILE}){data(sdk)}.stamp[0]", token=token) for _ in range(2)}
    assert len(stamps) == 2


@only("2.9.5")
def test_the_newest_sees_that_a_result_was_kept(sdk: Sdk, server: Running) -> None:
    """`is_cached` is what it says."""
    call = f"{FILE}, n=2)"
    told = sdk.get(f"[{call}.is_cached, {call}.is_cached]", token=server.token("stamps"))
    assert told == [False, True]
