"""What is left of the machine in a control group."""

import os
from pathlib import Path

import pytest

from tileserver import machine


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    """A group in a group, and `own`, which says that this process is in it."""
    group = tmp_path / "groups" / "outer" / "inner"
    group.mkdir(parents=True)
    (tmp_path / "own").write_text("0::/outer/inner\n")
    return group


def of(tmp_path: Path) -> tuple[float, int]:
    groups, own = tmp_path / "groups", tmp_path / "own"
    return machine.cores(groups, own), machine.memory(groups, own)


def test_without_limits_it_is_the_machine(tmp_path: Path, inner: Path) -> None:
    whole = (len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    assert of(tmp_path) == whole
    (inner / "cpu.max").write_text("max 100000\n")
    (inner / "memory.max").write_text("max\n")
    assert of(tmp_path) == whole
    assert of(tmp_path / "missing") == whole
    (tmp_path / "own").write_text("5:memory:/outer/inner\n")  # version 1
    assert of(tmp_path) == whole


def test_the_least_of_all_groups_counts(tmp_path: Path, inner: Path) -> None:
    (inner / "cpu.max").write_text("75000 100000\n")
    (inner.parent / "cpu.max").write_text("50000 100000\n")
    (inner / "memory.max").write_text("512000000\n")
    (inner.parent / "memory.max").write_text("1024000000\n")
    assert of(tmp_path) == (0.5, 512_000_000)


def test_in_a_container_the_root_is_the_own_group(tmp_path: Path, inner: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "groups" / "memory.max").write_text("300000000\n")
    (inner / "memory.max").write_text("1\n")
    assert of(tmp_path)[1] == 300_000_000
