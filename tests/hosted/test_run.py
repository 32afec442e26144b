"""`fused.run` in every form (hosted API, section 2.4, the table of forms)."""

import httpx
import pytest
from expected import hello, nowhere, tile
from server import Running
from session import Sdk
from versions import only

LOCAL = """
@fused.udf
def local(n: int = 1, name: str = "x"):
    import pandas as pd
    return pd.DataFrame({"a": [n, 2], "b": [name, "y"]})
"""
TILED = """
@fused.udf
def tiled(bounds: fused.types.TileGDF = None, n: int = 0):
    import pandas as pd
    tile = bounds.iloc[0]
    west = bounds.total_bounds[0]
    return pd.DataFrame({"z": [int(tile.z)], "x": [int(tile.x)], "y": [int(tile.y)], "n": [n], "west": [west]})
"""


def test_by_address_and_name(sdk: Sdk) -> None:
    """In one text."""
    assert sdk.get("fused.run('owner@localhost/hello', n=5)") == hello(5)


@only("1.14.2", "2.9.5")
def test_by_name(sdk: Sdk) -> None:
    """One's own."""
    assert sdk.get("fused.run('hello', n=5)") == hello(5)


def test_by_two_texts(sdk: Sdk) -> None:
    """Every 1.x takes them; the newest refuses."""
    if sdk.old:
        assert sdk.get("fused.run('owner@localhost', 'hello')") == hello()
    else:
        assert sdk.raised("fused.run('owner@localhost', 'hello')").kind == "TypeError"


@only("1.14.2", "2.9.5")
def test_of_a_tile(sdk: Sdk) -> None:
    """By name, with x, y and z."""
    assert sdk.get("fused.run('owner@localhost/where', x=1, y=2, z=3, n=4)") == tile(3, 1, 2, n=4)


@only("1.14.2", "2.9.5")
def test_parameters_in_a_dict(sdk: Sdk) -> None:
    """They join the others."""
    assert sdk.get("fused.run('owner@localhost/hello', name='z', parameters={'n': 7})") == hello(7, "z")


def test_by_token(sdk: Sdk, server: Running) -> None:
    """Its text, its object, and a tile of it."""
    assert sdk.get("fused.run(token, n=5)", token=server.token("hello")) == hello(5)
    assert sdk.get("fused.run(api.get_udf_access_token(token), n=6)") == hello(6)
    assert sdk.get("fused.run(token, x=1, y=2, z=3)", token=server.token("where")) == tile(3, 1, 2)
    assert sdk.get("fused.run(token, n=3)") == nowhere(3)


def test_by_token_as_keyword(sdk: Sdk, server: Running) -> None:
    """Every 1.x takes it; the newest says that there is no UDF."""
    if sdk.old:
        assert sdk.get("fused.run(token=token)", token=server.token("hello")) == hello()
    else:
        assert sdk.raised("fused.run(token=token)", token=server.token("hello")).kind == "ValueError"


@only("1.14.2", "1.8.0")
def test_by_token_asynchronously(sdk: Sdk, server: Running) -> None:
    """`sync=False` gives what can be awaited."""
    assert sdk.get("await fused.run(token, n=5, sync=False)", token=server.token("hello")) == hello(5)
    assert sdk.get("await fused.run(token, x=1, y=2, z=3, sync=False)", token=server.token("where")) == tile(3, 1, 2)


@only("2.9.5")
def test_by_token_asynchronously_in_the_newest(sdk: Sdk, server: Running) -> None:
    """Its own mistake, which never leaves the SDK."""
    assert sdk.raised("await fused.run(token, sync=False)", token=server.token("hello")).kind == "TypeError"


def test_by_name_asynchronously(sdk: Sdk) -> None:
    """The same values."""
    assert sdk.get("await fused.run('owner@localhost/hello', n=5, sync=False)") == hello(5)


def test_an_object(sdk: Sdk) -> None:
    """The source travels in the request; nothing is saved."""
    drop = ".drop(columns='fused_index')" if sdk.version == "1.8.0" else ""  # the oldest adds it by itself
    assert sdk.get(f"{LOCAL}fused.run(local, n=5, name='q'){drop}") == hello(5, "q")
    assert sdk.get(f"fused.run(local){drop}") == hello()
    error = sdk.raised("fused.core.load_udf_from_fused('owner@localhost', 'local')")
    assert "UDF not found" in error.text


@only("1.14.2", "2.9.5")
def test_an_object_on_a_named_engine(sdk: Sdk) -> None:
    """`remote` asks the server, `local` does not."""
    for engine in ("remote", "local"):
        assert sdk.get(f"{LOCAL}fused.run(local, n=5, engine='{engine}')") == hello(5)


@only("1.14.2", "2.9.5")
def test_an_object_of_a_tile(sdk: Sdk) -> None:
    """The tile is in the address, the source in the body."""
    assert sdk.get(f"{TILED}fused.run(tiled, x=1, y=2, z=3, n=4)") == tile(3, 1, 2, n=4)


@only("2.9.5")
def test_an_object_asynchronously(sdk: Sdk) -> None:
    """`run_async`, and `sync=False`."""
    assert sdk.get(f"{LOCAL}await fused.run_async(local, n=5)") == hello(5)
    assert sdk.get("await fused.run(local, n=6, sync=False)") == hello(6)


@only("2.9.5")
def test_an_object_without_polling(sdk: Sdk) -> None:
    """A plain POST answers with the result."""
    assert sdk.get(f"{LOCAL}fused.run(local, n=5, _use_polling=False)") == hello(5)


@only("2.9.5")
def test_a_run_longer_than_one_request(sdk: Sdk) -> None:
    """The start answers in time, and the client asks again until the result is there."""
    assert sdk.get("float(fused.run('naps', seconds=7.5).seconds[0])") == 7.5


@only("1.14.2", "2.9.5")
def test_an_object_with_modules_beside_it(sdk: Sdk) -> None:
    """Headers travel with the source."""
    (sdk.home / "levels.py").write_text("def level(n):\n    return n * 10\n")
    told = sdk.get(
        "@fused.udf(headers=['levels.py'])\n"
        "def levelled(n: int = 1):\n"
        "    import pandas as pd\n"
        "    from levels import level\n"
        "    return pd.DataFrame({'level': [level(n)]})\n"
        "int(fused.run(levelled, n=4).level[0])"
    )
    assert told == 40


@only("1.14.2", "2.9.5")
@pytest.mark.parametrize("what", ["'owner@localhost/stamps'", "token", "fused.load('stamps')"])
def test_an_age_for_kept_results(sdk: Sdk, server: Running, what: str) -> None:
    """Within it the result is the same one; with an age of nothing another."""
    call = f"fused.run({what}, n=3, cache_max_age='%s').stamp[0]"
    first = sdk.get(call % "1h", token=server.token("stamps"))
    assert sdk.get(call % "1h") == first
    assert sdk.get(call % "0s") != first


@only("2.9.5")
def test_no_cache_at_all(sdk: Sdk) -> None:
    """`cache=False` is an age of nothing."""
    assert sdk.get("fused.run('stamps', n=4, cache=False).stamp[0]") != sdk.get("fused.run('stamps', n=4).stamp[0]")


@only("2.9.5")
def test_kept_results_are_given_up(sdk: Sdk) -> None:
    """`invalidate_cache` of a saved UDF: the next run is a new one."""
    token = sdk.get("api.create_udf_access_token('stamps').token")
    first = sdk.get("fused.run(token, n=5).stamp[0]", token=token)
    sdk.get("fused.load('stamps').invalidate_cache()")
    assert sdk.get("fused.run(token, n=5).stamp[0]") != first


@only("2.9.5")
def test_kept_tiles_are_given_up(sdk: Sdk, owner: httpx.Client) -> None:
    """By the SDK one tile, by its documentation several; no other, and no file."""
    token = sdk.get("api.create_udf_access_token('stamps').token")
    stamp = "fused.run(token, n=6).stamp[0]"
    file = sdk.get(stamp, token=token)

    def tiles() -> list[bytes]:
        return [owner.get(f"/tiles/{token}/1/{x}/1.csv?n=6").content for x in (0, 1)]

    first = tiles()
    udf_id = sdk.get("fused.load('stamps').invalidate_cache(z=1, x=0, y=1).metadata['fused:id']")
    second = tiles()
    assert [one != other for one, other in zip(first, second, strict=True)] == [True, False]
    place = f"/server/v1/realtime-shared/any/udf-cache/by-id/{udf_id}"
    answer = owner.post(f"{place}/batch-delete", json={"tiles": [{"z": 1, "x": x, "y": 1} for x in (0, 1)]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert all(one != other for one, other in zip(second, tiles(), strict=True))
    assert sdk.get(stamp) == file


SEVERAL = """
def helper(n):
    import pandas as pd
    return pd.DataFrame({"n": [n]})

@fused.udf
def first(n: int = 1):
    return helper(n)

@fused.udf
def second(n: int = 1):
    return helper(n * 10)
"""


@only("1.14.2")
def test_one_of_several_functions(sdk: Sdk) -> None:
    """The object's `entrypoint` says which, posted and saved; a name that no function has is an error that says so."""
    taken = "udf = fused.load('owner@localhost/hello')\nudf.code, udf.entrypoint, udf.metadata = code, entry, None\n"
    for entry, n in (("second", 40), ("first", 4)):
        run = f"{taken}int(fused.run(udf, engine='remote', n=4).n[0])"
        assert sdk.get(run, code=SEVERAL, entry=entry) == n
    sdk.get(f"{taken}udf.to_fused(slug='several')\nNone", code=SEVERAL, entry="second")
    assert sdk.get("int(fused.run('owner@localhost/several', n=5).n[0])") == 50
    error = sdk.raised(f"{taken}fused.run(udf, engine='remote')", code=SEVERAL, entry="third")
    assert "no function 'third'" in error.text
