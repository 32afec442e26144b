"""Everything that can go wrong, one tree; each class has a stable code. Knows nothing of HTTP.

TileserverError
├── NotFoundError            not_found            a token, a UDF or a tile address that is not there
├── UnauthorisedError        unauthorised         no credentials, or wrong ones
├── ForbiddenError           forbidden            credentials that do not reach this
├── ConflictError            conflict             a change that the state forbids, as an edit of a file UDF
├── InvalidError                                  the caller can mend the request
│   ├── InvalidParameterError    invalid_parameter
│   └── FormatNotPossibleError   format_not_possible
├── SourceUnavailableError   source_unavailable   a host or a mirror of code does not give what it has
├── UdfError                                      the function failed; only its owner sees the facts
│   ├── UdfRaisedError           udf_raised
│   ├── BadResultError           bad_result
│   ├── UdfTimedOutError         udf_timed_out
│   ├── UdfCrashedError          udf_crashed
│   ├── MemoryExceededError      memory_exceeded
│   ├── ResultTooLargeError      result_too_large
│   ├── CpuExceededError         cpu_exceeded
│   ├── ProcessesExceededError   processes_exceeded
│   ├── DiskExceededError        disk_exceeded
│   └── UdfSuspendedError        udf_suspended
├── CallError                call_failed          a function called another one, and that went wrong; for the caller
├── BlockGoneError           block_gone           a block's file was removed before a worker had it; it is made anew
├── BusyError                busy                 ask again later
├── TooManyRequestsError     too_many_requests
├── PublicationError         not_publishable      a file that cannot become a UDF; names file and line
└── SetupError               setup                the server cannot start; one line says what to do
"""

from typing import ClassVar


class TileserverError(Exception):
    """`str()` is one sentence that the person who asked may read."""

    code: ClassVar[str] = "error"
    sentence: ClassVar[str] = "Something went wrong."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.sentence)


class NotFoundError(TileserverError):
    """There is no such token, UDF or tile."""

    code = "not_found"
    sentence = "Nothing is served at this address."


class UnauthorisedError(TileserverError):
    """Credentials are missing or wrong."""

    code = "unauthorised"
    sentence = "Sign in, or send your private token as 'Authorization: Bearer'."


class ForbiddenError(TileserverError):
    """The credentials do not reach this."""

    code = "forbidden"
    sentence = "You may not do this."


class ConflictError(TileserverError):
    """The state of things forbids the change."""

    code = "conflict"
    sentence = "This cannot be changed here."


class InvalidError(TileserverError):
    """The caller can mend the request."""


class InvalidParameterError(InvalidError):
    """A parameter is missing, reserved or does not convert."""

    code = "invalid_parameter"
    sentence = "A parameter does not convert."

    def __init__(self, message: str | None = None, *, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter


class FormatNotPossibleError(InvalidError):
    """The UDF's kind cannot give the format that was asked for."""

    code = "format_not_possible"
    sentence = "This UDF cannot answer in that format."


class SourceUnavailableError(TileserverError):
    """Where code is kept does not answer, not in time, or not as it should."""

    code = "source_unavailable"
    sentence = "The code at this address cannot be read now; try again later."


class UdfError(TileserverError):
    """The function failed. `str()` is the code's sentence, fit for a stranger; the attributes are for the owner."""

    def __init__(
        self,
        message: str = "",
        *,
        traceback: str = "",
        line: int | None = None,
        printed: str = "",
        streams: tuple[str, str] = ("", ""),
        exception: str = "",
        spent: tuple[float, float, int] = (0.0, 0.0, 0),
    ) -> None:
        super().__init__(None)
        self.message = message
        """What went wrong, with the exception's own text."""
        self.traceback = traceback
        """The traceback's text, the UDF's own frames only; empty where there is none."""
        self.line = line
        """The line of the UDF's source at which it failed, from 1."""
        self.printed = printed
        """What the run printed, at most 64 kB."""
        self.streams = streams
        """The same of standard output and of standard error, each for itself."""
        self.exception = exception
        """The exception's class name; empty where there was none."""
        self.spent = spent
        """Milliseconds of wall and of processor time, and bytes of memory at the peak; zeros where unknown."""

    @property
    def words(self) -> str:
        """The message with its line, for who may read it; empty where there is none."""
        return f"{self.message} (line {self.line})" if self.message and self.line else self.message


class UdfRaisedError(UdfError):
    """The function raised an exception."""

    code = "udf_raised"
    sentence = "The function behind this layer failed; its owner can see why on the layer's map page."


class BadResultError(UdfError):
    """The function returned something that cannot be served."""

    code = "bad_result"
    sentence = "The function behind this layer returned something that cannot be served; its owner can see what."


class UdfTimedOutError(UdfError):
    """The function took longer than its deadline and was ended."""

    code = "udf_timed_out"
    sentence = "The function behind this layer took too long and was ended."


class UdfCrashedError(UdfError):
    """The function's process died."""

    code = "udf_crashed"
    sentence = "The function behind this layer crashed."


class MemoryExceededError(UdfError):
    """The function took more memory than it may."""

    code = "memory_exceeded"
    sentence = "The function behind this layer took more memory than it may."


class ResultTooLargeError(UdfError):
    """The encoded result is above the limit."""

    code = "result_too_large"
    sentence = "The function behind this layer returned more than may be sent."


class CpuExceededError(UdfError):
    """The function took more processor time than it may."""

    code = "cpu_exceeded"
    sentence = "The function behind this layer took more processor time than it may."


class ProcessesExceededError(UdfError):
    """The function started more processes or threads than it may."""

    code = "processes_exceeded"
    sentence = "The function behind this layer started more processes than it may."


class DiskExceededError(UdfError):
    """The function wrote more into its scratch folder than it may."""

    code = "disk_exceeded"
    sentence = "The function behind this layer wrote more to disk than it may."


class UdfSuspendedError(UdfError):
    """The function crashed too often and rests."""

    code = "udf_suspended"
    sentence = "The function behind this layer crashed repeatedly and is suspended; try again in half a minute."


class CallError(TileserverError):
    """A function called another UDF, and no result came."""

    code = "call_failed"
    sentence = "The function that was called gave no result."

    def __init__(self, message: str | None = None, *, cause: str = "call_failed") -> None:
        super().__init__(message)
        self.cause = cause
        """The code of what went wrong, as `udf_raised` or `not_found`."""


class BlockGoneError(TileserverError):
    """The file of a block is not the one that was looked at, or not there any more."""

    code = "block_gone"
    sentence = "What this tile is cut from was removed meanwhile; ask again."


class BusyError(TileserverError):
    """The queue is full or would take too long."""

    code = "busy"
    sentence = "The server is busy; try again in a moment."

    def __init__(self, message: str | None = None, *, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds."""


class TooManyRequestsError(BusyError):
    """The token's own limit is reached."""

    code = "too_many_requests"
    sentence = "This token's limit is reached; try again in a moment."


class PublicationError(TileserverError):
    """A source that cannot become a UDF."""

    code = "not_publishable"
    sentence = "This source cannot become a UDF."

    def __init__(self, reason: str, *, file: str, line: int | None = None) -> None:
        super().__init__(f"{file}:{line}: {reason}" if line else f"{file}: {reason}")
        self.file, self.line, self.reason = file, line, reason


class SetupError(TileserverError):
    """The server or a command cannot start."""

    code = "setup"


def leaves(root: type[TileserverError] = TileserverError) -> list[type[TileserverError]]:
    """The classes that can be raised with a code of their own, in the order of the tree."""
    found = [] if root.code == "error" else [root]
    for child in root.__subclasses__():
        found += leaves(child)
    return found


BY_CODE: dict[str, type[TileserverError]] = {error.code: error for error in leaves()}
