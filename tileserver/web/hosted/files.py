"""Files of an account (hosted API, section 2.4), and addresses that are signed, for those who have no credentials."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path
from typing import IO, Final, Literal, TypedDict, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import InvalidParameterError
from tileserver.folders import Folder
from tileserver.registry import Account
from tileserver.settings import Settings
from tileserver.tokens import Keyring
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses
from tileserver.web.hosted.requests import BASE, NOT_OURS, moment, whole
from tileserver.web.hosted.signed import PARTS, READING, WRITING, Signed
from tileserver.web.hosted.uploads import receive_body, receive_form
from tileserver.web.operations import BYTES, FORM, Natural, Operation, Parameter

T = TypeVar("T")

_MOST_SIGNED: Final = 10_000
_DELETION_DEPTH: Final = 3
"""What the SDK says where nobody does."""
_PATH: Final = Parameter("path", str, "an address that begins with `fd://`, or a path below the account's folder")
_LENGTH: Final = Parameter("content_length", Natural, "bytes of the file", required=True)
_SUFFIX: Final = Parameter("extension", str, "of the file's name")
_DEPTH: Final = Parameter(
    "max_deletion_depth",
    Natural | Literal["unlimited"],
    f"how deep a folder may be, {_DELETION_DEPTH} at most without it",
)
_RANGE: Final = Parameter("Range", str, "which bytes, as `bytes=0-99`", place="header")
_PARTS: Final = {
    206: ("The bytes that were asked for.", BYTES),
    400: ("`Range` cannot be read.", "text/plain"),
    416: ("There are no such bytes.", "text/plain"),
}
_NO_FILE: Final = ("not_found",)
_NO_ROOM: Final = ("conflict",)
_EXTENSION: Final = re.compile(r"[A-Za-z0-9_.-]{0,32}", re.ASCII)


class FileRecord(TypedDict):
    """A file or a folder."""

    url: str
    file_name: str
    is_directory: bool
    size: int | None
    last_modified: str


class Post(TypedDict):
    """Where, and with which fields, a form can be posted."""

    url: str
    fields: dict[str, str]


class TemporaryPost(TypedDict):
    """The same, and the file's address."""

    signed_post: Post
    storage_url: str


class FileRoutes:
    """Files listed, read, written and deleted; a signed address is good for an hour, and for what it says only."""

    def __init__(self, keyring: Keyring, access: Access, addresses: Addresses, settings: Settings) -> None:
        self.access, self._signed = access, Signed(keyring, addresses)
        self._settings = settings

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        files = f"{BASE}/files"
        return [
            Route(f"{files}/list", self.list_files),
            Route(f"{files}/list-details", self.list_details),
            Route(f"{files}/get", self.get_file),
            Route(f"{files}/delete", self.delete_file, methods=["DELETE"]),
            Route(f"{files}/resolve", self.resolve, methods=["POST"]),
            Route(f"{files}/sign", self.sign),
            Route(f"{files}/sign_prefix", self.sign_prefix),
            Route(f"{files}/sign-upload", self.sign_upload),
            Route(f"{files}/sign-upload-temp", self.sign_temporary_upload),
            Route(f"{files}/upload", self.put_file, methods=["PUT"]),
            Route(f"{files}/upload-temp", self.put_temporary_file, methods=["POST"]),
            Route(READING + PARTS, self.signed_file),
            Route(WRITING + PARTS, self.upload, methods=["POST"]),
        ]

    # For the account

    @Operation(answer=list[str], parameters=(_PATH,), fails=_NO_FILE)
    async def list_files(self, request: Request) -> Response:
        """The addresses of what is in a folder."""
        listed = await self._with_folder(request, lambda folder, path: folder.listed(path))
        return JSONResponse([each.url for each in listed])

    @Operation(answer=list[FileRecord], parameters=(_PATH,), fails=_NO_FILE)
    async def list_details(self, request: Request) -> Response:
        """The same with size and time."""
        listed = await self._with_folder(request, lambda folder, path: folder.listed(path))
        return JSONResponse(
            [
                FileRecord(
                    url=each.url,
                    file_name=each.file_name,
                    is_directory=each.is_directory,
                    size=each.size,
                    last_modified=moment(int(each.modified * 1e6)),
                )
                for each in listed
            ]
        )

    @Operation(media=(BYTES,), also=_PARTS, parameters=(_PATH, _RANGE), fails=_NO_FILE)
    async def get_file(self, request: Request) -> Response:
        """A file's content, or the ranges of it that were asked for."""
        return _content(await self._with_folder(request, lambda folder, path: folder.file(path)))

    @Operation(answer=bool, parameters=(_PATH, _DEPTH), fails=_NO_FILE)
    async def delete_file(self, request: Request) -> Response:
        """Deletes a file, or a folder that is no deeper than `max_deletion_depth`."""
        depth = _deletion_depth(request.query_params.get("max_deletion_depth"))
        await self._with_folder(request, lambda folder, path: folder.delete(path, depth))
        return JSONResponse(True)

    @Operation(answer=str, parameters=(_PATH,))
    async def resolve(self, request: Request) -> Response:
        """A signed address at which a file, or what is below a folder, can be read by any program."""
        account = await self.access.owner(request.scope)
        return JSONResponse(self._signed.folder(request, account.id, _path(request)))

    @Operation(answer=str, parameters=(_PATH,))
    async def sign(self, request: Request) -> Response:
        """A signed address of one file."""
        account = await self.access.owner(request.scope)
        return JSONResponse(self._signed.file(request, account.id, _path(request)))

    @Operation(answer=dict[str, str], parameters=(_PATH,), fails=_NO_FILE)
    async def sign_prefix(self, request: Request) -> Response:
        """A signed address for each file below a folder."""
        account = await self.access.owner(request.scope)
        found = await self._with_folder(request, lambda folder, path: list(islice(folder.files(path), _MOST_SIGNED)))
        return JSONResponse({each: self._signed.file(request, account.id, each) for each in found})

    @Operation(answer=Post, parameters=(_PATH, _LENGTH), fails=_NO_ROOM)
    async def sign_upload(self, request: Request) -> Response:
        """Where a form with a file of `content_length` bytes can be posted to."""
        account, path, length = await self.access.owner(request.scope), _path(request), _length(request)
        return JSONResponse(await self._post(request, account, path, length))

    @Operation(answer=TemporaryPost, parameters=(_LENGTH, _SUFFIX), fails=_NO_ROOM)
    async def sign_temporary_upload(self, request: Request) -> Response:
        """The same for a file that is kept for a day, with its address."""
        account, length = await self.access.owner(request.scope), _length(request)
        path = await self._temporary(request, account)
        post = await self._post(request, account, path, length)
        return JSONResponse(TemporaryPost(signed_post=post, storage_url=path))

    @Operation(answer=str, sends=BYTES, parameters=(_PATH,), fails=_NO_ROOM)
    async def put_file(self, request: Request) -> Response:
        """Keeps the body as a file, as the SDK's oldest versions send it; answers with its address."""
        account = await self.access.owner(request.scope)
        return await self._put(request, account, _path(request))

    @Operation(answer=str, sends=BYTES, parameters=(_SUFFIX,), fails=_NO_ROOM)
    async def put_temporary_file(self, request: Request) -> Response:
        """The same for a file that is kept for a day."""
        account = await self.access.owner(request.scope)
        return await self._put(request, account, await self._temporary(request, account))

    # For whoever has the address

    @Operation(media=(BYTES,), who="anybody", also=_PARTS, parameters=(_RANGE,), fails=_NO_FILE)
    async def signed_file(self, request: Request) -> Response:
        """The content of a file whose address is signed."""
        path = self._signed.readable(request.path_params)
        folder = self._folder(request.path_params["account"])
        response = _content(await asyncio.to_thread(folder.file, path))
        response.headers["access-control-allow-origin"] = "*"
        return response

    @Operation(status=204, who="anybody", sends=FORM, fails=_NO_ROOM)
    async def upload(self, request: Request) -> Response:
        """Keeps the file of a form; 204."""
        path, length = self._signed.writable(request.path_params)
        folder = self._folder(request.path_params["account"])
        with contextlib.suppress(ClientDisconnect):  # nobody is there to be told
            async with _aside(folder, length) as (place, target):
                await receive_form(request, target, length)
                await _keep(folder, place, target, path)
        return Response(status_code=204)

    async def _put(self, request: Request, account: Account, path: str) -> Response:
        folder, length = self._folder(account.id), _body_length(request)
        with contextlib.suppress(ClientDisconnect):
            async with _aside(folder, length) as (place, target):
                await receive_body(request, target, length)
                await _keep(folder, place, target, path)
        return JSONResponse(path)

    async def _temporary(self, request: Request, account: Account) -> str:
        """A new address with the extension that is asked for."""
        extension = request.query_params.get("extension", "")
        if not _EXTENSION.fullmatch(extension):
            raise InvalidParameterError("An extension is letters and digits.", parameter="extension")
        name = ".".join(filter(None, (secrets.token_hex(16), extension.lstrip("."))))
        return await asyncio.to_thread(self._folder(account.id).temporary, name)

    async def _post(self, request: Request, account: Account, path: str, length: int) -> Post:
        await asyncio.to_thread(self._folder(account.id).check_room, length)
        return Post(url=self._signed.upload(request, account.id, path, length), fields={})

    def _folder(self, account_id: str) -> Folder:
        return Folder.of(self._settings, account_id)

    async def _with_folder(self, request: Request, work: Callable[[Folder, str], T]) -> T:
        """What `work` makes of the account's folder and the path of the query, in a thread."""
        account = await self.access.owner(request.scope)
        return await asyncio.to_thread(work, self._folder(account.id), _path(request))


async def _keep(folder: Folder, aside: Path, target: IO[bytes], path: str) -> None:
    """Put what was written aside in its place."""
    target.truncate()  # and flushed with it
    await asyncio.to_thread(folder.keep, aside, path)


@contextlib.asynccontextmanager
async def _aside(folder: Folder, size: int) -> AsyncIterator[tuple[Path, IO[bytes]]]:
    """A file for so many bytes that is gone afterwards, unless it got another place."""
    place = await asyncio.to_thread(folder.reserve, size)
    try:
        with place.open("r+b") as target:
            yield place, target
    finally:
        place.unlink(missing_ok=True)


def _content(place: Path) -> FileResponse:
    return FileResponse(place, media_type="application/octet-stream", filename=place.name, headers=NOT_OURS)


def _path(request: Request) -> str:
    return request.query_params.get("path", "")


def _length(request: Request) -> int:
    text, sentence = request.query_params.get("content_length", ""), "'content_length' should be the file's bytes."
    return whole(text, sentence, parameter="content_length", digits=15)


def _body_length(request: Request) -> int:
    text, sentence = request.headers.get("content-length", ""), "'Content-Length' should be the file's bytes."
    return whole(text, sentence, parameter="Content-Length", digits=15)


def _deletion_depth(text: str | None) -> float:
    if text == "unlimited":
        return float("inf")
    if text is None:
        return _DELETION_DEPTH
    sentence = "'max_deletion_depth' is a number or 'unlimited'."
    return whole(text, sentence, parameter="max_deletion_depth", digits=8)
