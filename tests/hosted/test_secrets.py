"""Secrets of an account (hosted API, section 2.4): set, read, listed and deleted by the SDK, and read in a function."""

import httpx
from server import Running
from session import Sdk
from versions import only

LATER = only("1.14.2", "2.9.5")


@LATER
def test_a_secret_is_kept(sdk: Sdk) -> None:
    """By item and by attribute."""
    sdk.get("fused.secrets['river'] = 'Ob é'")
    assert sdk.get("[fused.secrets['river'], fused.secrets.river]") == ["Ob é", "Ob é"]


@LATER
def test_it_is_changed(sdk: Sdk) -> None:
    """The last value counts."""
    sdk.get("fused.secrets['lake'] = 'Aral'\nfused.secrets['lake'] = 'Baikal'")
    assert sdk.get("fused.secrets['lake']") == "Baikal"


@LATER
def test_secrets_are_listed(sdk: Sdk) -> None:
    """Their names."""
    sdk.get("fused.secrets['sea'] = 'Kara'")
    assert sdk.get("'sea' in list(fused.secrets)") is True
    assert sdk.get("sorted(api.list_secrets()) == sorted(fused.secrets)") is True


@LATER
def test_a_secret_is_deleted(sdk: Sdk) -> None:
    """Then it is not there."""
    sdk.get("fused.secrets['strait'] = 'Bering'\ndel fused.secrets['strait']")
    assert sdk.get("'strait' in list(fused.secrets)") is False
    assert sdk.raised("fused.secrets['strait']")


@LATER
def test_a_function_reads_it(sdk: Sdk, server: Running) -> None:
    """One of the same account."""
    sdk.get("fused.secrets['bay'] = 'Ungava'")
    assert sdk.get("fused.run(token, key='bay').secret[0]", token=server.token("keeps")) == "Ungava"


@LATER
def test_nobody_else_reads_it(sdk: Sdk, server: Running) -> None:
    """Neither without credentials nor with a shared token of the account."""
    sdk.get("fused.secrets['gulf'] = 'Penzhina'")
    for headers in ({}, {"Authorization": f"Bearer {server.token('keeps')}"}):
        answer = httpx.get(f"{server.url}/server/v1/realtime/fused/api/v1/secrets/gulf", headers=headers)
        assert answer.status_code == 401
        assert "Penzhina" not in answer.text


@LATER
def test_it_is_sealed_at_rest(sdk: Sdk, server: Running) -> None:
    """Nothing in the data directory has its text."""
    sdk.get("fused.secrets['cape'] = 'Dezhnyov-and-a-long-tail'")
    files = [path for path in server.data.rglob("*") if path.is_file() and "scratch" not in path.parts]
    assert files
    assert not [path for path in files if b"Dezhnyov-and-a-long-tail" in path.read_bytes()]


@only("2.9.5")
def test_a_users_own_secrets(sdk: Sdk) -> None:
    """Which the newest reads by another address: the account's."""
    sdk.get("fused.secrets['fjord'] = 'Ob Bay'")
    assert sdk.get("[fused.user_secrets['fjord'], fused.user_secrets.fjord]") == ["Ob Bay", "Ob Bay"]
    assert "fjord" in sdk.get("list(fused.user_secrets)")
    assert "Secret not found" in sdk.raised("fused.user_secrets['skerry']").text
