"""The code mirror: files read from clones of repositories by git's plumbing. No working tree, no hooks, no network."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from tileserver.codeproxy.address import Address
from tileserver.codeproxy.folder import FILE_LIMIT, Folder, too_large
from tileserver.errors import NotFoundError, SetupError, SourceUnavailableError

_NAMESPACES: Final = (
    ("refs/tags/", "refs/tags/"),
    ("refs/heads/", "refs/heads/"),
    ("refs/remotes/origin/", "refs/heads/"),
)
"""Where a clone keeps what GitHub has under the second name; a later one goes before an earlier one."""
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}|HEAD")
_FOUND: Final = re.compile(rb"([0-9a-f]{40,64}) (\w+) (\d+)\n")
"""What `cat-file --batch` says before an object."""
_ORIGIN: Final = re.compile(r"github\.com[:/]+([^/]+)/([^/]+?)(?:\.git)?/?\n?\Z")


class Mirror:
    """A folder with clones in OWNER/NAME or, bare, OWNER/NAME.git; or one clone."""

    def __init__(self, folder: Path) -> None:
        git = shutil.which("git")
        if git is None:
            raise SetupError("a code mirror is read by git, which is not installed here")
        if not folder.is_dir():
            raise SetupError(f"the code mirror {folder} is no folder; use --code-mirror")
        self._folder, self._git = folder, git
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    async def clone(self, address: Address) -> Path | None:
        """Where the objects of the address's repository are; None where there is no clone of it."""
        own = self._folder / address.owner / address.repository
        for place in (own, own.with_name(f"{own.name}.git")):
            if found := _objects_of(place):
                return found
        alone = _objects_of(self._folder)
        return alone if alone and await self._is_clone_of(alone, address) else None

    @asynccontextmanager
    async def opened(self, clone: Path, address: Address) -> AsyncIterator[Folder]:
        """The address's folder in a clone.

        Raises:
            NotFoundError: there is no such branch, tag or commit.
            SourceUnavailableError: git cannot read the clone.
        """
        refs = await self._refs(clone)
        try:
            async with self._started(clone, "cat-file", "--batch") as git:
                objects = _Objects(git)
                commit, path = await _split(address, refs, objects)
                yield _Tree(objects, commit, path)
        except (EOFError, ConnectionError):
            raise _unreadable() from None

    async def _is_clone_of(self, clone: Path, address: Address) -> bool:
        """Whether its origin is that repository; one whose origin is not at GitHub stands for any."""
        origin = await self._output(clone, "config", "--get", "remote.origin.url")
        named = _ORIGIN.search(origin)
        return named is None or named.groups() == (address.owner, address.repository)

    async def _refs(self, clone: Path) -> dict[str, str]:
        """Object ids of branches and tags, by short and by full name."""
        spaces = [place for place, _ in _NAMESPACES]
        lines = (await self._output(clone, "for-each-ref", "--format=%(objectname) %(refname)", *spaces)).split("\n")
        pairs = [(ref, oid) for oid, _, ref in (line.partition(" ") for line in lines)]
        refs: dict[str, str] = {}
        for place, name in _NAMESPACES:
            inside = [(ref.removeprefix(place), oid) for ref, oid in pairs if ref.startswith(place)]
            refs |= {spelled: oid for short, oid in inside for spelled in (short, name + short)}
        return refs

    async def _output(self, clone: Path, *arguments: str) -> str:
        """What git says; nothing where it says, by 1, that there is nothing."""
        async with self._started(clone, *arguments) as git:
            text = (await git.communicate())[0].decode("utf-8", "replace")
        if git.returncode not in (0, 1):
            raise _unreadable()
        return text

    @asynccontextmanager
    async def _started(self, clone: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A git process that ends with the block. Of an address its arguments have what was found as a folder only."""
        git = await asyncio.create_subprocess_exec(
            self._git,
            f"--git-dir={clone}",  # named, so that git looks for none in the folders above
            "--no-replace-objects",
            *("-c", "protocol.allow=never"),  # a partial clone fetches nothing
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
        )
        try:
            yield git
        finally:
            if git.returncode is None:
                with suppress(ProcessLookupError):
                    git.kill()
            await git.communicate()


def _unreadable() -> SourceUnavailableError:
    return SourceUnavailableError("This clone in the code mirror cannot be read.")


def _objects_of(place: Path) -> Path | None:
    """The git directory of a clone, bare or not; None where there is none."""
    inner = place / ".git"
    if inner.exists():
        return inner
    return place if (place / "HEAD").is_file() and (place / "objects").is_dir() else None


async def _split(address: Address, refs: dict[str, str], objects: "_Objects") -> tuple[str, tuple[str, ...]]:
    """The commit that the address's folder begins with, and the path in it."""
    parts = address.folder
    for end in range(len(parts), 0, -1):
        if commit := refs.get("/".join(parts[:end])):
            return commit, parts[end:]
    found = await objects.find(f"{parts[0]}^{{commit}}") if _COMMIT.fullmatch(parts[0]) else None
    if found is None:
        raise NotFoundError(f"{address.place} has no branch, tag or commit '{parts[0]}'.")
    return found.id, parts[1:]


class _Object(NamedTuple):
    id: str
    type: str
    contents: bytes


class _Objects:
    """A clone's objects, one after the other."""

    def __init__(self, git: asyncio.subprocess.Process) -> None:
        assert git.stdin and git.stdout
        self._ask, self._answers = git.stdin, git.stdout
        self._turn = asyncio.Lock()

    async def find(self, name: str) -> _Object | None:
        """The object of a name, which is one line; None where there is none."""
        async with self._turn:
            self._ask.write(f"{name}\n".encode())
            found = _FOUND.fullmatch(await self._answers.readuntil(b"\n"))
            if found is None:
                return None
            size = int(found[3])
            if size > FILE_LIMIT:
                raise too_large(name.rpartition("/")[2])
            contents = await self._answers.readexactly(size + 1)
            return _Object(found[1].decode(), found[2].decode(), contents[:-1])


class _Tree(NamedTuple):
    """A folder at a commit."""

    objects: _Objects
    commit: str
    path: tuple[str, ...]

    async def read(self, name: str) -> bytes | None:
        """A file's contents."""
        found = await self.objects.find(f"{self.commit}:{'/'.join((*self.path, name))}")
        return found.contents if found and found.type == "blob" else None
