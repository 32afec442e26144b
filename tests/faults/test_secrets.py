"""What a function can find out about the server that runs it: none of its secrets.

The default isolation is against accidents: it promises this of environment, descriptors and memory. Files of the same
user can be read; where the server is root, workers have a user of their own, and the server's files are closed to it.
"""

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from processes import tree
from publish import UDFS
from server import Running, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
PASSWORD = f"hunter2-{secrets.token_hex(16)}"
PATTERN = "hunter2-[0-9a-f]{32}|f(?:sh|pt)_[A-Za-z0-9_-]{43}"
"""What passwords and tokens look like; it does not match itself."""
FILES = ["master.key", "credentials.json", "registry.sqlite"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose environment has a password in it."""
    folder = tmp_path_factory.mktemp("secrets")
    with serving(UDFS / "spies.py", data=folder / "data", DATABASE_PASSWORD=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def seen(server: Running) -> dict[str, Any]:
    """What a function found, on its second run: the first may have left something."""
    look(server, 1)
    return look(server, 2)


def look(server: Running, run: int) -> dict[str, Any]:
    """What a function found out."""
    key = hashlib.sha256((server.data / "master.key").read_bytes()).hexdigest()
    files = quote(":".join(str(server.data / name) for name in FILES))
    with server.client() as client:
        url = f"/files/{server.token('spies')}.json?run={run}&key={key}&pattern={quote(PATTERN)}&files={files}"
        answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_function_finds_what_it_is_shown(tmp_path: Path) -> None:
    """A variable that the operator passes on, so that finding nothing elsewhere says something."""
    shown = {"DATABASE_PASSWORD": PASSWORD, "TILESERVER_WORKER_ENV": "DATABASE_PASSWORD"}
    with serving(UDFS / "spies.py", data=tmp_path / "data", **shown) as running:
        seen = look(running, 1)
    assert seen["environment"]
    assert seen["memory"]


def test_the_environment_tells_nothing(server: Running, seen: dict[str, Any]) -> None:
    """Neither the function's own, nor that of any process of the server, nor their command lines."""
    assert not seen["environment"]
    ours = set(map(str, tree(server.process.pid)))
    assert ours & set(seen["processes"]) == set()
    assert ours & set(seen["commands"]) == set()


def test_no_descriptor_leads_to_the_servers_files(server: Running, seen: dict[str, Any]) -> None:
    """Of the data directory only what is in the scratch folder is open."""
    kept = [path for path in server.data.rglob("*") if "scratch" not in path.relative_to(server.data).parts]
    numbers = {identity(path): path.name for path in kept if path.exists()}
    assert numbers
    assert [numbers[found] for found in map(tuple, seen["descriptors"]) if found in numbers] == []


def identity(path: Path) -> tuple[int, int]:
    """Device and number of a file."""
    return path.stat().st_dev, path.stat().st_ino


def test_memory_holds_no_secret(seen: dict[str, Any]) -> None:
    """Neither what the interpreter knows of, that of before the fork included, nor any page that can be read."""
    assert seen["memory"] == []
    assert seen["pages"] == []
