"""How the cache stands: what was answered from where, and what it holds, of all server processes on a directory."""

from typing import TypedDict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.tilecache.counts import SOURCES
from tileserver.web.answering import Answering
from tileserver.web.operations import Operation


class MemoryRecord(TypedDict):
    """The memory tiers together; `limit` is of each process."""

    bytes: int
    entries: int
    evictions: int
    limit: int


class DiskRecord(TypedDict):
    """The disk tier."""

    bytes: int
    entries: int
    written: int
    evictions: int
    limit: int


class StoreRecord(TypedDict):
    """A store that servers share, of which nobody knows what it holds."""

    kind: str


class CacheReport(TypedDict):
    """Counts are since the server started; `answers` are by `detail` of Cache-Status, `repeated` within a second."""

    processes: int
    answers: dict[str, int]
    memory: MemoryRecord
    disk: DiskRecord
    stores: list[StoreRecord]
    store_failures: int


class CacheRoutes:
    """For the server's owner."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [Route("/api/v1/cache", self.show)]

    @Operation(answer=CacheReport, who="owner")
    async def show(self, request: Request) -> Response:
        """What was answered from where, and what memory and disk hold; of many files on disk, some seconds ago."""
        await self._answering.access.server_owner(request.scope)
        return JSONResponse(await self._report(), headers={"cache-control": "no-store"})

    async def _report(self) -> CacheReport:
        cache = self._answering.pipeline.cache
        self._answering.recent.clear()  # which counts what was given again of late
        counts = self._answering.metrics.counts
        counts.put(**cache.numbers())
        numbers, living = counts.together()
        used, files = await cache.usage.told()
        return CacheReport(
            processes=living,
            answers={source: numbers[source] for source in SOURCES},
            memory=MemoryRecord(
                bytes=numbers["memory_bytes"],
                entries=numbers["memory_entries"],
                evictions=numbers["memory_evictions"],
                limit=cache.memory.limit,
            ),
            disk=DiskRecord(
                bytes=used,
                entries=files,
                written=numbers["disk_written"],
                evictions=numbers["disk_evictions"],
                limit=cache.disk.limit,
            ),
            stores=[StoreRecord(kind=each.kind) for each in cache.beyond],
            store_failures=numbers["store_failures"],
        )
