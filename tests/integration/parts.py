"""A server's parts in this process, put together as `serve` does, so that a test sees who waits for whom."""

import asyncio
import contextlib
import gzip
import json
import sqlite3
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tileserver.codeproxy import CodeProxy
from tileserver.execution import LocalExecutor
from tileserver.frames import Limits
from tileserver.layers import Answer, Ask
from tileserver.pipeline import Pipeline
from tileserver.publication import Publisher
from tileserver.registry import Registry
from tileserver.runlog import RunLog
from tileserver.settings import Settings
from tileserver.tilecache import TileCache
from tileserver.tokens import Keyring


@dataclass
class Parts:
    """Registry, pool and pipeline."""

    folder: Path
    pipeline: Pipeline
    account: str
    """The owner's id."""
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    async def publish(self, name: str, code: str, account: str = "") -> str:
        """The token of a version, of which is known what a run tells; `code` goes without its import."""
        code = "from tileserver import CallError, run, udf\n" + textwrap.dedent(code)
        account = account or self.account
        publisher = Publisher(self.pipeline.registry, self.pipeline.grants, self.pipeline.settling)
        published = await publisher.publish_file(account, self.folder / f"{name}.py", code, {})
        assert published.token is not None
        self.tokens[account, name] = published.token
        await self.pipeline.settling.settled(await self.pipeline.grants.of(published.token))
        return published.token

    async def answer(self, name: str, account: str = "", /, **parameters: Any) -> Answer:
        """What a UDF answers to a file request."""
        token = self.tokens[account or self.account, name]
        ask = Ask(token, "json", 1, urlencode(parameters), False)
        return await self.pipeline.render(await self.pipeline.find_layer(ask), None)

    async def get(self, name: str, account: str = "", /, **parameters: Any) -> Any:
        """The same, read."""
        entry = (await self.answer(name, account, **parameters)).entry
        return json.loads(gzip.decompress(entry.body) if entry.facts.coding else entry.body)

    def add_account(self, name: str) -> str:
        """The id of another account."""
        with contextlib.closing(sqlite3.connect(self.folder / "registry.sqlite")) as connection:
            columns = "(id, email, handle, name, created)"
            row = (name, f"{name}@localhost", name, name)
            connection.execute(f"INSERT INTO account {columns} VALUES (?, ?, ?, ?, 0)", row)
            connection.commit()
        return name


@contextlib.asynccontextmanager
async def made(folder: Path, code_proxy: CodeProxy | None = None) -> AsyncIterator[Parts]:
    """The parts on a data directory, with two cores for functions."""
    settings = Settings(data_dir=folder, workers=2)
    scratch = folder / "scratch"
    scratch.mkdir()
    limits = Limits(memory=10**9, scratch=10**8)
    caches = folder / "function-cache"
    executor = LocalExecutor(workers=2, limits=limits, environment={}, scratch=scratch, caches=caches)
    registry = await Registry.open(folder, Keyring(bytes(32)))
    runs = RunLog(folder / "runs.sqlite")
    cache = TileCache(folder / "cache", memory=10**8, disk=10**8)
    pipeline = Pipeline(settings, registry, cache, executor, runs, code_proxy)
    try:
        await executor.start()
        yield Parts(folder, pipeline, (await registry.accounts.owner()).id)
    finally:
        await pipeline.close()
        await runs.close()
        await registry.close()


def on_parts(folder: Path, check: Callable[[Parts], Awaitable[None]], code_proxy: CodeProxy | None = None) -> None:
    """Run `check` on such parts."""

    async def main() -> None:
        async with asyncio.timeout(40), made(folder, code_proxy) as parts:
            await check(parts)

    asyncio.run(main())
