"""Scratch folders as functions leave them."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tileserver import scratch

DEPTH = 3000
"""Folders in folders: deeper than calls may go, and longer than a path may be."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "scratch"
    made.mkdir()
    yield made
    scratch.remove(str(made))  # pytest's own removal recurses


def deepen(folder: Path, depth: int) -> None:
    """Folders in folders, a file in the innermost; by descriptors, since no path would do."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("in", dir_fd=place)
        inner = os.open("in", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(os.open("last", os.O_WRONLY | os.O_CREAT, dir_fd=place))
    os.close(place)


def test_a_folder_of_any_depth_is_removed(folder: Path) -> None:
    deepen(folder, DEPTH)
    assert scratch.is_full(str(folder), 10**9, 10**5), "nobody can tell"
    scratch.remove(str(folder))
    assert not folder.exists()


def test_a_folder_in_a_folder_a_thousand_times_is_looked_through(folder: Path) -> None:
    deepen(folder, 1100)
    assert not scratch.is_full(str(folder), 10**9, 10**5)
    assert scratch.is_full(str(folder), 10**9, 1100)


def test_removal_needs_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that is full nothing can be made."""
    deepen(folder, 10)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    monkeypatch.setattr(os, "open", full)
    scratch.remove(str(folder))
    assert not folder.exists()


def test_what_may_not_be_written_is_removed(folder: Path) -> None:
    for each in (folder / "a", folder / "a" / "b"):
        each.mkdir()
        (each / "file").write_text("x")
    for each in (folder / "a" / "b", folder / "a"):
        each.chmod(0o500)
    scratch.remove(str(folder))
    assert not folder.exists()


def test_links_are_removed_and_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(bytes(10**6))
    (folder / "to").symlink_to(outside)
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    assert not scratch.is_full(str(folder), 10**5, 10)
    scratch.remove(str(folder))
    assert not folder.exists()
    assert (outside / "kept").exists()


def test_names_that_removal_uses_itself(folder: Path) -> None:
    for name in ("removed-0", "removed-1", "x"):
        (folder / name / "removed-0" / "removed-1").mkdir(parents=True)
        (folder / name / "file").write_text("x")
    scratch.remove(str(folder))
    assert not folder.exists()


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    scratch.remove(str(tmp_path / "missing"))
    assert not scratch.is_full(str(tmp_path / "missing"), 0, 0)


def test_bytes_and_files_are_counted(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "one").write_bytes(bytes(10**6))
    assert scratch.is_full(str(folder), 10**6 - 1, 100)
    assert not scratch.is_full(str(folder), 10**7, 100)
    for number in range(20):
        (folder / f"{number}").touch()
    assert scratch.is_full(str(folder), 10**7, 20)


def test_holes_take_no_room(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(10**9)
    assert not scratch.is_full(str(folder), 10**6, 10)


def test_large_files_are_removed_and_their_other_names_keep_what_they_hold(folder: Path, tmp_path: Path) -> None:
    """What is large is freed step by step, which must not empty a file that is linked to from elsewhere."""
    content = os.urandom(2**20) * 40
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(content)
    (folder / "linked").hardlink_to(elsewhere)
    (folder / "symbolic").symlink_to(elsewhere)
    (folder / "own").write_bytes(content)
    (folder / "unreadable").write_bytes(content)
    (folder / "unreadable").chmod(0)
    scratch.remove(str(folder))
    assert not folder.exists()
    assert elsewhere.read_bytes() == content


def test_a_pipe_is_removed_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    scratch.remove(str(folder))
    assert not folder.exists()


def test_folders_are_removed_when_there_is_time(folder: Path, tmp_path: Path) -> None:
    deepen(folder, DEPTH)
    other = tmp_path / "other"
    other.mkdir()
    scratch.remove_idly(str(folder), str(other))
    assert not folder.exists()
    assert not other.exists()


def test_who_removes_idly_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any process of the same user can read its environment."""
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nenv > "{tmp_path}/environment"\n')
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    scratch.remove_idly("unused")
    assert "PWD=" in (tmp_path / "environment").read_text()
    assert "hidden" not in (tmp_path / "environment").read_text()


def test_a_process_that_cannot_start_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    scratch.remove_idly("unused")
