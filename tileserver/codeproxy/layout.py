"""How a UDF is laid out in a folder (hosted API, section 3.1): its files are named by `meta.json`, or by imports."""

import asyncio
from typing import Final

import msgspec

from tileserver.codeproxy.address import Address, is_name
from tileserver.codeproxy.folder import FILE_LIMIT, Folder
from tileserver.errors import InvalidParameterError, NotFoundError, PublicationError
from tileserver.signature import imported, parse

FILES: Final = 50
"""Files that a UDF may have."""
_ASKED: Final = 200
"""Files that are looked for: what is imported is mostly not beside the UDF."""
_META: Final = "meta.json"


class Code(msgspec.Struct, frozen=True):
    """A UDF's source."""

    name: str
    code: str
    entry: str
    """The name of the function."""
    headers: dict[str, str]
    """Sources of the modules that belong to it, by name."""
    digest: str


class _Header(msgspec.Struct):
    module_name: str
    source_file: str


class _Udf(msgspec.Struct):
    source: str
    entrypoint: str | None = None
    headers: list[_Header] | None = None


class _Step(msgspec.Struct):
    udf: _Udf


class _Job(msgspec.Struct):
    steps: list[_Step]


class _Meta(msgspec.Struct):
    """As much of `meta.json` as is needed."""

    job_config: _Job


async def collected(folder: Folder, address: Address) -> Code:
    """The UDF in the folder: the file that the address names, else `meta.json`, else the one named as the folder.

    Raises:
        InvalidParameterError: it is too large.
        NotFoundError: a file is not there.
        PublicationError: the text is no UDF.
    """
    texts = _Texts(folder)
    described = _described(await texts.find(_META) or "")
    file = address.file or (described.source if described else f"{address.folder_name}.py")
    code = await texts.one(file)
    entry = ""
    if described and described.source == file:
        headers = {each.module_name: await texts.one(each.source_file) for each in described.headers or ()}
        entry = described.entrypoint or ""
    else:
        headers = await _siblings(texts, code)
    udf = await asyncio.to_thread(parse, code, file=file, headers=headers, entry=entry)
    return Code(name=udf.name, code=code, entry=udf.entry, headers=headers, digest=udf.digest)


def _described(meta: str) -> _Udf | None:
    """What `meta.json` says; None where there is none, or another program's."""
    try:
        steps = msgspec.json.decode(meta, type=_Meta).job_config.steps
    except (msgspec.MsgspecError, RecursionError):
        return None
    return steps[0].udf if steps else None


async def _siblings(texts: "_Texts", code: str) -> dict[str, str]:
    """The modules beside the file that it imports, and those that they import."""
    headers: dict[str, str] = {}
    seen: set[str] = set()
    wanted = await asyncio.to_thread(imported, code)
    while new := wanted - seen:
        seen |= new
        found = await texts.modules(new)
        headers |= found
        for text in found.values():
            wanted |= await asyncio.to_thread(imported, text)
    return headers


class _Texts:
    """The folder's files as text, not more than a UDF may have."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._asked = self._found = self._size = 0

    async def find(self, name: str) -> str | None:
        """A file, or None where it is not there."""
        self._asked += 1
        raw = await self._folder.read(name) if self._asked <= _ASKED else None
        self._found += raw is not None
        if self._asked > _ASKED or self._found > FILES:
            raise InvalidParameterError(f"This UDF has more than {FILES} files.", parameter="url")
        self._size += len(raw or b"")
        if self._size > FILE_LIMIT:
            message = f"This UDF's files have more than {FILE_LIMIT // 1000} kB together."
            raise InvalidParameterError(message, parameter="url")
        return None if raw is None else _text(raw, name)

    async def one(self, name: str) -> str:
        """A file that must be there."""
        text = await self.find(name) if is_name(name) else None
        if text is None:
            raise NotFoundError(f"There is no '{name}' here; a UDF's folder has {_META}, or NAME.py of its own name.")
        return text

    async def modules(self, names: set[str]) -> dict[str, str]:
        """Those of the modules that are there."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {name: group.create_task(self.find(f"{name}.py")) for name in sorted(names)}
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        texts = {name: task.result() for name, task in tasks.items()}
        return {name: text for name, text in texts.items() if text is not None}


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PublicationError("this is not UTF-8 text", file=name, line=1) from None
