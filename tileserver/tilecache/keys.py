"""Keys: a layer is what a cache key is about; an entry is a layer's tile, stored below its partition."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from tileserver.environment import environment
from tileserver.jobs import Output
from tileserver.tiles import Tile

VERSION: Final = "v1"
"""Of the stored form and of the encoders: a new one leaves all old entries behind."""


class Key(NamedTuple):
    """The address of an entry; a file has the tile -1/0/0."""

    layer: str
    z: int
    x: int
    y: int

    def above(self) -> Iterator["Key"]:
        """Of the tiles that it lies in, the nearest first."""
        for up in range(1, self.z + 1):
            yield Key(self.layer, self.z - up, self.x >> up, self.y >> up)


def layer_key(digest: str, owner: str, arguments: dict[str, Any], output: Output) -> str:
    """26 characters that differ whenever the answer could.

    That is with the UDF version, its account's UDF id, arguments, output, and the environment.
    """
    return _digest([VERSION, environment(), digest, owner, arguments, output])


def arguments_key(arguments: dict[str, Any]) -> str:
    """26 characters that differ with the arguments."""
    return _digest(arguments)


def _digest(value: Any) -> str:
    text = msgspec.json.encode(value, order="deterministic")
    return base64.b32encode(hashlib.sha256(text).digest()).decode().lower()[:26]


def number(key: Key, below: int) -> int:
    """From 0 on: two keys have the same as rarely as can be."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % below


def slot(key: Key) -> str:
    """An entry's name in Redis, where what is in braces chooses the machine: a partition is on one."""
    if key.z < 0:
        return f"t:{VERSION}:{{{key.layer}}}:file"
    tile = Tile(key.z, key.x, key.y)
    return f"t:{VERSION}:{{{key.layer}/{tile.partition.name}}}:{key.z:02d}{tile.quadkey}"


def path(key: Key) -> str:
    """Where an entry lies below the cache's root: listing or deleting a partition is one prefix."""
    if key.z < 0:
        return f"{VERSION}/{key.layer[:2]}/{key.layer}/file"
    tile = Tile(key.z, key.x, key.y)
    return f"{VERSION}/{key.layer[:2]}/{key.layer}/{tile.partition.name}/{key.z:02d}{tile.quadkey}"
