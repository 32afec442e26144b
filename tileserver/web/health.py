"""Probes: they never queue behind tiles."""

import asyncio
from typing import TypedDict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tileserver import __version__
from tileserver.execution import Executor
from tileserver.execution.sandbox import in_force
from tileserver.web.operations import JSON, Operation

_FRESH = {"cache-control": "no-store"}


class Readiness(TypedDict):
    """How the pool stands."""

    status: str
    running: int
    queued: int
    processes: int
    pool: str
    isolation: str
    layers: dict[str, bool]


class HealthRoutes:
    """`/livez` and `/readyz`."""

    def __init__(self, executor: Executor, isolation: str) -> None:
        self.executor, self._isolation = executor, isolation
        self._layers: asyncio.Future[dict[str, bool]] | None = None

    @Operation(answer=dict[str, str], who="anybody")
    async def livez(self, request: Request) -> Response:
        """200 as long as the loop turns."""
        return JSONResponse({"status": "ok", "version": __version__}, headers=_FRESH)

    @Operation(answer=Readiness, who="anybody", also={503: ("No function can run yet.", JSON)})
    async def readyz(self, request: Request) -> Response:
        """200 when functions can run, else 503; with the layers of isolation that the kernel confirms."""
        stats = self.executor.stats()
        if self._layers is None:
            self._layers = asyncio.ensure_future(asyncio.to_thread(in_force, self._isolation))
        body = Readiness(
            status="ok" if stats.ready else "starting",
            running=stats.running,
            queued=stats.queued,
            processes=stats.processes,
            pool="here" if stats.here else "elsewhere",
            isolation=self._isolation,
            layers=await asyncio.shield(self._layers),
        )
        return JSONResponse(body, 200 if stats.ready else 503, headers=_FRESH)
