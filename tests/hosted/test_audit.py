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
