"""Starts on machines that lack a layer of isolation: strict refuses, default serves and says nothing of what it is not.

The kernel refuses the layer to the server and to all that it starts, by a filter that was set before.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from server import serving

from tileserver.execution import sandbox

UDF = 'from tileserver import udf\n@udf(kind="document")\ndef says():\n    return {"a": 1}\n'
FILTER = """
import os, sys
from tileserver.worker.sandbox import _EQUAL, _filter, _machine, _refuse, seccomp
{refuse}
os.execv(sys.argv[1], sys.argv[1:])
"""
LAYERS = {
    "Landlock": "_filter([_refuse(_EQUAL, 444, 38)])",
    "seccomp": "_filter([_refuse(_EQUAL, _machine()[1], 38)])",
    "bubblewrap": "seccomp()",
}
"""What refuses each."""
LACKING = sandbox.missing()
MACHINE = pytest.mark.skipif(bool(LACKING), reason=" ".join(LACKING))
DEFAULT = {"rlimits", "subreaper", "parent_death_signal", "no_new_privs"}
"""The layers of the default mode, which Linux has everywhere."""


def without(layer: str) -> tuple[str, ...]:
    """What runs a command where the kernel refuses a layer."""
    return (sys.executable, "-c", FILTER.format(refuse=LAYERS[layer]))


def strict(folder: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A start with strict isolation that shall come to nothing."""
    command = [*prefix, sys.executable, "-m", "tileserver", "serve", "--port", "0", "--data-dir", "data"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TILESERVER_")}
    return subprocess.run(
        [*command, "--isolation", "strict", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
    )


@MACHINE
@pytest.mark.parametrize("layer", LAYERS)
def test_strict_without_a_layer_does_not_start(tmp_path: Path, layer: str) -> None:
    """One line that names it and no other; nothing listens, and nothing is said to be ready."""
    ended = strict(tmp_path, prefix=without(layer))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert [name for name in LAYERS if name in ended.stderr] == [layer]


@MACHINE
def test_strict_with_everything_to_read_does_not_start(tmp_path: Path) -> None:
    """It would be no isolation; that is said at the start, not to whoever asks for the first tile."""
    ended = strict(tmp_path, "--worker-read", "/")
    assert ended.returncode == 1, ended.stdout
    assert "folder /" in ended.stderr
    assert ended.stderr.count("\n") == 1


@MACHINE
@pytest.mark.parametrize("layer", LAYERS)
def test_default_needs_no_layer_of_strict(tmp_path: Path, layer: str) -> None:
    """It starts without a warning, serves, and /readyz tells which layers are in force."""
    (tmp_path / "says.py").write_text(UDF)
    with serving(tmp_path / "says.py", data=tmp_path / "data", prefix=without(layer)) as running:
        with running.client() as client:
            assert client.get(f"/files/{running.token('says')}").json() == {"a": 1}
            told = client.get("/readyz").json()
        assert told["isolation"] == "default"
        in_force = {name for name, holds in told["layers"].items() if holds}
        assert in_force - {"seccomp"} == DEFAULT  # the filter that refuses is one
        words = ("warning", "isolation", *LAYERS)
        assert [line for line in running.lines if any(word.lower() in line.lower() for word in words)] == []


def test_default_without_bubblewrap_starts(tmp_path: Path) -> None:
    """Where it is not installed; nor does the path of programs matter."""
    (tmp_path / "says.py").write_text(UDF)
    (tmp_path / "bin").mkdir()
    with serving(tmp_path / "says.py", data=tmp_path / "data", PATH=str(tmp_path / "bin")) as running:
        with running.client() as client:
            assert client.get(f"/files/{running.token('says')}").json() == {"a": 1}
            told = client.get("/readyz").json()
        assert (told["status"], told["isolation"]) == ("ok", "default")
        assert {name for name, holds in told["layers"].items() if holds} == DEFAULT
        assert [line for line in running.lines if "warning" in line] == []
