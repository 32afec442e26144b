"""Account and discovery (hosted API, section 2.1)."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from server import Running
from session import Sdk
from versions import only

WHO = {"email": "owner@localhost", "handle": "owner"}
ELSEWHERE = """
import os, subprocess, sys
env = os.environ | {"FUSED_AUTH_TOKEN_TYPE": "Fused-Env-Bearer", "FUSED_AUTH_TOKEN": token}
command = [sys.executable, "-W", "ignore", "-c", "import fused; print(fused.api.whoami()['email'])"]
done = subprocess.run(command, env=env, capture_output=True, text=True)
done.stdout.strip() or done.stderr
"""
"""In a process of its own, which reads the environment when it starts."""


def test_whoami(sdk: Sdk) -> None:
    """The owner's account, with everything that the SDK's documentation says is in it."""
    told = sdk.get("api._whoami()")
    assert {name: told[name] for name in WHO} == WHO
    assert told["id"]
    assert told["name"]
    assert told["execution_environment_id"]


@only("1.14.2", "2.9.5")
def test_whoami_by_its_public_name(sdk: Sdk) -> None:
    """`fused.api.whoami()` is the same."""
    assert sdk.get("fused.api.whoami()") == sdk.get("api._whoami()")


def test_health(sdk: Sdk) -> None:
    """True."""
    assert sdk.get("api._health()") is True


def test_the_client_id_is_found(sdk: Sdk) -> None:
    """The list of instances names one that is preferred."""
    listed = sdk.get("api._list_realtime_instances()")
    assert [each["preference_rank"] for each in listed]
    assert sdk.get("api._automatic_realtime_client_id()") == listed[0]["client_id"]


@only("1.14.2", "1.8.0")
def test_packages_are_not_chosen(sdk: Sdk) -> None:
    """The list of packages is there, as an object, and has none."""
    assert sdk.get("api.dependency_whitelist()") == {"dependency_whitelist": {}}


@only("2.9.5")
def test_the_team_is_there(sdk: Sdk) -> None:
    """An object with an id and a name."""
    told = sdk.get("api._team_info()")
    assert told["id"] == sdk.get("api._whoami()['execution_environment_id']")
    assert told["name"]


def test_the_environments_token(sdk: Sdk, server: Running) -> None:
    """A text that lets in as the account's private token does, and is another one."""
    told = sdk.get("api.auth_token()")
    assert told != server.private_token
    with server.client(headers={"Authorization": f"Fused-Env-Bearer {told}"}) as client:
        assert client.get("/server/v1/user/self").json() == sdk.get("api._whoami()")


@only("1.8.0")
def test_ones_own_token_as_the_overview_reads_it(sdk: Sdk, server: Running) -> None:
    """It is the one of the credentials file."""
    told = sdk.get("from fused._auth import CREDENTIALS\nCREDENTIALS.credentials.access_token")
    assert told == server.private_token


@only("1.14.2", "2.9.5")
def test_ones_own_token_by_its_later_name(sdk: Sdk, server: Running) -> None:
    """`fused.api.access_token()` reads the same file."""
    assert sdk.get("fused.api.access_token()") == server.private_token


def test_credentials_that_nobody_has(sdk: Sdk, server: Running) -> None:
    """A wrong private token is refused in words."""
    wrong = "fpt_" + "x" * 43
    with server.client(headers={"Authorization": f"Bearer {wrong}"}) as client:
        answer = client.get("/server/v1/user/self")
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("scheme", ["Bearer", "Fused-Env-Bearer", "Fused-Rtenv-Bearer", "fused-service-token"])
@only("1.14.2")
def test_every_scheme_of_authorisation(server: Running, scheme: str) -> None:
    """All four name the same account, whatever the case of their letters."""
    with server.client(headers={"Authorization": f"{scheme} {server.private_token}"}) as client:
        assert client.get("/server/v1/user/self").json()["email"] == WHO["email"]


@only("1.14.2", "2.9.5")
def test_credentials_from_the_environment(sdk: Sdk, server: Running) -> None:
    """`FUSED_AUTH_TOKEN` with the scheme that a worker has is as good as the file."""
    credentials = sdk.home / ".fused" / "credentials"
    aside = credentials.rename(credentials.with_name("aside"))
    try:
        told = sdk.get(ELSEWHERE, token=server.private_token)
    finally:
        aside.rename(credentials)
    assert told == WHO["email"]


def test_login_writes_what_the_sdk_reads(sdk: Sdk, server: Running, tmp_path: Path) -> None:
    """`tileserver login URL --fused`, and no line more."""
    command = [sys.executable, "-m", "tileserver", "login", server.url, "--fused"]
    subprocess.run(command, input=server.private_token, text=True, env={"HOME": str(tmp_path)}, check=True)
    signed_in = Sdk(sdk.version, sdk.python, tmp_path)
    try:
        assert signed_in.get("api._whoami()['email']") == WHO["email"]
        assert signed_in.get("fused.options.base_url") == f"{server.url}/server/v1"
    finally:
        signed_in.close()


@only("2.9.5")
def test_the_months_usage(sdk: Sdk, owner: httpx.Client, server: Running) -> None:
    """What the SDK ran is counted where the hosted API's documentation reads it."""

    def month() -> dict[str, int]:
        return dict(owner.get("/server/v1/execution-env/self/realtime/usage").json())

    before = month()
    sdk.get("fused.run(token, n=123)", token=server.token("hello"))
    sdk.raised("fused.run(token, n=123)", token=server.token("fails"))
    after = month()
    counts = {name: after[name] - before[name] for name in ("calls_total", "calls_success", "calls_error")}
    assert counts == {"calls_total": 2, "calls_success": 1, "calls_error": 1}
    assert after["calls_total_time"] > before["calls_total_time"]
    assert after["calls_cached"] == before["calls_cached"]
