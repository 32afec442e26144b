"""The files that `serve` publishes, followed over time: new, changed, broken, gone, back."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from tileserver import sources
from tileserver.errors import PublicationError
from tileserver.publication import Published, Publisher
from tileserver.registry import Registry
from tileserver.udfs import digest


class Shelf:
    """What of `paths` is published."""

    def __init__(self, paths: Iterable[Path], account_id: str, registry: Registry, publisher: Publisher) -> None:
        self.paths = [path.absolute() for path in paths]
        self.published: dict[Path, Published] = {}
        self._account_id, self._registry, self._publisher = account_id, registry, publisher
        self._digests: dict[Path, str] = {}
        """Of what is published or need not be."""
        self._fresh: list[Published] = []
        """Published since the last look that came to its end."""
        self._said: dict[Path, str] = {}
        """What was wrong at the last look, by file: nobody wants to read it again."""
        self._times: sources.Times = {}
        self._looking = asyncio.Lock()

    async def has_changed(self) -> bool:
        """Whether any file has since the last `refresh` that came to its end."""
        return await asyncio.to_thread(sources.times, self.paths) != self._times

    async def refresh(self) -> tuple[list[Published], list[str]]:
        """Publish what is new or changed and withdraw what has gone.

        Returns:
            The UDFs published now, and a line for each file that could not be, where it was not said before.
        """
        async with self._looking:
            times = await asyncio.to_thread(sources.times, self.paths)
            texts, wrong = sources.read_all(self.paths)
            present = {source.file for source in texts} | set(wrong)
            modules = sources.modules(texts)
            for source in texts:
                try:
                    self._fresh += await self._publish(source, present, is_module=source.file in modules)
                except PublicationError as error:
                    wrong[source.file] = self._complaint(source.file, error)
            await self._withdraw(present)
            new = [line for file, line in wrong.items() if self._said.get(file) != line]
            self._said, self._times = wrong, times
            fresh, self._fresh = self._fresh, []
            return fresh, new

    async def _publish(self, source: sources.SourceFile, present: set[Path], *, is_module: bool) -> list[Published]:
        now = digest(source.code, source.headers)
        if self._digests.get(source.file) == now:
            return [self.published[source.file]] if self._said.get(source.file) else []
        if not is_module:
            self._refuse_twin(source, present)
            await self._keep_renamed(source, present)
            account, file = self._account_id, source.file
            self.published[file] = await self._publisher.publish_file(account, file, source.code, source.headers)
        self._digests[source.file] = now
        return [self.published[source.file]] if source.file in self.published else []

    def _refuse_twin(self, source: sources.SourceFile, present: set[Path]) -> None:
        udf = sources.described(source)
        for file, other in self.published.items():
            if other.udf.name == udf.name and file != source.file and file in present:
                raise PublicationError(f"{file} has a UDF named '{udf.name}' too", file=str(source.file), line=udf.line)

    async def _keep_renamed(self, source: sources.SourceFile, present: set[Path]) -> None:
        """Where a file has got another name, its UDF gets it too, and keeps its token."""
        if source.file in self.published:
            return
        udf = sources.described(source)
        for file, other in self.published.items():
            if file not in present and other.udf.digest == udf.digest:
                await self._registry.publications.rename(other.udf_id, udf.name)
                return

    def _complaint(self, file: Path, error: PublicationError) -> str:
        return f"{error}; the last good version stays" if file in self.published else str(error)

    async def _withdraw(self, present: set[Path]) -> None:
        for file in [file for file in self.published if file not in present]:
            del self.published[file]
        self._digests = {file: known for file, known in self._digests.items() if file in present}
        kept = {each.udf_id for each in self.published.values()}
        for stored in await self._registry.publications.udfs(self._account_id, 0, 100_000):
            if stored.source == "file" and stored.present and stored.id not in kept:
                await self._registry.publications.withdraw(stored.id)
