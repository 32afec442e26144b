"""Both modes as a server runs them: what a function reaches, and what /readyz says of it."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server import Running, second_account, serving

from tileserver.execution import sandbox

CONFINED = Path(__file__).parent / "confined"
LACKING = sandbox.missing()
strict = pytest.mark.skipif(bool(LACKING), reason=" ".join(LACKING))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with strict isolation, and one folder of data declared."""
    folder = tmp_path_factory.mktemp("strict")
    for name in ("declared", "other"):
        (folder / name).mkdir()
        (folder / name / "data.txt").write_text("pixels")
    arguments = ("--isolation", "strict", "--worker-read", str(folder / "declared"))
    with serving(CONFINED, data=folder / "data", arguments=arguments) as running:
        yield running


def reached(server: Running) -> dict[str, Any]:
    root = server.data.parent
    own = [str(server.data / name) for name in ("registry.sqlite", "master.key", "credentials.json")]
    given = [*own, "/etc/passwd", str(root / "other" / "data.txt"), str(root / "declared" / "data.txt")]
    with server.owner() as owner:
        answer = owner.get(f"/files/{server.token('reaches')}.json", params={"files": given})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found | {"read": [Path(each).relative_to(root).parts[0] for each in found["read"]]}


@strict
def test_strict_reaches_what_is_declared(guarded: Running) -> None:
    """Neither the server's files nor others'; no process but those of its sandbox; nothing to write but scratch."""
    found = reached(guarded)
    assert (found["read"], found["wrote"]) == (["declared"], False)
    assert found["processes"] <= 4


@strict
def test_strict_serves_tiles_and_calls(guarded: Running) -> None:
    """As ever, only elsewhere."""
    with guarded.owner() as owner:
        tile = owner.get(f"/tiles/{guarded.token('reaches')}/3/1/2.png?files=[]")
        called = owner.get(f"/files/{guarded.token('calls')}.json")
    assert (tile.status_code, tile.headers["content-type"]) == (200, "image/png")
    assert called.status_code == 200, called.text
    assert called.json() <= 4


@strict
@pytest.mark.slow
def test_strict_keeps_results_of_cached_functions_by_account(guarded: Running) -> None:
    """In a folder that outlives the sandbox, which no other account's sandbox has."""
    code = (CONFINED / "keeps.py").read_text()
    private = second_account(guarded)
    told = []
    for place in (guarded.private_token, private):
        headers = {"Authorization": f"Bearer {place}"}
        with guarded.client(headers=headers) as client:
            for slug in ("one", "two"):  # two texts: two sandboxes
                body = {"slug": slug, "udf_body": json.dumps({"code": code + f"\n# {slug}\n"})}
                assert client.post("/server/v1/udf/new", json=body).status_code == 200
                token = client.post("/server/v1/udf-access-token/new", json={"udf_slug": slug}).json()["token"]
                answer = client.get(f"/files/{token}.json")
                assert answer.status_code == 200, answer.text
                told.append(answer.json())
    assert told[0]["when"] == told[1]["when"] != told[2]["when"] == told[3]["when"]
    folders = {each.name for each in (guarded.data / "function-cache").iterdir()}
    assert len(folders) == 2
    for each in told:  # the folder above may be looked at, but has only one's own in it
        assert len(each["others"] or [""]) == 1
        assert not each["made"]


@strict
def test_strict_cuts_tiles_from_blocks(guarded: Running) -> None:
    """Whose file the sandbox has by its descriptor alone."""
    with guarded.client() as client:
        for column, source in ((0, "run"), (1, "block"), (3, "block")):
            answer = client.get(f"/tiles/{guarded.token('divided')}/5/{8 + column}/4.npy")
            assert answer.headers["cache-status"].endswith(f"detail={source}")
            rows, columns, zoom = np.load(io.BytesIO(answer.content))
            assert (rows[-1, 0], columns[0, 0], zoom[0, 0]) == (63, 64 * column, 3)


@strict
def test_strict_reads_files_through_the_server(guarded: Running) -> None:
    """The account's, for which its sandbox has no folder."""
    code = "@fused.udf\ndef udf():\n    return [fused.api.get('fd://a.txt').decode(), fused.api.list('fd://')]"
    body = {"step_config": json.dumps({"udf": {"code": code}}), "format": "json"}
    with guarded.owner() as owner:
        assert owner.put("/server/v1/files/upload?path=fd://a.txt", content=b"strict").status_code == 200
        answer = owner.post("/server/v1/realtime/any/api/v1/run/udf", json=body)
    assert answer.json() == ["strict", ["fd://a.txt"]]


@strict
def test_ready_names_the_layers(guarded: Running, server: Running) -> None:
    """Asked of the kernel, in both modes."""
    with guarded.client() as client:
        told = client.get("/readyz").json()
    assert told["isolation"] == "strict"
    assert all(told["layers"][name] for name in ("landlock", "seccomp", "bubblewrap", "no_new_privs", "rlimits"))
    with server.client() as client:
        told = client.get("/readyz").json()
    assert told["isolation"] == "default"
    assert told["layers"]["no_new_privs"]
    assert not told["layers"]["landlock"]


def test_strict_without_a_layer_does_not_start(tmp_path: Path) -> None:
    """One line that names it, and exit status 1."""
    (tmp_path / "bin").mkdir()
    environment = {**os.environ, "PATH": str(tmp_path / "bin")}
    command = [
        sys.executable,
        "-m",
        "tileserver",
        "serve",
        "--port",
        "0",
        "--data-dir",
        "data",
        "--isolation",
        "strict",
    ]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "bubblewrap is missing" in ended.stderr
    assert ended.stderr.count("\n") == 1
