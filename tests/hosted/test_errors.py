"""A failing function (hosted API, section 2.7): what its owner is shown, and what nobody else is."""

import json

import httpx
import pytest
from server import Running
from session import Sdk
from versions import only

LINE = 11
"""Of the `raise` in fails.py."""
POSTED = """
@fused.udf
def posted(n: int = 1):
    print("measured", n)
    raise ValueError(f"no such lake: {n}")
"""


@only("1.14.2", "2.9.5")
def test_run_raises(sdk: Sdk, server: Running) -> None:
    """The SDK's own exception, with message, line and class; what was printed is printed here."""
    error = sdk.raised("fused.run(token, n=3)", token=server.token("fails"))
    assert error.kind == "UdfRuntimeError"
    assert "no such river: 3" in error.text
    assert f"in line {LINE}" in error.text
    assert error.child == "ValueError"
    assert "measured 3" in sdk.printed


@only("1.8.0")
def test_run_raises_in_the_oldest(sdk: Sdk, server: Running) -> None:
    """An HTTP error with everything in it as JSON."""
    error = sdk.raised("fused.run(token, n=3)", token=server.token("fails"))
    told = json.loads(error.text)
    assert error.kind == "HTTPError"
    assert (told["has_exception"], told["exception_class"], told["lineno"]) == (True, "ValueError", LINE)
    assert "no such river: 3" in told["errormsg"]
    assert "measured 3" in told["stdout"]


@only("1.14.2", "2.9.5")
def test_the_two_streams_are_told_apart(sdk: Sdk, server: Running) -> None:
    """What went to standard error comes out there."""
    told = sdk.get("fused.core.run_shared_file(token=token, n=4)", token=server.token("fails"))
    assert told["stdout"].split() == ["measured", "4"]
    assert told["stderr"].split() == ["too", "low"]


@only("1.14.2", "2.9.5")
def test_core_does_not_raise(sdk: Sdk, server: Running) -> None:
    """The result's object says it."""
    told = sdk.get("fused.core.run_shared_file(token=token, n=4)", token=server.token("fails"))
    assert (told["has_exception"], told["exception_class"], told["error_lineno"]) == (True, "ValueError", LINE)
    assert "no such river: 4" in told["error_message"]
    assert "measured 4" in told["stdout"]
    assert told["data"] is None


@only("1.14.2")
def test_async_twins_raise(sdk: Sdk, server: Running) -> None:
    """They do, with the same words."""
    error = sdk.raised("await fused.core.run_shared_file_async(token=token, n=5)", token=server.token("fails"))
    assert (error.kind, error.child) == ("UdfRuntimeError", "ValueError")
    assert "no such river: 5" in error.text


@only("1.14.2", "2.9.5")
def test_by_name(sdk: Sdk) -> None:
    """A saved one."""
    error = sdk.raised("fused.run('owner@localhost/fails', n=6)")
    assert (error.kind, error.child) == ("UdfRuntimeError", "ValueError")
    assert "no such river: 6" in error.text


@only("1.14.2", "2.9.5")
def test_of_an_object(sdk: Sdk) -> None:
    """A posted one."""
    error = sdk.raised(f"{POSTED}fused.run(posted, n=7, engine='remote')")
    assert (error.kind, error.child) == ("UdfRuntimeError", "ValueError")
    assert "no such lake: 7" in error.text
    assert "measured 7" in sdk.printed


@only("1.14.2", "2.9.5")
def test_source_that_does_not_parse_cannot_be_posted(sdk: Sdk) -> None:
    """The server's own sentence reaches the caller."""
    error = sdk.raised(f"{POSTED}posted.code = 'def posted(:'\nfused.run(posted, engine='remote')")
    assert "ValidationError" not in error.bases
    assert error.text not in ("", "{}")


@only("1.14.2", "2.9.5")
def test_strangers_see_a_sentence(stranger: Sdk, server: Running) -> None:
    """Neither message nor print, only that it failed."""
    error = stranger.raised("fused.run(token, n=8)", token=server.token("fails"))
    everything = error.text + stranger.printed + stranger.warned
    assert error.text
    assert "river" not in everything
    assert "measured" not in everything
    assert "ValueError" not in everything


@only("1.14.2")
def test_strangers_see_no_header(server: Running) -> None:
    """What is in the header for the owner is not in it for them."""
    url = f"{server.url}/server/v1/realtime-shared/{server.token('fails')}/run/file"
    answer = httpx.get(url, params={"n": 8})
    told = json.loads(answer.headers["x-fused-metadata"])
    assert answer.status_code == 422
    assert told["has_exception"] is True
    for secret in ("river", "measured", "too low", "ValueError"):
        assert secret not in answer.text + answer.headers["x-fused-metadata"]


@only("1.14.2", "2.9.5")
def test_what_a_good_run_printed(sdk: Sdk) -> None:
    """A posted source's output is printed where it was called; the newest wants to be asked."""
    verbose = "" if sdk.old else ", verbose=True"
    assert sdk.get(f"int(fused.run(fused.load('talks'), engine='remote', n=9{verbose}).n[0])") == 9
    assert "measured 9" in sdk.printed


@only("2.9.5")
def test_what_a_good_shared_run_printed(sdk: Sdk, server: Running) -> None:
    """It comes with the result's object, also when it came from the cache."""
    for _ in range(2):
        told = sdk.get("fused.core.run_shared_file(token=token, n=10)", token=server.token("talks"))
        assert "measured 10" in told["stdout"]


@only("1.14.2")
def test_the_header_stays_small(server: Running, owner: httpx.Client) -> None:
    """Whatever is printed: below what aiohttp takes, ASCII only, and the end of it is there."""
    url = f"{server.url}/server/v1/realtime-shared/{server.token('shouts')}/run/file"
    answer = owner.get(url)
    header = answer.headers["x-fused-metadata"]
    assert len(header) < 8190 - len("x-fused-metadata: ")
    assert header.isascii()
    assert "the end" in json.loads(header)["stdout"]


@only("1.14.2")
def test_async_twins_take_the_header(sdk: Sdk, server: Running) -> None:
    """aiohttp reads it."""
    told = sdk.get("await fused.core.run_shared_file_async(token=token)", token=server.token("shouts"))
    assert told["columns"]["n"]["values"] == [1]


@pytest.mark.parametrize("how", ["kill", "memory", "exit"])
@only("1.14.2")
def test_a_crash_is_the_functions_own(owner: httpx.Client, server: Running, how: str) -> None:
    """422, never 502 or 503, which the newest SDK would try again."""
    url = f"{server.url}/server/v1/realtime-shared/{server.token('crashes')}/run/file"
    answer = owner.get(url, params={"how": how})
    assert answer.status_code == 422
    assert json.loads(answer.headers["x-fused-metadata"])["has_exception"] is True
