"""Probes: they never queue behind tiles."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tileserver import __version__
from tileserver.execution import Executor

_FRESH = {"cache-control": "no-store"}


class HealthRoutes:
    """`/livez` and `/readyz`."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    async def livez(self, request: Request) -> Response:
        """200 as long as the loop turns."""
        return JSONResponse({"status": "ok", "version": __version__}, headers=_FRESH)

    async def readyz(self, request: Request) -> Response:
        """200 when functions can run, else 503."""
        stats = self.executor.stats()
        body = {
            "status": "ok" if stats.ready else "starting",
            "running": stats.running,
            "queued": stats.queued,
            "processes": stats.processes,
            "pool": "here" if stats.here else "elsewhere",
        }
        return JSONResponse(body, 200 if stats.ready else 503, headers=_FRESH)
