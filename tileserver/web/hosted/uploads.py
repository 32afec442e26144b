"""Files that come in requests, written to disk as they come: in a multipart form, or as the body (section 2.4)."""

import asyncio
from collections.abc import AsyncIterator
from typing import IO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from tileserver.errors import InvalidParameterError

_FRAME: Final = 64 * 1024
"""Bytes that a form may have beside its file."""


class FormFile:
    """The part named `file` of a form; what else there is, is not kept."""

    def __init__(self, boundary: bytes, target: IO[bytes]) -> None:
        self._target = target
        self._header = [b"", b""]
        self._is_file = False
        self.size = 0
        self.ended = False
        """Whether the file came to its end."""
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._headed,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )

    def _begin(self) -> None:
        self._is_file = False

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _headed(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition" and not self.ended:
            self._is_file = parse_options_header(value)[1].get(b"name") == b"file"
        self._header = [b"", b""]

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.size += self._target.write(data[start:end])

    def _end(self) -> None:
        self.ended |= self._is_file


async def receive_form(request: Request, target: IO[bytes], limit: int) -> None:
    """Write a form's file to `target`.

    Raises:
        InvalidParameterError: it has more than `limit` bytes, or there is none.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    try:
        form = FormFile(options.get(b"boundary", b""), target)
        async for piece in _pieces(request, limit + _FRAME):
            await asyncio.to_thread(form.parser.write, piece)
    except FormParserError:
        raise InvalidParameterError("The body is no multipart form with a file.") from None
    if form.size > limit or not form.ended:
        raise InvalidParameterError(f"The form should have one file of at most {limit} bytes.")


async def receive_body(request: Request, target: IO[bytes], limit: int) -> None:
    """Write a body to `target`; raises InvalidParameterError where it has more than `limit` bytes."""
    async for piece in _pieces(request, limit):
        await asyncio.to_thread(target.write, piece)


async def _pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    came = 0
    async for piece in request.stream():
        came += len(piece)
        if came > limit:
            raise InvalidParameterError(f"The body has more than {limit} bytes.")
        yield piece
