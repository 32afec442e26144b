"""`--reload`: the shelf looked at again whenever something changes.

The system tells of changes at once, but not of all: not on every network file system, and not in a folder that was
removed and made again. So the files' times are compared as well, once a second.
"""

import asyncio
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from watchfiles import Change, awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from tileserver.cli.report import report, warn
from tileserver.cli.shelf import Shelf

_SECOND: Final = 1000
"""Milliseconds."""


async def follow(shelf: Shelf, address: str) -> None:
    """Publish edits until cancelled."""
    said = False
    while True:
        try:
            await _watch(shelf, address)
        except (OSError, WatchfilesRustInternalError) as error:
            if not said:
                warn(f"warning: edits are noticed once a second only: {error}")
            said = True
        await asyncio.sleep(1)
        await _look(shelf, address)


async def _watch(shelf: Shelf, address: str) -> None:
    """Publish what the system tells of, until it missed something."""
    folders, recursive = _watched(shelf.paths)
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
        if await _look(shelf, address) and not changes:
            return


async def _look(shelf: Shelf, address: str) -> bool:
    """Whether anything had changed since the last look."""
    if not await shelf.has_changed():
        return False
    try:
        report(*await shelf.refresh(), address)
    except SQLAlchemyError as error:
        warn(f"warning: nothing could be published: {error}")
    return True


def _watched(paths: list[Path]) -> tuple[list[Path], bool]:
    """Folders with all that is below them; where there are only files, their folders alone, which may be large."""
    folders = [path for path in paths if path.is_dir()]
    if folders:
        return folders, True
    return list({path.parent for path in paths if path.parent.is_dir()}), False


def _may_matter(change: Change, path: str) -> bool:  # noqa: ARG001
    """Python files, and what may be a folder of them."""
    return Path(path).suffix in ("", ".py")
