"""`@cache`: a function's results on disk, for all workers of an account. Outside of a worker functions just run."""

from tileserver.functioncache.decorator import cache, keep_in, place
from tileserver.functioncache.identity import HEADERS, TEXT
from tileserver.functioncache.store import Store

__all__ = ["HEADERS", "TEXT", "Store", "cache", "keep_in", "place"]
