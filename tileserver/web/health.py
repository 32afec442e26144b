"""Probes: they never queue behind tiles."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tileserver import __version__
from tileserver.execution import Executor
from tileserver.execution.sandbox import in_force

_FRESH = {"cache-control": "no-store"}


class HealthRoutes:
    """`/livez` and `/readyz`."""

    def __init__(self, executor: Executor, isolation: str) -> None:
        self.executor, self._isolation = executor, isolation
        self._layers: asyncio.Future[dict[str, bool]] | None = None

    async def livez(self, request: Request) -> Response:
        """200 as long as the loop turns."""
        return JSONResponse({"status": "ok", "version": __version__}, headers=_FRESH)

    async def readyz(self, request: Request) -> Response:
        """200 when functions can run, else 503; with the layers of isolation that the kernel confirms."""
        stats = self.executor.stats()
        if self._layers is None:
            self._layers = asyncio.ensure_future(asyncio.to_thread(in_force, self._isolation))
        body = {
            "status": "ok" if stats.ready else "starting",
            "running": stats.running,
            "queued": stats.queued,
            "processes": stats.processes,
            "pool": "here" if stats.here else "elsewhere",
            "isolation": self._isolation,
            "layers": await asyncio.shield(self._layers),
        }
        return JSONResponse(body, 200 if stats.ready else 503, headers=_FRESH)
