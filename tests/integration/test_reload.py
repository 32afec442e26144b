"""`--reload` on a real server: an edit, in whatever way an editor makes it, is served soon, under the same token."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from server import Running, serving

Live = tuple[Path, Running, Callable[..., httpx.Response]]


def source(value: object, head: str = "") -> str:
    return f"from tileserver import udf\n{head}\n@udf\ndef f() -> dict:\n    return {{'v': {value}}}\n"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server that follows a folder with one function and its sibling."""
    folder = tmp_path / "udfs"
    folder.mkdir()
    (folder / "helper.py").write_text("VALUE = 1\n")
    (folder / "f.py").write_text(source("helper.VALUE", "import helper"))
    with serving(folder, data=tmp_path / "data", arguments=("--reload",)) as running, running.client() as client:
        url = f"/files/{running.token('f')}"
        assert client.get(url).json() == {"v": 1}

        def after(change: Callable[[], object], pattern: str = "^  [fg] ") -> httpx.Response:
            printed = len(running.lines)
            change()
            running.wait_for(pattern, start=printed, timeout=20)
            return client.get(url)

        yield folder, running, after


def test_every_way_to_save(live: Live) -> None:
    """In place, by a rename over it, in the sibling, away and back, and under another name."""
    folder, running, after = live
    file, helper = folder / "f.py", folder / "helper.py"
    assert after(lambda: file.write_text(source(2))).json() == {"v": 2}

    def atomically() -> None:
        (folder / "f.py.tmp").write_text(source("helper.VALUE + 10", "import helper"))
        (folder / "f.py.tmp").rename(file)

    assert after(atomically).json() == {"v": 11}
    assert after(lambda: helper.write_text("VALUE = 5\n")).json() == {"v": 15}
    assert after(lambda: file.rename(folder / "g.py")).json() == {"v": 15}
    assert after(lambda: (folder / "g.py").rename(file)).json() == {"v": 15}
    moved = file.rename(folder.parent / "elsewhere.py")
    gone(running)
    assert after(lambda: moved.rename(file)).json() == {"v": 15}
    shutil.rmtree(folder)
    gone(running)

    def again() -> None:
        folder.mkdir()
        file.write_text(source(7))

    assert after(again).json() == {"v": 7}
    assert after(lambda: file.write_text(source(8))).json() == {"v": 8}


def gone(running: Running) -> None:
    """Wait until the function's token opens nothing."""
    with running.client() as client:
        for _ in range(400):
            if client.get(f"/files/{running.token('f')}").status_code == 404:
                return
            client.get("/livez")
    raise AssertionError("it is still served")


def test_what_is_wrong_is_said_and_the_rest_served(live: Live) -> None:
    """A line for each file, once; the last good version stays."""
    folder, running, after = live
    file = folder / "f.py"
    assert after(lambda: file.write_text("x = 1\ndef ("), r"f\.py:2: this is not Python.*; the last good").json() == {
        "v": 1
    }
    assert after(lambda: (folder / "other.py").write_text("x = 1"), r"other\.py:1: no function").json() == {"v": 1}
    twin = "from tileserver import udf\n@udf(name='f')\ndef f(): ...\n"
    assert after(lambda: (folder / "twin.py").write_text(twin), r"twin\.py:3: .*f\.py has a UDF named 'f'").json() == {
        "v": 1
    }
    assert after(lambda: file.write_text(source(3))).json() == {"v": 3}
    for part in ("this is not Python", "no function here", "named 'f' too"):
        assert sum(part in line for line in running.lines) == 1


def test_a_file_whose_name_is_no_text(live: Live) -> None:
    """Or is in a folder whose name is none: a line for each, and all others are followed."""
    folder, _, after = live
    odd = folder / os.fsdecode(b"odd\xff")
    odd.mkdir()
    for file in (folder / f"{odd.name}.py", odd / "inside.py"):
        said = rf"not served: .*{'inside' if file.parent == odd else 'odd'}.*is no text"
        assert after(lambda file=file: file.write_text(source(4)), said).json() == {"v": 1}
    assert after(lambda: (folder / "f.py").write_text(source(5))).json() == {"v": 5}
