"""A log file that several processes write."""

import logging
import logging.handlers
import os
from pathlib import Path
from typing import TextIO


class SharedLog(logging.handlers.RotatingFileHandler):
    """Rotated by whoever finds it full; the others notice, and go on in the new file."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - logging's name
        """Whether the file is full."""
        if self.stream is not None and not _is(self.stream, self.baseFilename):
            self.stream.close()
            self.stream = self._open()
        return bool(super().shouldRollover(record))


def _is(stream: TextIO, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), Path(name).stat())
    except FileNotFoundError:
        return False
