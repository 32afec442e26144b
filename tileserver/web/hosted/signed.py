"""Signed addresses of files: good for an hour, for whoever has them, and for what they say only."""

import re
import time
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request

from tileserver.errors import NotFoundError
from tileserver.folders import SCHEME, names
from tileserver.tokens import Keyring
from tileserver.web.addresses import Addresses
from tileserver.web.hosted.requests import BASE

READING: Final = f"{BASE}/files/signed"
WRITING: Final = f"{BASE}/files/upload"
PARTS: Final = "/{account}/{until}/{detail}/{signature}/{path:path}"
"""What follows either; the detail is of reading how much of the path is signed, of writing how many bytes may come."""
_SECONDS: Final = 3600
_WHOLE: Final = "file"
"""The detail of one file's address; that of a folder's is how many names it has, below which all is open."""
_NUMBER: Final = re.compile(r"[0-9]{1,2}", re.ASCII)


class Signed:
    """Made for an account, and checked when somebody brings them."""

    def __init__(self, keyring: Keyring, addresses: Addresses) -> None:
        self._keyring, self._addresses = keyring, addresses

    def file(self, request: Request, account_id: str, path: str) -> str:
        """Where one file can be read."""
        return self._made(request, READING, account_id, _WHOLE, names(path))

    def folder(self, request: Request, account_id: str, path: str) -> str:
        """Below which all of a folder can be read."""
        return self._made(request, READING, account_id, str(len(names(path))), names(path))

    def upload(self, request: Request, account_id: str, path: str, length: int) -> str:
        """Where a form with a file of so many bytes can be posted to."""
        return self._made(request, WRITING, account_id, str(length), names(path))

    def readable(self, given: dict[str, Any]) -> str:
        """The path that the parts of an address let read.

        Raises:
            NotFoundError: we did not sign it, or it is no longer good.
            InvalidParameterError: no file can be there.
        """
        path, detail = f"{SCHEME}{given['path']}", given["detail"]
        signed = names(path)[: int(detail)] if _NUMBER.fullmatch(detail) else names(path)
        self._check(READING, given, signed)
        return path

    def writable(self, given: dict[str, Any]) -> tuple[str, int]:
        """The path that the parts of an address let write, and how many bytes; raises like `readable`."""
        path = f"{SCHEME}{given['path']}"
        self._check(WRITING, given, names(path))
        return path, int(given["detail"])

    def _made(self, request: Request, place: str, account_id: str, detail: str, path: tuple[str, ...]) -> str:
        until = str(int(time.time()) + _SECONDS)
        signature = self._keyring.sign(place, account_id, until, detail, *path)
        base = self._addresses.base(request.scope) + place
        return f"{base}/{account_id}/{until}/{detail}/{signature}/{quote('/'.join(path))}"

    def _check(self, place: str, given: dict[str, Any], path: tuple[str, ...]) -> None:
        facts = place, given["account"], given["until"], given["detail"], *path
        if not self._keyring.has_signed(given["signature"], *facts) or int(given["until"]) < time.time():
            raise NotFoundError
