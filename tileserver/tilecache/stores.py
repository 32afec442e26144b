"""Byte stores that servers share, by their address: Redis or Valkey, Memcached, and object stores."""

import asyncio
import warnings
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from tileserver.errors import SetupError

_MONTH: Final = 30 * 86400
"""Seconds; Memcached takes more for a date."""
REDIS: Final = ("redis", "rediss", "valkey", "valkeys", "unix")
_PIECE: Final = 2**22
"""Bytes that the loop takes in a millisecond."""
OBJECTS: Final = ("s3", "gs", "az", "abfs", "abfss", "file")
_KNOWN: Final = (*REDIS, "memcached", *OBJECTS)
_LINE: Final = 200
"""Characters of an error of a store's library."""


class Store(Protocol):
    """Bytes by name; whatever goes wrong is raised."""

    async def get(self, name: str) -> bytes | None:
        """What there is."""

    async def set(self, name: str, value: bytes, seconds: int) -> None:
        """Keep it, for so long at most."""

    async def close(self) -> None:
        """Let go of connections."""


def opened(address: str) -> Store:
    """The store at an address, which need not be there yet.

    Raises:
        SetupError: there is no such kind of store, the address is none, or what it takes is not installed.
    """
    parts = _parts(address)
    try:
        if parts.scheme in REDIS:
            return _redis(address)
        if parts.scheme == "memcached":
            return _memcached(parts.hostname or "127.0.0.1", parts.port or 11211)
        return _Objects(address)
    except ValueError as error:
        raise SetupError(f"the cache '{parts.scheme}://' has options that it does not know: {error}") from None
    except ImportError as error:
        extra = "cloud" if parts.scheme in OBJECTS else "memcached" if parts.scheme == "memcached" else "redis"
        raise SetupError(
            f"the cache '{parts.scheme}://' takes a library: pip install 'udf-tileserver[{extra}]'"
        ) from error


def first_line(error: Exception) -> str:
    """What an error of a store's library says before the details, of which some tell pages."""
    return str(error).strip().partition("\n")[0][:_LINE]


def _parts(address: str) -> SplitResult:
    """The parts of an address that can be one; raises SetupError."""
    shown = f"{address.partition('://')[0]}://" if "://" in address else address.rpartition("@")[2]  # no secrets
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise SetupError(f"the cache '{shown}' has no address that can be read: {error}") from None
    if "://" not in address or parts.scheme not in _KNOWN:
        *others, last = (f"{each}://" for each in _KNOWN)
        known = f"{', '.join(others)} or {last}"
        raise SetupError(f"the cache '{shown}' is of no known kind; an address begins with {known}")
    if parts.scheme in REDIS and not _is_redis(parts):
        raise SetupError(f"the cache '{shown}' takes an address as redis://HOST:PORT/NUMBER or unix:///PATH")
    return parts


def _is_redis(parts: SplitResult) -> bool:
    if parts.scheme == "unix":
        return bool(parts.path)
    number = parts.path.strip("/")
    return bool(parts.hostname) and (not number or (number.isascii() and number.isdigit()))


def refusals(scheme: str) -> tuple[type[Exception], ...]:
    """What is raised where a store is there and says no: it is full, or what has that name is of another type."""
    if scheme in REDIS:
        from redis.exceptions import ResponseError

        return (ResponseError,)
    if scheme == "memcached":
        from aiomcache import ClientException

        return (ClientException,)
    return ()


def _redis(address: str) -> Store:
    from aiocache import RedisCache

    class Current(RedisCache):  # type: ignore[misc]
        """Without the command that redis-py advises against."""

        async def _set(self, key: str, value: bytes, ttl: int | None = None, **_: Any) -> Any:
            return await self.client.set(key, value, ex=ttl)

    return _Cached(Current, client=redis(address))


def _memcached(host: str, port: int) -> Store:
    from aiocache import MemcachedCache

    return _Cached(MemcachedCache, endpoint=host, port=port, pool_size=8)


def redis(address: str) -> Any:
    """A client of redis-py; `valkey://` is another name of `redis://`."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    place = address.replace("valkey", "redis", 1) if address.startswith("valkey") else address
    # whoever waits has 20 ms: what fails is not tried again
    return Redis.from_url(place, decode_responses=False, retry=Retry(NoBackoff(), 0), max_connections=64)


class _Cached:
    """A backend of aiocache: neither its locks nor its serialisers."""

    def __init__(self, kind: Any, client: Any = None, **options: Any) -> None:
        from aiocache.serializers import NullSerializer

        self._cache = kind(serializer=NullSerializer(encoding=None), timeout=0, **options)
        self._longest = _MONTH if client is None else None
        if client is not None:
            self._cache.client = client

    async def get(self, name: str) -> bytes | None:
        value: bytes | None = await self._cache.get(name)
        return value

    async def set(self, name: str, value: bytes, seconds: int) -> None:
        await self._cache.set(name, value, ttl=min(seconds, self._longest or seconds))

    async def close(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # aiocache says `close` to redis-py
            await self._cache.close()


class _Objects:
    """A bucket or a folder. How long what is in it stays, its own rules say."""

    def __init__(self, address: str) -> None:
        from obstore.store import from_url

        options: dict[str, Any] = {"mkdir": True} if address.startswith("file:") else {}
        try:
            self._store: Any = from_url(address, **options)
        except Exception as error:  # of a kind of its own for each kind of store
            raise SetupError(f"the object store at {address} cannot be used: {first_line(error)}") from None

    async def get(self, name: str) -> bytes | None:
        try:
            found = await self._store.get_async(name)
        except FileNotFoundError:
            return None
        pieces = [piece async for piece in found.stream(min_chunk_size=_PIECE)]
        return b"".join(pieces) if len(pieces) < 2 else await asyncio.to_thread(b"".join, pieces)

    async def set(self, name: str, value: bytes, seconds: int) -> None:  # noqa: ARG002
        await self._store.put_async(name, value)

    async def close(self) -> None:
        """Nothing to do: the store's connections go with it."""
