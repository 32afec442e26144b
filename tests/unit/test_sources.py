"""UDF files: which are found, and what is read with them."""

import itertools
import os
from pathlib import Path

import pytest

from tileserver.errors import PublicationError
from tileserver.sources import find, modules, read, read_all, times


def files(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        place = folder / (name.replace("__", "/") + ".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def test_what_is_found_under_a_folder(tmp_path: Path) -> None:
    """Files in order; not what is hidden, made by Python, installed, no file, or gone."""
    files(tmp_path, b="", a="", sub__c="", sub__pkg__init="")
    for name in (".hidden.py", "sub/.git/x.py", "__pycache__/x.py", "venv/lib/site-packages/x.py", "sub/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "lost.py").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.py")
    found = [str(each.relative_to(tmp_path)) for each in find(tmp_path)]
    assert found == ["a.py", "b.py", "sub/c.py", "sub/pkg/init.py"]


def test_siblings_are_read_with_it(tmp_path: Path) -> None:
    """Modules and packages of its folder that it imports, and those that they import; a mark at the start is none."""
    files(tmp_path, one="import two\nfrom pkg import part\nimport numpy", two="import three", three="x = 1", four="")
    files(tmp_path, pkg__part="y = 1")
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "two.py").write_text("\ufeffimport three", "utf-8")
    source = read(tmp_path / "one.py")
    assert sorted(source.headers) == ["pkg", "pkg.part", "three", "two"]
    assert source.headers["two"] == "import three"


def test_siblings_may_import_each_other(tmp_path: Path) -> None:
    """In a circle, and themselves."""
    files(tmp_path, one="import two", two="import one, two")
    assert sorted(read(tmp_path / "one.py").headers) == ["one", "two"]
    files(tmp_path, json="import json")
    assert read(tmp_path / "json.py").headers == {}


@pytest.mark.parametrize(("content", "part"), [(b"\xff\xfe", "UTF-8"), (None, "no file")])
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, part: str) -> None:
    """The file and why; a pipe is not waited for."""
    place = tmp_path / "f.py"
    if content is None:
        os.mkfifo(place)
    else:
        place.write_bytes(content)
    with pytest.raises(PublicationError, match=part):
        read(place)


def test_one_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    """The others come, with a line for each that does not."""
    files(tmp_path, a="x = 1")
    (tmp_path / "b.py").write_bytes(b"\xff")
    texts, wrong = read_all([tmp_path, tmp_path / "gone"])
    assert [each.file.name for each in texts] == ["a.py"]
    assert sorted(wrong) == [tmp_path / "b.py", tmp_path / "gone"]


def test_times_tell_of_every_change(tmp_path: Path) -> None:
    """An edit, a neighbour's edit, a new file, a rename, a removal."""
    files(tmp_path, a="1", b="1")
    for paths in ([tmp_path], [tmp_path / "a.py"]):
        seen = [times(paths)]
        for change in (
            lambda: (tmp_path / "a.py").write_text("22"),
            lambda: (tmp_path / "b.py").write_text("333"),
            lambda: (tmp_path / "b.py").rename(tmp_path / "c.py"),
            lambda: (tmp_path / "c.py").unlink(),
            lambda: (tmp_path / "b.py").write_text("1"),
        ):
            change()
            seen.append(times(paths))
        assert all(one != other for one, other in itertools.pairwise(seen))
    assert times([tmp_path / "gone" / "x.py"]) == {}


def test_modules_are_told_from_udfs(tmp_path: Path) -> None:
    """What others import and marks nothing; not what is imported and a UDF too, nor what nobody imports."""
    files(tmp_path, a="import b, c", b="x = 1", c="@udf\ndef f(): ...", d="x = 1")
    texts, _ = read_all([tmp_path])
    assert {file.name for file in modules(texts)} == {"b.py"}
