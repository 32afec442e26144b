"""What a worker's functions print: two pipes that are drained as they write, and of what came through them the end."""

import asyncio
import contextlib
import fcntl
import os
from typing import Final

from tileserver.jobs import Printed

LIMIT: Final = 64 * 1024
"""Bytes of what a run printed that are kept, the last ones: of each stream, and of both as they came."""
_PIPE_BYTES: Final = 2**19
"""What a function may print before it has to wait for us; the kernel's usual 64 kB make many small reads."""
_BUFFER: Final = bytearray(_PIPE_BYTES)
"""What is printed passes through here, whichever worker it comes from."""
_NOTHING: Final = Printed()


class Pipes:
    """The reading ends of one worker's standard output and standard error."""

    def __init__(self) -> None:
        self._open: dict[int, bytearray] = {}
        """By descriptor, what is kept of what comes through it."""
        self._kept = bytearray(), bytearray()
        self._both = bytearray()
        """In the order in which it came: between two reads, the stream first written to goes first."""

    def open(self, lent: contextlib.ExitStack) -> tuple[int, int]:
        """The writing ends, the worker's alone, which are closed here with `lent`.

        Raises:
            OSError: there is no descriptor to be had; `close` closes the others.
        """
        output, errors = (self._opened(kept, lent) for kept in self._kept)
        return output, errors

    def _opened(self, kept: bytearray, lent: contextlib.ExitStack) -> int:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._open[reading] = kept
        lent.callback(os.close, writing)
        os.set_blocking(reading, False)
        with contextlib.suppress(OSError, AttributeError):  # beyond a user's allowance it stays small
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return writing

    def listen(self) -> None:
        """Keep the pipes empty from now on."""
        for pipe in self._open:
            asyncio.get_running_loop().add_reader(pipe, self._read, pipe)

    def clear(self) -> None:
        """Forget what was printed: another run begins."""
        if self._both:
            for kept in (*self._kept, self._both):
                kept.clear()

    def take(self) -> Printed:
        """What the run printed; call it once. After a reply nothing is left to `read`: it was printed before, and the
        loop reads whatever there is before it lets anyone go on.
        """
        if not self._both:
            return _NOTHING
        printed = Printed(*(kept.decode("utf-8", "replace") for kept in (self._both, *self._kept)))
        self.clear()
        return printed

    def read(self) -> None:
        """Drain the pipes, keeping the end of what came."""
        for pipe in list(self._open):
            self._read(pipe)

    def _read(self, pipe: int) -> None:
        try:
            count = os.readv(pipe, (_BUFFER,))
        except BlockingIOError:
            return
        if not count:
            self._close(pipe)
            return
        came = memoryview(_BUFFER)[max(count - LIMIT, 0) : count]
        for kept in (self._open[pipe], self._both):
            kept += came
            del kept[:-LIMIT]

    def close(self) -> None:
        """Read no more."""
        for pipe in list(self._open):
            self._close(pipe)

    def _close(self, pipe: int) -> None:
        asyncio.get_running_loop().remove_reader(pipe)
        os.close(pipe)
        del self._open[pipe]
