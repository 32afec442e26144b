"""Public names: what the author of a UDF imports. Each is resolved on first use, so importing this costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tileserver.authoring import run as run
    from tileserver.authoring import run_async as run_async
    from tileserver.authoring import udf as udf
    from tileserver.client import AsyncClient as AsyncClient
    from tileserver.client import Client as Client
    from tileserver.errors import CallError as CallError
    from tileserver.formats import Response as Response
    from tileserver.functioncache import cache as cache
    from tileserver.rasters import read_raster as read_raster
    from tileserver.tiles import Tile as Tile
    from tileserver.worker.fused import load as load

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "CallError",
    "Client",
    "Response",
    "Tile",
    "cache",
    "load",
    "read_raster",
    "run",
    "run_async",
    "udf",
]

_HOMES = {
    "AsyncClient": "tileserver.client",
    "Client": "tileserver.client",
    "udf": "tileserver.authoring",
    "run": "tileserver.authoring",
    "run_async": "tileserver.authoring",
    "cache": "tileserver.functioncache",
    "load": "tileserver.worker.fused",
    "read_raster": "tileserver.rasters",
    "CallError": "tileserver.errors",
    "Response": "tileserver.formats",
    "Tile": "tileserver.tiles",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tileserver' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
