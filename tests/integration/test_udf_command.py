"""`tileserver udf push, show, run, usage, delete` on a real server, as typed and as a terminal shows it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from server import Running
from typer.testing import CliRunner, Result

from tileserver.cli import udf
from tileserver.errors import ConflictError, InvalidParameterError, NotFoundError

Typed = Callable[..., Result]
TOWNS = """
import pandas as pd
from tileserver import udf

@udf
def towns(n: int = 2, words: list[str] = ["a"]) -> pd.DataFrame:
    if n > 99:
        raise ValueError(f"{n} towns\\nare too many")
    return pd.DataFrame({"town": [f"[b]{i}" for i in range(n)], "words": ["-".join(words)] * n})
"""


@pytest.fixture
def typed(server: Running, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Runs `tileserver udf` with arguments."""
    monkeypatch.setenv("TILESERVER_DATA_DIR", str(server.data))
    monkeypatch.delenv("TILESERVER_URL", raising=False)
    return lambda *arguments: CliRunner().invoke(udf.app, arguments, catch_exceptions=False)


@pytest.fixture
def towns(typed: Typed, tmp_path: Path) -> Iterator[str]:
    """A function that was pushed, and is deleted in the end."""
    (tmp_path / "towns.py").write_text(TOWNS)
    told = json.loads(typed("push", str(tmp_path / "towns.py"), "--json").stdout)
    assert told["name"] == "towns" and told["token"] in told["map_url"]
    yield "towns"
    assert typed("delete", "towns", "--yes").stdout == "deleted 'towns'\n"


def on_terminal(data: Path, *arguments: str, columns: int = 80) -> tuple[int, str, str]:
    """Exit status, what a terminal of that width shows, and what comes on standard error, which is none."""
    master, terminal = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TILESERVER_")}
    environment = kept | {"TILESERVER_DATA_DIR": str(data), "TERM": "dumb", "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "tileserver", "udf", *arguments]
    ended = subprocess.run(
        command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, env=environment, text=True, check=False
    )
    os.write(terminal, b"$")  # so that there is something to read
    shown = b""
    while not shown.endswith(b"$"):
        shown += os.read(master, 100_000)
    os.close(master)
    os.close(terminal)
    return ended.returncode, shown.decode().replace("\r\n", "\n").removesuffix("$"), ended.stderr


def test_a_function_is_pushed_and_shown(server: Running, typed: Typed, towns: str, tmp_path: Path) -> None:
    """Pushed again it keeps its token; its source comes back."""
    first = json.loads(typed("show", towns, "--json").stdout)
    assert (first["name"], first["code"]) == ("towns", TOWNS)
    shown = typed("push", str(tmp_path / "towns.py")).stdout
    for name in ("map_url", "tile_url", "file_url"):
        assert first[name] in shown
    assert typed("show", towns).stdout.splitlines()[1:] == shown.splitlines()[1:]
    assert typed("show", towns, "--code").stdout == TOWNS
    with server.owner() as owner:
        owner.delete(f"/server/v1/udf-access-token/by-token/{first['token']}")
    assert "'tileserver token create towns' makes one" in typed("show", towns).stdout


def test_a_folder_is_pushed(typed: Typed, tmp_path: Path) -> None:
    """All that is in it, and no name for it."""
    for name in ("east", "west"):
        (tmp_path / f"{name}.py").write_text(TOWNS)
    assert typed("push", str(tmp_path), "--name", "both").exit_code == 2
    told = json.loads(typed("push", str(tmp_path), "--json").stdout)
    assert [each["name"] for each in told] == ["east", "west"]
    for each in told:
        assert json.loads(typed("delete", each["name"], "--yes", "--json").stdout)["token"] == each["token"]


def test_results_in_a_pipe_and_in_files(typed: Typed, towns: str, tmp_path: Path) -> None:
    """Text of what can be text; else by the file's name or what is said."""
    assert typed("run", towns).stdout == "town,words\n[b]0,a\n[b]1,a\n"
    assert typed("run", towns, "-p", "n=1", "-p", "words=x", "-p", "words=y").stdout == "town,words\n[b]0,x-y\n"
    assert json.loads(typed("run", towns, "--format", "json").stdout)
    assert typed("run", "address", "--tile", "3/1/2").stdout_bytes.startswith(b"\x89PNG")
    file = tmp_path / "towns.parquet"
    written = typed("run", towns, "-o", str(file))
    assert (written.stdout, file.read_bytes()[:4]) == ("", b"PAR1")
    assert "parquet" in written.stderr
    typed("run", "address", "--tile", "3/1/2", "-o", str(tmp_path / "tile"), "--format", "webp")
    assert (tmp_path / "tile").read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize(
    "wrong",
    [("-p", "n"), ("-p", "=1"), ("-p", "format=csv"), ("--tile", "3/9/2"), ("--tile", "a"), ("-o", "towns.xyz")],
)
def test_wrong_usage(typed: Typed, wrong: tuple[str, ...]) -> None:
    """Status 2, before anybody is asked."""
    assert typed("run", "towns", *wrong).exit_code == 2


def test_what_cannot_be_done(typed: Typed, towns: str) -> None:
    """The server's own errors; nobody is asked where nobody is."""
    for arguments in (("show", "nowhere"), ("run", "nowhere"), ("delete", "nowhere", "--yes"), ("usage", "nowhere")):
        with pytest.raises(NotFoundError):
            typed(*arguments)
    with pytest.raises(InvalidParameterError):
        typed("run", towns, "-p", "n=x")
    with pytest.raises(ConflictError):
        typed("delete", "corners", "--yes")
    assert typed("delete", towns).exit_code == 2


def test_a_terminal_gets_text_only(server: Running, towns: str) -> None:
    """A table as one, nothing that is no text, and of a failure its line, in one line."""
    status, shown, _ = on_terminal(server.data, "run", towns)
    assert (status, [line.split() for line in shown.splitlines()[1:]]) == (0, [["[b]0", "a"], ["[b]1", "a"]])
    status, shown, said = on_terminal(server.data, "run", "address", "--tile", "3/1/2")
    assert (status, shown) == (1, "")
    assert "image/png; write it to a file with -o FILE" in said
    status, shown, said = on_terminal(server.data, "run", towns, "-p", "n=100")
    assert (status, shown, said) == (1, "", "tileserver: ValueError: 100 towns are too many (line 8)\n")


def test_usage_as_a_table(server: Running, typed: Typed, towns: str) -> None:
    """Of all by name, of one by day; its names are whole on a narrow terminal, too."""
    for n in ("1", "1", "100"):
        CliRunner().invoke(udf.app, ("run", towns, "-p", f"n={n}"))
    status, shown, said = on_terminal(server.data, "usage", columns=30)
    assert (status, said) == (0, "")
    [line] = [line.split() for line in shown.splitlines() if line.split()[0] == "towns"]
    assert line[1:4] == ["3", "1", "1"]
    by_day = typed("usage", towns, "--days", "2").stdout.splitlines()
    told = json.loads(typed("usage", towns, "--json").stdout)
    assert by_day[1].split()[:2] == [told["days"][0]["day"], "3"]
    assert by_day[-1].split()[:2] == ["total", "3"]
    assert typed("usage", "--days", "0").exit_code == 2
