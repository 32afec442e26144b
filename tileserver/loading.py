"""What functions load: code of UDFs that they may read, and of such on GitHub; files of their account."""

import asyncio
import mmap
from typing import Any, Final

import msgspec

from tileserver.codeproxy import CodeProxy
from tileserver.errors import InvalidParameterError, NotFoundError
from tileserver.folders import Folder
from tileserver.grants import Grants
from tileserver.jobs import Callee, Read, Rendered, Source
from tileserver.layers import source_of
from tileserver.settings import Settings

READ_LIMIT: Final = 64 * 2**20
"""Bytes of a file that a function reads."""


class Loading:
    """Answers `Fetch` and `Read`."""

    def __init__(self, settings: Settings, grants: Grants, proxy: CodeProxy) -> None:
        self._settings, self._grants, self._proxy = settings, grants, proxy

    async def code(self, name: str, account_id: str) -> tuple[Source, tuple[Callee, ...]]:
        """The code behind a name, a token or an address, and what whoever runs it then rests on.

        What is elsewhere may change without our knowing: nothing rests on it.

        Raises:
            ForbiddenError: the token opens it, but its code is for its owner; or nothing may be fetched from there.
            NotFoundError: there is none.
            TileserverError: it cannot be read; see `CodeProxy.udf`.
        """
        if "://" in name:
            return await self._fetched(name, account_id), ()
        grant = await self._grants.readable(name, account_id)
        source = source_of(grant, self._grants.udf(grant))
        source = msgspec.structs.replace(source, path=f"{source.name}.py")  # where its owner keeps it is no news
        return source, (Callee(grant.account_id, grant.name, grant.digest, grant.token_id, account_id),)

    async def _fetched(self, url: str, account_id: str) -> Source:
        found = await self._proxy.udf(url)
        return Source(
            digest=found.digest,
            name=found.name,
            code=found.code,
            entry=found.entry,
            headers=found.headers,
            path=f"{found.name}.py",
            fused=True,
            account_id=account_id,
        )

    async def file(self, read: Read, account_id: str) -> Rendered:
        """The bytes of a file of the account, or the list of a folder as JSON.

        Raises:
            InvalidParameterError: this is no address, or the file has more than 64 MB.
            NotFoundError: nothing is there.
        """
        if not account_id:  # whose folder would be everybody's
            raise NotFoundError
        folder = Folder.of(self._settings, account_id)
        if read.listed:
            body = msgspec.json.encode(await asyncio.to_thread(folder.listed, read.name))
            return Rendered(media_type="application/json", kind="document", body=body)
        content = await asyncio.to_thread(_mapped, folder, read.name)
        return Rendered(media_type="application/octet-stream", kind="document", body=content)


def _mapped(folder: Folder, address: str) -> Any:
    """A file's content, which is in memory only when it is sent: a function may ask for many at once."""
    place = folder.file(address)
    size = place.stat().st_size
    if size > READ_LIMIT:
        raise InvalidParameterError(f"A function reads files of at most {READ_LIMIT >> 20} MB.", parameter="path")
    with place.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
