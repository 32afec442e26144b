"""Files of accounts: kept, listed, deleted; and no way out of the folder, whatever the address."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver import folders
from tileserver.errors import ConflictError, InvalidParameterError, NotFoundError, TileserverError
from tileserver.folders import Folder, names

QUOTA = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "other").mkdir()
    (tmp_path / "files" / "other" / "secret").write_text("theirs")
    (tmp_path / "outside").write_text("not ours")
    return Folder(tmp_path / "files", "mine", QUOTA)


def keep(folder: Folder, address: str, content: str) -> None:
    aside = folder.incoming / "aside"
    aside.write_text(content)
    folder.keep(aside, address)
    assert not aside.exists()


def test_a_file_is_kept_listed_and_deleted(folder: Folder) -> None:
    """Folders come by themselves; a list has files and folders by name."""
    keep(folder, "fd://b.txt", "b")
    keep(folder, "fd://a/deep/é ü%20.txt", "deep")
    keep(folder, "fd://b.txt", "again")
    assert folder.file("fd://b.txt").read_text() == "again"
    top = [(each.url, each.file_name, each.is_directory, each.size) for each in folder.listed("fd://")]
    assert top == [("fd://a/", "a", True, None), ("fd://b.txt", "b.txt", False, 5)]
    assert [each.url for each in folder.listed("fd://a/deep")] == ["fd://a/deep/é ü%20.txt"]
    assert [each.url for each in folder.listed("fd://b.txt")] == ["fd://b.txt"]
    assert list(folder.files("fd://")) == ["fd://b.txt", "fd://a/deep/é ü%20.txt"]
    folder.delete("fd://b.txt", 0)
    folder.delete("fd://a/", 2)
    assert folder.listed("fd://") == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "b.txt",
        "/etc/passwd",
        "file:///etc/passwd",
        "s3://bucket/key",
        "fd:/a",
        "FD://a",
        "fd:///etc/passwd",
        "fd://..",
        "fd://../other/secret",
        "fd://a/../../other/secret",
        "fd://a/./b",
        "fd://a//b",
        "fd://a\x00b",
        "fd://a\nb",
        "fd://\udcff",
        "fd://" + "a" * 256,
        "fd://" + "é" * 128,
        "fd://" + "a/" * 33 + "b",
    ],
)
def test_no_address_leads_out(folder: Folder, address: str) -> None:
    """Not for reading, listing, writing or deleting."""
    aside = folder.incoming / "aside"
    aside.write_text("x")
    for work in (
        folder.file,
        folder.listed,
        lambda path: list(folder.files(path)),
        lambda path: folder.keep(aside, path),
        lambda path: folder.delete(path, 9),
    ):
        with pytest.raises(InvalidParameterError):
            work(address)
    assert aside.exists()


@given(st.text(alphabet=st.sampled_from("./\\a\x00%2e~é:"), max_size=30))
def test_what_is_an_address_stays_within(text: str) -> None:
    """Each name is one that a folder can have, and leads one deeper."""
    try:
        found = names("fd://" + text)
    except InvalidParameterError:
        return
    root = Path("/root")
    place = os.path.normpath(root.joinpath(*found))
    assert Path(place).parts == (*root.parts, *found)


def test_no_symbolic_link_leads_out(folder: Folder, tmp_path: Path) -> None:
    """Neither as a file, nor as a folder on the way, nor in a list."""
    (folder.root / "file").symlink_to(tmp_path / "outside")
    (folder.root / "folder").symlink_to(tmp_path / "files" / "other")
    (folder.root / "loop").symlink_to(folder.root / "loop")
    aside = folder.incoming / "aside"
    aside.write_text("x")
    for address in ("fd://file", "fd://folder", "fd://folder/secret", "fd://loop", "fd://loop/x"):
        for work in (
            folder.file,
            folder.listed,
            lambda path: folder.keep(aside, path),
            lambda path: folder.delete(path, 9),
        ):
            with pytest.raises(NotFoundError):
                work(address)
    assert folder.listed("fd://") == []
    assert (tmp_path / "outside").read_text() == "not ours"
    (folder.root / "d").mkdir()
    (folder.root / "d" / "link").symlink_to(tmp_path / "files" / "other")
    folder.delete("fd://d", 9)
    assert (tmp_path / "files" / "other" / "secret").exists()


def test_what_is_not_there(folder: Folder) -> None:
    """One error, whatever is wanted of it."""
    for work in (folder.file, folder.listed, lambda path: folder.delete(path, 9)):
        with pytest.raises(NotFoundError):
            work("fd://nothing/here")
    with pytest.raises(NotFoundError):
        folder.file("fd://")


def test_a_name_is_a_file_or_a_folder(folder: Folder) -> None:
    """What is there stays."""
    keep(folder, "fd://a/b", "x")
    for address in ("fd://a", "fd://a/b/c", "fd://a/b/c/d"):
        with pytest.raises(ConflictError):
            try:
                keep(folder, address, "y")
            finally:
                (folder.incoming / "aside").unlink()
    assert folder.file("fd://a/b").read_text() == "x"


def test_no_more_than_the_quota(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bytes, and of files and folders; other accounts have their own."""
    keep(folder, "fd://a", "a" * (QUOTA - 1))
    with pytest.raises(ConflictError, match="delete some"):
        folder.check_room(2)
    folder.check_room(1)
    Folder(folder.root.parent, "another", QUOTA).check_room(QUOTA)
    monkeypatch.setattr(folders, "ENTRIES", 2)
    keep(folder, "fd://b", "")
    with pytest.raises(ConflictError, match="delete some"):
        folder.check_room(0)


def test_a_folder_that_is_deeper_than_was_said_stays(folder: Folder) -> None:
    """All of it; the root is never deleted."""
    keep(folder, "fd://a/b/c/file", "x")
    for depth in (0, 1, 2):
        with pytest.raises(ConflictError, match="nothing was deleted"):
            folder.delete("fd://a", depth)
    assert folder.file("fd://a/b/c/file")
    with pytest.raises(TileserverError):
        folder.delete("fd://", 99)
    folder.delete("fd://a", 3)
    assert folder.listed("fd://") == []


def test_temporary_files_go_after_a_day(folder: Folder) -> None:
    """When the next one comes."""
    old, new = folder.temporary("old"), folder.temporary("new")
    keep(folder, old, "x")
    keep(folder, new, "x")
    yesterday = time.time() - 90_000
    os.utime(folder.file(old), (yesterday, yesterday))
    left = folder.incoming / "left"
    left.touch()
    os.utime(left, (yesterday, yesterday))
    (folder.incoming / "under way").touch()
    folder.temporary("next")
    assert list(folder.files("fd://")) == [new]
    assert [each.name for each in folder.incoming.iterdir()] == ["under way"]


def test_a_path_is_not_longer_than_the_system_takes(folder: Folder) -> None:
    """Names that are good each by itself can be too much together."""
    keep(folder, "fd://" + "/".join(["é" * 125] * 4), "x")
    with pytest.raises(InvalidParameterError):
        folder.file("fd://" + "/".join(["a" * 250] * 20))


def test_what_goes_while_it_is_listed_is_left_out(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders that others delete just then."""
    for name in "abc":
        keep(folder, f"fd://here/{name}", "x")
    found = Path.iterdir

    def going(place: Path) -> Iterator[Path]:
        yield from found(place)
        (place / "b").unlink(missing_ok=True)

    monkeypatch.setattr(Path, "iterdir", going)
    assert [each.file_name for each in folder.listed("fd://here")] == ["a", "c"]
