"""`x-fused-metadata`: what a run printed and raised, as the SDK shows it to who ran it (hosted API, section 2.7)."""

import json
from typing import Any, Final

from tileserver.errors import CallError, UdfError

LIMIT: Final = 7500
"""Bytes of the header's value: some HTTP clients refuse lines of more than 8,190."""
_TEXT: Final = 2000
"""Bytes of what is said about an exception, as JSON; what was printed takes the rest."""


def ran(stdout: str, stderr: str) -> bytes:
    """The header's value for a run that succeeded: ASCII."""
    return _fitted({"has_exception": False}, stdout, stderr)


def failed(error: UdfError | CallError, *, owner: bool) -> bytes:
    """The header's value for a run that failed: ASCII. The UDF's own words are for its owner."""
    kind = {"error_type": "timeout_error"} if error.code == "udf_timed_out" else {}
    if isinstance(error, CallError) or not owner:
        sentence = str(error)
        return _fitted({"has_exception": True, "exception": sentence, "errormsg": sentence, "lineno": None} | kind)
    message = _end(error.message or str(error), _TEXT)
    said: dict[str, Any] = {
        "has_exception": True,
        "exception_class": error.exception[:200],
        "exception": message,
        "errormsg": message,
        "lineno": error.line,
    }
    return _fitted(said | kind, *error.streams)


def _fitted(said: dict[str, Any], stdout: str = "", stderr: str = "") -> bytes:
    """With the ends of both streams: each has half of the room, and what the other one leaves."""
    room = LIMIT - len(json.dumps(said | {"stdout": "", "stderr": ""}))
    errors = _end(stderr, max(room // 2, room - _size(stdout[-room:])))
    output = _end(stdout, room - _size(errors))
    return json.dumps(said | {"stdout": output, "stderr": errors}).encode()


def _end(text: str, room: int) -> str:
    """The end of a text, of which the JSON has at most so many bytes."""
    text = text[-room:]
    while (size := _size(text)) > room:
        text = text[len(text) - len(text) * room // size :]
    return text


def _size(text: str) -> int:
    return len(json.dumps(text))
