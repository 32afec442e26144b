"""What a worker may hold, looked at from outside."""

import os
from pathlib import Path

from tileserver.frames import Birth, Limits
from tileserver.worker.watch import Watch


def test_an_accounts_folder_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """Workers keep it below one by themselves; twice as much is nobody's cache."""
    (tmp_path / "scratch").mkdir()
    cache = tmp_path / "cache"
    cache.mkdir()
    limits = Limits(memory=10**12, scratch=10**9, cache=2**20, tasks=10_000)
    birth = Birth(id=1, scratch=str(tmp_path / "scratch"), limits=limits, cache=str(cache))
    (cache / "one").write_bytes(bytes(2**20))
    assert Watch().breach(os.getpid(), birth) == ""
    (cache / "two").write_bytes(bytes(2**20 + 2**16))
    assert Watch().breach(os.getpid(), birth) == "disk_exceeded"
