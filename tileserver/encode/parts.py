"""A dict of results as a zip: a file for each, and `meta.json` with their media types (hosted API, section 2.6)."""

import io
import re
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson

from tileserver.encode.drawn import Drawn
from tileserver.errors import BadResultError
from tileserver.formats import hosted_type

_META: Final = "meta.json"
_NAME: Final = re.compile(r"(?!\.\.?\Z)[^/\\\x00-\x1f\x7f]{1,255}")


def zipped(parts: dict[str, Drawn]) -> bytes:
    """The zip of bodies by their names; equal parts make equal bytes.

    Raises:
        BadResultError: a name that no file may have.
    """
    types = {name: {"content_type": hosted_type(part.media_type)} for name, part in parts.items()}
    stream = io.BytesIO()
    with ZipFile(stream, "w") as file:
        file.writestr(_entry(_META), orjson.dumps({"files": types}), ZIP_DEFLATED, 1)
        for name, part in parts.items():
            file.writestr(_entry(_checked(name)), part.body, ZIP_DEFLATED, 1)
    return stream.getvalue()


def _entry(name: str) -> ZipInfo:
    """Without the time of day."""
    return ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def _checked(name: str) -> str:
    if name == _META or not _NAME.fullmatch(name):
        raise BadResultError(f"the function's dict has the key {name!r:.100}, which cannot be the name of a file")
    return name
