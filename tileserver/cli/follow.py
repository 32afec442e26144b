"""`--reload`: the shelf looked at again whenever something changes.

The system tells of changes at once, but not of all: not on every network file system, and not in a folder that was
removed and made again. So the files' times are compared as well, once a second.
"""

import asyncio
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from tileserver.cli.report import report, warn
from tileserver.cli.shelf import Shelf
from tileserver.registry.database import reason

_SECOND: Final = 1000
"""Milliseconds."""


async def follow(shelf: Shelf, address: str) -> None:
    """Publish edits until cancelled."""
    said, edits = False, _Edits(shelf, address)
    while True:
        try:
            await _watch(edits)
        except Exception as error:  # watchfiles' own may be in a group of anyio's
            if not said:
                warn(f"warning: edits are noticed once a second only: {_first(error)}")
            said = True
        await asyncio.sleep(1)
        await edits.publish()


class _Edits:
    """What was saved."""

    def __init__(self, shelf: Shelf, address: str) -> None:
        self.shelf, self._address, self._said = shelf, address, ""

    async def publish(self) -> bool:
        """Whether anything had changed since the last time, and is published."""
        try:
            if not await self.shelf.has_changed():
                return False
            report(*await self.shelf.refresh(), self._address)
        except Exception as error:  # such as a registry that is gone for now: it is tried again in a second
            if self._said != (said := reason(error)):
                warn(f"warning: nothing could be published: {said}")
            self._said = said
            return False
        self._said = ""
        return True


async def _watch(edits: _Edits) -> None:
    """Publish what the system tells of, until it missed something."""
    folders, recursive = _watched(edits.shelf.paths)
    if not folders:
        return
    async for changes in awatch(
        *folders,
        watch_filter=_may_matter,
        debounce=200,
        step=50,
        rust_timeout=_SECOND,
        yield_on_timeout=True,
        recursive=recursive,
        ignore_permission_denied=True,
    ):
        if await edits.publish() and not changes:
            return


def _watched(paths: list[Path]) -> tuple[list[Path], bool]:
    """Folders with all that is below them; where there are only files, their folders alone, which may be large."""
    folders = [path for path in paths if path.is_dir()]
    if folders:
        return folders, True
    return list({path.parent for path in paths if path.parent.is_dir()}), False


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _may_matter(change: Change, path: str) -> bool:  # noqa: ARG001
    """Python files, and what may be a folder of them."""
    return Path(path).suffix in ("", ".py")
