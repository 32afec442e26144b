"""The fused SDK's files: written, merged, and put back as they were."""

import json
import stat
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tileserver.cli import sdk
from tileserver.errors import SetupError

URL, TOKEN = "https://maps.example.org", "fpt_secret"
OURS = {"base_url": f"{URL}/server/v1", "shared_udf_base_url": f"{URL}/server/v1/realtime-shared"}
SETTINGS = """# mine
request_timeout = 5
base_url = "https://www.fused.io/server/v1"  # theirs
note = '''
a
'''

[auth]
base_url = "stays"
client_id = "x"
"""


def contents(folder: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in folder.iterdir()}


def test_what_the_sdk_reads(tmp_path: Path) -> None:
    """Credentials for every version of it, that never need to be refreshed; readable by their user only."""
    folder = tmp_path / ".fused"
    places = sdk.write(folder, URL, TOKEN)
    assert places == [folder / "settings.toml", folder / "credentials"]
    assert tomllib.loads(places[0].read_text()) == OURS
    kept = json.loads(places[1].read_text())
    assert (kept["access_token"], kept["auth_scheme"], kept["token_type"]) == (TOKEN, "Bearer", "Bearer")
    assert {"refresh_token", "id_token", "scope", "expires_in", "expires_at"} <= set(kept)
    assert datetime.fromisoformat(kept["expires_at"]) > datetime(2100, 1, 1, tzinfo=UTC)
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_other_settings_stay(tmp_path: Path) -> None:
    """Comments and tables too; what was there is put back to the letter."""
    (tmp_path / "settings.toml").write_text(SETTINGS)
    (tmp_path / "credentials").write_text("theirs")
    before = contents(tmp_path)
    sdk.write(tmp_path, "https://elsewhere.example.org", "another")
    sdk.write(tmp_path, URL, TOKEN)
    text = (tmp_path / "settings.toml").read_text()
    assert tomllib.loads(text) == tomllib.loads(SETTINGS) | OURS
    assert "# mine" in text
    assert sdk.restore(tmp_path) == [tmp_path / "credentials", tmp_path / "settings.toml"]
    assert contents(tmp_path) == before
    assert sdk.restore(tmp_path) == []


def test_where_nothing_was_nothing_is_left(tmp_path: Path) -> None:
    """Both files go."""
    folder = tmp_path / ".fused"
    sdk.write(folder, URL, TOKEN)
    sdk.restore(folder)
    assert contents(folder) == {}
    assert sdk.restore(tmp_path / "absent") == []


def test_settings_in_json(tmp_path: Path) -> None:
    """Where there are only those, the SDK would not look into them beside others."""
    (tmp_path / "settings.json").write_text('{"base_url": "x", "no_login": true}')
    sdk.write(tmp_path, URL, TOKEN)
    assert json.loads((tmp_path / "settings.json").read_text()) == {"no_login": True, **OURS}
    assert not (tmp_path / "settings.toml").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("settings.toml", "a = ["),
        ("settings.toml", 'base_url = """\nx"""\n'),
        ("settings.toml", "\"base_url\" = 'x'\n"),
        ("settings.json", "["),
        ("settings.json", "[]"),
        ("settings.toml", b"\xff"),
    ],
)
def test_what_cannot_be_merged_is_left(tmp_path: Path, name: str, text: str | bytes) -> None:
    """With credentials as they were, and a sentence that names the file."""
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "credentials").write_text("theirs")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(SetupError, match=name) as refusal:
        sdk.write(tmp_path, URL, TOKEN)
    assert "\n" not in str(refusal.value)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
