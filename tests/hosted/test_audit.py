"""The audit log (hosted API, section 5), as the newest SDK reads it."""

from server import Running
from session import Sdk
from versions import only


@only("2.9.5")
def test_a_run_is_in_the_log(sdk: Sdk, server: Running) -> None:
    """By its function's name, with its token and what it printed."""
    sdk.get("fused.run(token, n=77)", token=server.token("talks"))
    told = sdk.get("fused.api.log(udf_name='talks', scan_forward=False, limit=1)")["items"]
    assert [each["udf_name"] for each in told] == ["talks"]
    assert told[0]["user_email"] == "owner@localhost"
    assert "measured 77" in told[0]["stdout"]


@only("2.9.5")
def test_the_log_is_paged(sdk: Sdk, server: Running) -> None:
    """A page says where the next one begins."""
    sdk.get("[fused.run(token, n=n, cache_max_age='0s') for n in (1, 2, 3)] and None", token=server.token("talks"))
    first = sdk.get("page = fused.api.log(udf_name='talks', limit=1)\npage")
    second = sdk.get("fused.api.log(udf_name='talks', limit=1, page_token=page['next_page_token'])")
    assert first["next_page_token"]
    assert first["items"][0]["id"] != second["items"][0]["id"]


@only("2.9.5")
def test_every_way_into_the_log(sdk: Sdk, server: Running) -> None:
    """By id, by UDF, by the token that opened it, of the environment, and the names of what ran."""
    token = sdk.get("token = api.create_udf_access_token('talks').token\ntoken")
    sdk.get("[fused.run(each, n=n) for n, each in ((501, token), (502, named))] and None", named=server.token("talks"))
    told = sdk.get("fused.api.log(shared_token=token)")["items"]
    assert [each["udf_data"]["parameters"] for each in told] == [{"n": 501}]
    assert told[0]["shared_token"] == token
    newest = "limit=1, scan_forward=False"
    last = sdk.get(f"fused.api.log({newest})")["items"][0]
    assert (last["shared_token"], last["udf_data"]["parameters"]) == (server.token("talks"), {"n": 502})
    udf = f"udf_id='{last['udf_id']}'"
    for spelt in (f"id='{last['id']}'", f"{udf}, {newest}", f"exec_env=True, {newest}"):
        assert sdk.get(f"fused.api.log({spelt})")["items"] == [last]
    for more in ("", ", exec_env=True"):
        assert sdk.get(f"fused.api.log(distinct=True, distinct_type='names'{more})")["items"][0] == "talks"
        assert sdk.get(f"fused.api.log(distinct=True, distinct_type='ids'{more})")["items"][0] == last["udf_id"]
    assert sdk.get("fused.api.log(distinct=True, distinct_type='ids', end_timestamp='2001-01-01')")["items"] == []
    assert "Token not found" in sdk.raised("fused.api.log(shared_token='fsh_' + 'a' * 43)").text
