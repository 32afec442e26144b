"""The files that are served, followed over time, on a real registry."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tileserver.cli.shelf import Shelf
from tileserver.errors import BusyError
from tileserver.grants import Grants
from tileserver.publication import Publisher
from tileserver.registry import Registry
from tileserver.tokens import Keyring


class NoRuns:
    """Looks at nothing: what is published is what matters here."""

    def begin(self, grant: Any) -> None:
        """Let it be."""


def on_a_shelf(tmp_path: Path, check: Callable[[Path, Shelf], Awaitable[None]], *paths: str) -> None:
    folder = tmp_path / "udfs"
    folder.mkdir()

    async def main() -> None:
        registry = await Registry.open(tmp_path, Keyring(bytes(32)))
        try:
            owner = await registry.accounts.owner()
            publisher = Publisher(registry, Grants(registry), NoRuns())  # type: ignore[arg-type]
            await check(folder, Shelf([folder / path for path in paths or ("",)], owner.id, registry, publisher))
        finally:
            await registry.close()

    asyncio.run(main())


def udf(value: int = 1, head: str = "", options: str = "") -> str:
    return f"from tileserver import udf\n{head}\n@udf({options})\ndef f(): return {{'v': {value}}}\n"


async def looked(shelf: Shelf) -> tuple[dict[str, str | None], list[str]]:
    """Tokens by name of what was published now, and the complaints."""
    fresh, complaints = await shelf.refresh()
    return {each.udf.name: each.token for each in fresh}, complaints


def test_the_token_stays_over_edits_removals_and_renames(tmp_path: Path) -> None:
    """An edit, an atomic save, a sibling's edit, away and back, another name: one token."""

    async def check(folder: Path, shelf: Shelf) -> None:
        file = folder / "a.py"
        file.write_text(udf(head="import helper"))
        (folder / "helper.py").write_text("# no udf here\n")
        published, complaints = await looked(shelf)
        token = published["a"]
        assert token and not complaints
        assert await looked(shelf) == ({}, [])
        (folder / "a.tmp").write_text(udf(2, head="import helper"))
        (folder / "a.tmp").rename(file)
        assert await looked(shelf) == ({"a": token}, [])
        (folder / "helper.py").write_text("x = 2\n")
        assert await looked(shelf) == ({"a": token}, [])
        text = file.read_text()
        file.unlink()
        assert await looked(shelf) == ({}, [])
        file.write_text(text)
        assert (await looked(shelf))[0] == {"a": token}
        file.rename(folder / "b.py")
        assert (await looked(shelf))[0] == {"b": token}
        shutil.copy(folder / "b.py", folder / "c.py")
        [(name, other)] = (await looked(shelf))[0].items()
        assert (name, other != token) == ("c", True)

    on_a_shelf(tmp_path, check)


def test_a_file_that_is_away_opens_nothing(tmp_path: Path) -> None:
    """Its token is unknown until it is back; so it is where the whole folder goes."""

    async def check(folder: Path, shelf: Shelf) -> None:
        (folder / "a.py").write_text(udf())
        token = (await looked(shelf))[0]["a"] or ""
        lookup = shelf._registry.lookup
        shutil.rmtree(folder)
        await looked(shelf)
        assert await lookup.load(token) is None
        folder.mkdir()
        (folder / "a.py").write_text(udf())
        assert await shelf.has_changed()
        await looked(shelf)
        assert await lookup.load(token) is not None

    on_a_shelf(tmp_path, check)


def test_what_is_wrong_is_said_once(tmp_path: Path) -> None:
    """With file and line; again only if something else is wrong. The last good version stays."""

    async def check(folder: Path, shelf: Shelf) -> None:
        file = folder / "a.py"
        file.write_text(udf())
        token = (await looked(shelf))[0]["a"]
        file.write_text("x = 1\ndef (")
        published, [line] = await looked(shelf)
        assert (published, line.startswith(f"{file}:2: ")) == ({}, True)
        assert line.endswith("the last good version stays")
        assert await looked(shelf) == ({}, [])
        file.write_text("def (")
        assert len((await looked(shelf))[1]) == 1
        file.write_text(udf())
        assert await looked(shelf) == ({"a": token}, [])
        assert await looked(shelf) == ({}, [])

    on_a_shelf(tmp_path, check)


def test_of_two_with_one_name_the_second_waits(tmp_path: Path) -> None:
    """It is served when the first has gone, with the token of the name; the name may move between files, too."""

    async def check(folder: Path, shelf: Shelf) -> None:
        (folder / "a.py").write_text(udf(options="name='same'"))
        (folder / "b.py").write_text(udf(2, options="name='same'"))
        published, [line] = await looked(shelf)
        assert "has a UDF named 'same' too" in line
        assert line.startswith(f"{folder}/b.py:4: ")
        (folder / "a.py").unlink()
        assert await looked(shelf) == (published, [])
        (folder / "b.py").rename(folder / "c.py")
        assert await looked(shelf) == (published, [])

    on_a_shelf(tmp_path, check)


def test_a_path_that_comes_later(tmp_path: Path) -> None:
    """Said once, and served when it is there."""

    async def check(folder: Path, shelf: Shelf) -> None:
        assert await looked(shelf) == ({}, [f"{folder}/late.py: there is no such file or folder"])
        assert await looked(shelf) == ({}, [])
        (folder / "late.py").write_text(udf())
        assert list((await looked(shelf))[0]) == ["late"]

    on_a_shelf(tmp_path, check, "late.py")


def test_what_was_published_before_a_failure_is_told_after_it(tmp_path: Path) -> None:
    """The registry goes between two files, and is back at the next look."""

    async def check(folder: Path, shelf: Shelf) -> None:
        (folder / "a.py").write_text(udf(1))
        (folder / "b.py").write_text(udf(2))
        publish, asked = shelf._publisher.publish_file, []

        async def failing(*arguments: Any) -> Any:
            asked.append(arguments)
            if len(asked) == 2:
                raise BusyError
            return await publish(*arguments)

        shelf._publisher.publish_file = failing  # type: ignore[method-assign]
        with pytest.raises(BusyError):
            await looked(shelf)
        assert await shelf.has_changed()
        published, complaints = await looked(shelf)
        assert (sorted(published), complaints) == (["a", "b"], [])
        assert not await shelf.has_changed()

    on_a_shelf(tmp_path, check)
