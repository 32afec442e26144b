"""What a worker's functions print: a pipe that is drained as they write, and of it the end."""

import asyncio
import contextlib
import fcntl
import os
from typing import Final

LIMIT: Final = 64 * 1024
"""Bytes of what a run printed that are kept, the last ones."""
_PIPE_BYTES: Final = 2**20
"""What a function may print before it has to wait for us; the kernel's usual 64 kB make many small reads."""
_BUFFER: Final = bytearray(_PIPE_BYTES)
"""What is printed passes through here, whichever worker it comes from."""


class Printed:
    """The reading end of one worker's pipe."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._pipe, self.writing_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        with contextlib.suppress(OSError, AttributeError):  # beyond a user's allowance it stays small
            fcntl.fcntl(self.writing_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def listen(self) -> None:
        """Keep the pipe empty from now on; the writing end is the worker's alone."""
        asyncio.get_running_loop().add_reader(self._pipe, self.read)

    def clear(self) -> None:
        """Forget what was printed: another run begins."""
        self._kept.clear()

    def text(self) -> str:
        """What the run printed; call it once. After a reply nothing is left to `read`: it was printed before, and the
        loop reads whatever there is before it lets anyone go on.
        """
        if not self._kept:
            return ""
        text = self._kept.decode("utf-8", "replace")
        self._kept.clear()
        return text

    def read(self) -> None:
        """Drain the pipe, keeping the end of what came."""
        if self._pipe < 0:
            return
        try:
            count = os.readv(self._pipe, (_BUFFER,))
        except BlockingIOError:
            return
        if not count:
            self.close()
            return
        self._kept += memoryview(_BUFFER)[max(count - LIMIT, 0) : count]
        del self._kept[:-LIMIT]

    def close(self) -> None:
        """Read no more."""
        if self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
