"""Settings from flags, variables and a file."""

from pathlib import Path
from typing import Any

import pytest

from tileserver.errors import SetupError
from tileserver.settings import Settings, read, unknown_variables


def test_flags_go_before_variables_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option is declared once and can be set in three places."""
    monkeypatch.chdir(tmp_path)
    Path("tileserver.toml").write_text('port = 1\ntimeout = 2\nworkers = 3\ncache_memory = "64MB"\n')
    monkeypatch.setenv("TILESERVER_TIMEOUT", "20")
    monkeypatch.setenv("TILESERVER_WORKERS", "30")
    monkeypatch.setenv("TILESERVER_ALLOWED_HOSTS", "a.example, b.example")
    settings = read({"workers": 4, "host": None})
    assert (settings.port, settings.timeout, settings.workers) == (1, 20, 4)
    assert settings.cache_memory == 64_000_000
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.host == "127.0.0.1"


def test_hosts_are_names() -> None:
    """Between commas, in small letters."""
    assert read({"code_hosts": "GitHub.com, code.example.org"}).code_hosts == ("github.com", "code.example.org")


@pytest.mark.parametrize(
    "flags",
    [{"port": 70000}, {"timeout": -1}, {"worker_memory": "much"}, {"colour": 1}, {"code_hosts": "https://github.com"}],
)
def test_a_value_that_cannot_be_is_named_in_one_line(flags: dict[str, object]) -> None:
    """The message names the setting."""
    with pytest.raises(SetupError, match=next(iter(flags))) as caught:
        read(flags)
    assert "\n" not in str(caught.value)


def test_an_unknown_variable_names_the_nearest() -> None:
    """A misspelt setting is not silently ignored."""
    assert unknown_variables({"TILESERVER_PROT": "1", "TILESERVER_PORT": "1"}) == [
        "unknown setting TILESERVER_PROT; did you mean TILESERVER_PORT?"
    ]


@pytest.mark.parametrize(
    ("given", "several"),
    [({}, False), ({"isolation": "strict"}, True), ({"trust_authors": True}, True), ({"isolation": "default"}, False)],
)
def test_several_accounts_need_isolation_or_trust(given: dict[str, Any], several: bool) -> None:
    """Either will do."""
    assert Settings(**given).may_have_accounts is several
