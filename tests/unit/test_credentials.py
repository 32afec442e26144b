"""Which server is meant, and whose token it gets."""

from pathlib import Path

import pytest

from tileserver import credentials
from tileserver.credentials import Credentials, find
from tileserver.errors import SetupError

OWN, LOGIN, OTHER = "http://127.0.0.1:8000", "https://maps.example.org", "https://other.example.org"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The data directory and the folder of `login`, both empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TILESERVER_URL", "TILESERVER_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = credentials.data_folder(), credentials.login_folder()
    for each in found:
        assert each.is_relative_to(tmp_path)
        each.mkdir(parents=True, exist_ok=True)
    return found


def test_the_order(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """`TILESERVER_URL`, the data directory that is named, what `login` wrote, this user's data directory."""
    data, login = folders
    with pytest.raises(SetupError, match="no credentials in"):
        find()
    credentials.save(data, Credentials(OWN, "fpt_own"))
    assert find() == Credentials(OWN, "fpt_own")
    credentials.save(login, Credentials(LOGIN + "/", "fpt_login"))
    assert find() == Credentials(LOGIN, "fpt_login")
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(data))
    assert find() == Credentials(OWN, "fpt_own")
    monkeypatch.delenv("TILESERVER_DATA_DIR")
    monkeypatch.setenv("TILESERVER_URL", OWN + "/")
    assert find() == Credentials(OWN, "fpt_own")


def test_a_token_goes_to_its_own_server(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What `login` got is sent nowhere else; this machine's own goes where `TILESERVER_URL` says, too."""
    data, login = folders
    credentials.save(login, Credentials(LOGIN, "fpt_login"))
    assert find(OTHER) == Credentials(OTHER, "")
    assert find(LOGIN) == Credentials(LOGIN, "fpt_login")
    monkeypatch.setenv("TILESERVER_URL", OTHER)
    assert find() == Credentials(OTHER, "")
    credentials.save(data, Credentials(OWN, "fpt_own"))
    assert find() == Credentials(OTHER, "fpt_own")
    assert find(OTHER) == Credentials(OTHER, "")


@pytest.mark.parametrize("url", ["file:///etc", "localhost:8000", "nonsense"])
def test_what_is_no_address(url: str) -> None:
    """One sentence names it."""
    with pytest.raises(SetupError, match="http"):
        find(url)
