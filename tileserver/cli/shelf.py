"""The files that `serve` publishes, followed over time: new, changed, broken, gone, back."""

from collections.abc import Iterable
from pathlib import Path

from tileserver.cli import sources
from tileserver.errors import PublicationError
from tileserver.publication import Published, Publisher
from tileserver.registry import Registry
from tileserver.udfs import digest


class Shelf:
    """What of `paths` is published."""

    def __init__(self, paths: Iterable[Path], account_id: str, registry: Registry, publisher: Publisher) -> None:
        self.paths = [path.resolve() for path in paths]
        self.published: dict[Path, Published] = {}
        self._account_id, self._registry, self._publisher = account_id, registry, publisher
        self._digests: dict[Path, str] = {}

    async def refresh(self) -> tuple[list[Published], list[str]]:
        """Publish what is new or changed and withdraw what has gone.

        Returns:
            The UDFs published now, and a line for each file that could not be.
        """
        files, complaints = self._files()
        texts, unreadable = _read(files)
        siblings = {source.file.parent / f"{name}.py" for source in texts for name in source.headers}
        fresh: list[Published] = []
        for source in texts:
            try:
                fresh += await self._publish(source, is_sibling=source.file in siblings)
            except PublicationError as error:
                complaints.append(self._complaint(source.file, error))
        await self._withdraw({source.file for source in texts} | set(unreadable))
        return fresh, [*complaints, *unreadable.values()]

    def _files(self) -> tuple[list[Path], list[str]]:
        files: list[Path] = []
        complaints: list[str] = []
        for path in self.paths:
            try:
                files += sources.find([path])
            except PublicationError as error:
                complaints.append(str(error))
        return list(dict.fromkeys(files)), complaints

    async def _publish(self, source: sources.SourceFile, *, is_sibling: bool) -> list[Published]:
        now = digest(source.code, source.headers)
        if self._digests.get(source.file) == now:
            return []
        self._digests[source.file] = now
        if is_sibling and "udf" not in source.code:
            return []
        self._refuse_twin(source)
        published = await self._publisher.publish_file(self._account_id, source.file, source.code, source.headers)
        self.published[source.file] = published
        return [published]

    def _refuse_twin(self, source: sources.SourceFile) -> None:
        udf = sources.described(source)
        for file, other in self.published.items():
            if other.udf.name == udf.name and file != source.file:
                raise PublicationError(f"{file} has a UDF named '{udf.name}' too", file=str(source.file), line=udf.line)

    def _complaint(self, file: Path, error: PublicationError) -> str:
        return f"{error}; the last good version stays" if file in self.published else str(error)

    async def _withdraw(self, present: set[Path]) -> None:
        for file in [file for file in self.published if file not in present]:
            del self.published[file], self._digests[file]
        kept = {each.udf_id for each in self.published.values()}
        for stored in await self._registry.publications.udfs(self._account_id, 0, 100_000):
            if stored.source == "file" and stored.present and stored.id not in kept:
                await self._registry.publications.withdraw(stored.id)


def _read(files: list[Path]) -> tuple[list[sources.SourceFile], dict[Path, str]]:
    texts: list[sources.SourceFile] = []
    unreadable: dict[Path, str] = {}
    for file in files:
        try:
            texts.append(sources.read(file))
        except PublicationError as error:
            unreadable[file] = str(error)
    return texts, unreadable
