"""`--processes N`: children that serve on one listener. Each that dies is replaced; all end with this process.

The children are forked, so this module starts no thread and no event loop, and they share what was imported.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tileserver import prctl
from tileserver.cli.report import warn

STARTED: Final = signal.SIGUSR1
"""What the first child tells its parent: the others may start."""
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_SIGNALS: Final = (*_STOPPING, signal.SIGCHLD, STARTED)
_QUICK_SECONDS: Final = 10
"""A child that dies sooner than this is replaced later each time."""
_LONGEST_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What a serving process does beside serving."""

    first: bool = True
    """Whether it publishes the files and prints what is served."""
    follows: bool = True
    """Whether it is the one that follows edits."""
    started: Callable[[], None] = lambda: None
    """To be called by the first when it serves and has published: the others may start."""


ALONE: Final = Part()


@dataclass(slots=True)
class _Place:
    """One of the N; the first publishes."""

    first: bool
    pid: int = 0
    born: float = 0.0
    due: float = 0.0
    """When a child is to be started, on the monotonic clock."""
    quick: int = 0
    """Quick deaths in a row."""
    announced: bool = False
    """Whether its child has said that it started."""


def supervise(count: int) -> Part:
    """Returns in each child, with its part; ends this process when all of them have ended."""
    with _signals() as signals:
        part = _Supervisor(count, signals).run()
    if isinstance(part, Part):
        return part
    sys.exit(part)


class _Supervisor:
    def __init__(self, count: int, signals: "_Signals") -> None:
        self._signals = signals
        self._places = [_Place(first=number == 0, due=0.0 if number == 0 else float("inf")) for number in range(count)]
        self._stops = 0
        """How often it was asked to stop."""
        self._status = 0

    def run(self) -> Part | int:
        """A child's part in that child; in this process, the exit status when all children have ended."""
        while True:
            for place in self._places:
                if not self._stops and not place.pid and place.due <= time.monotonic():
                    part = self._start(place)
                    if part is not None:
                        return part
            if self._stops and not any(place.pid for place in self._places):
                return self._status
            for number in self._signals.wait(self._patience()):
                self._heed(number)
            self._bury()

    def _start(self, place: _Place) -> Part | None:
        """A part in the new child; None in this process."""
        parent = os.getpid()
        with self._signals.blocked():
            pid = os.fork()
            if pid == 0:
                _follow_into_death(parent)
                first = place.first and not place.announced
                return Part(first=first, follows=place.first, started=lambda: os.kill(parent, STARTED))
        place.pid, place.born = pid, time.monotonic()
        return None

    def _patience(self) -> float | None:
        """Seconds until the next child is due; None where none is."""
        due = [place.due for place in self._places if not place.pid and place.due < float("inf")]
        return max(min(due) - time.monotonic(), 0.0) if due and not self._stops else None

    def _heed(self, number: int) -> None:
        if number in _STOPPING:
            self._stops += 1
            self._pass_on(number if self._stops < 3 else signal.SIGKILL)
        elif number == STARTED and not self._places[0].announced:
            self._places[0].announced = True
            for place in self._places:
                place.due = 0.0

    def _pass_on(self, number: int) -> None:
        for place in self._places:
            if place.pid:
                os.kill(place.pid, number)  # not gone: nobody else waits for it

    def _bury(self) -> None:
        """Wait for all that have ended; as the first process of a container, for strangers' children too."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                place = next((each for each in self._places if each.pid == ended[0]), None)
                if place is not None:
                    place.pid = 0
                    self._ended(place, ended[0], os.waitstatus_to_exitcode(ended[1]))

    def _ended(self, place: _Place, pid: int, code: int) -> None:
        if self._stops:
            self._status = self._status or (1 if code > 0 else 0)
        elif place.first and not place.announced and code > 0:  # it has said why it cannot start
            self._stops, self._status = 1, code
            self._pass_on(signal.SIGTERM)
        else:
            self._replace(place, pid, code)

    def _replace(self, place: _Place, pid: int, code: int) -> None:
        place.quick = place.quick + 1 if time.monotonic() - place.born < _QUICK_SECONDS else 0
        delay = min(2.0 ** (place.quick - 2), _LONGEST_SECONDS) if place.quick > 1 else 0.0
        place.due = time.monotonic() + delay
        when = f"in {delay:g} s" if delay else "now"
        what = ", which publishes the files," if place.first else ""
        warn(f"warning: server process {pid}{what} {_ending(code)}; another takes its place {when}")


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"


def _follow_into_death(parent: int) -> None:
    """Leave the terminal's process group, whose Ctrl-C the parent passes on; die with the parent, on Linux at once."""
    os.setsid()
    prctl.die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


@dataclass(slots=True)
class _Signals:
    """Signals as something to wait for."""

    reader: socket.socket

    def wait(self, seconds: float | None) -> bytes:
        """The numbers of those that came, which may be none after so many seconds."""
        ready, _, _ = select.select([self.reader], [], [], seconds)
        return self.reader.recv(4096) if ready else b""

    @contextlib.contextmanager
    def blocked(self) -> Iterator[None]:
        """None comes within the block; in a child not before it has handlers of its own."""
        own = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            yield
        finally:
            if os.getpid() == own:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@contextlib.contextmanager
def _signals() -> Iterator[_Signals]:
    """Within the block signals wake `_Signals.wait`; after it they do what they did, and in a child what is usual."""
    own = os.getpid()
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        wakeup = signal.set_wakeup_fd(writer.fileno())
        try:
            yield _Signals(reader)
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler if os.getpid() == own else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
