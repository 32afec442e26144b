"""How runs fail: a worker's death, and what a worker says went wrong, as errors."""

import signal
import time
from typing import Any, Final

from tileserver.errors import (
    BY_CODE,
    BlockGoneError,
    FormatNotPossibleError,
    InvalidParameterError,
    TileserverError,
    UdfCrashedError,
    UdfError,
)
from tileserver.frames import Died
from tileserver.jobs import Failed, Printed

_NOTHING: Final = Printed()


class WorkerLostError(Exception):
    """The worker died before it answered."""

    def __init__(
        self,
        reason: str,
        *,
        started: bool,
        status: int | None,
        breach: str = "",
        printed: Printed = _NOTHING,
    ) -> None:
        super().__init__(reason)
        self.reason, self.started, self.status, self.breach, self.printed = reason, started, status, breach, printed

    @property
    def explained(self) -> bool:
        """Whether the function did it; a SIGKILL comes from elsewhere, and so does a death before the start."""
        return bool(self.breach) or (self.started and self.status not in (None, -signal.SIGKILL))


def breach(died: Died) -> str:
    """The code of the limit that the function broke, SIGXCPU being the one that the kernel sees to."""
    return "cpu_exceeded" if died.status == -signal.SIGXCPU else died.breach


def ending(status: int) -> str:
    """An exit status, or the negative number of a signal, in words."""
    if status >= 0:
        return f"the process exited with status {status}"
    try:
        return f"the process was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"the process was killed by signal {-status}"


def spent(began: float) -> tuple[float, float, int]:
    """What is known of a run that was ended from outside: its milliseconds, no processor time, no memory."""
    return (time.monotonic() - began) * 1000, 0.0, 0


def of_printed(printed: Printed) -> dict[str, Any]:
    """What a run printed, as the arguments of a UdfError."""
    return {"printed": printed.text, "streams": printed[1:]}


def crash(lost: WorkerLostError, began: float) -> UdfError:
    """The error for a worker that died of its function."""
    kind = BY_CODE.get(lost.breach, UdfCrashedError)
    assert issubclass(kind, UdfError)
    message = "" if lost.breach else lost.reason
    return kind(message or kind.sentence, **of_printed(lost.printed), spent=spent(began))


def failure(reply: Failed) -> TileserverError:
    """The error that a worker's text stands for; a code that none may send is a crash."""
    if reply.code == "block_gone":
        return BlockGoneError()
    if reply.code == "invalid_parameter":
        return InvalidParameterError(reply.message, parameter=reply.parameter)
    if reply.code == "format_not_possible":
        return FormatNotPossibleError(reply.message)
    kind = BY_CODE.get(reply.code)
    if kind is None or not issubclass(kind, UdfError):
        kind = UdfCrashedError
    return kind(
        reply.message,
        traceback=reply.traceback,
        line=reply.line,
        **of_printed(reply.printed),
        exception=reply.exception,
        spent=(reply.wall_ms, reply.cpu_ms, reply.memory),
    )
