"""A log that several processes write."""

import contextlib
import logging
from pathlib import Path

from tileserver.cli.log import SharedLog


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("n", logging.INFO, "f", 1, text, None, None)


def test_a_file_that_another_rotated_is_left(tmp_path: Path) -> None:
    """Each goes on in the new one, also where somebody removed it; nothing is rotated twice."""
    file = tmp_path / "udf.log"
    with contextlib.ExitStack() as stack:
        one, other = (SharedLog(file, maxBytes=100, backupCount=3) for _ in range(2))
        for each in (one, other):
            stack.callback(each.close)
        one.emit(record("a" * 60))
        other.emit(record("b" * 60))
        one.emit(record("c"))
        assert file.read_text() == "b" * 60 + "\nc\n"
        assert [each.name for each in sorted(tmp_path.iterdir())] == ["udf.log", "udf.log.1"]
        file.unlink()
        one.emit(record("d"))
        other.emit(record("e"))
        assert file.read_text() == "d\ne\n"
