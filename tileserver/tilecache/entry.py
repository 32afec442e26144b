"""A cached answer and how it is stored: a header with a checksum, then the body. What does not check is a miss."""

import hashlib
import math
import os
import re
import struct
import time
import zlib
from pathlib import Path
from typing import Final

import msgspec

from tileserver import handed
from tileserver.formats import ALL, Kind, is_media_type
from tileserver.jobs import Callee, Stored

MAGIC: Final = b"TSE1"
_CHANGES: Final = re.compile(r"([a-z]{1,20}=[0-9.e+]{1,20}(, [a-z]{1,20}=[0-9.e+]{1,20}){0,5})?", re.ASCII)
_ETAG: Final = re.compile(r'"[0-9a-f]{32}"', re.ASCII)
_HARMLESS: Final = frozenset({"", *(each.media_type for each in ALL if not each.media_type.startswith("text/html"))})
"""Media types that browsers run nothing of; of any other a worker may not say that we wrote it."""
_SKEW: Final = 60.0
"""Seconds by which the clock that an entry has its time from may be ahead."""
_PIECE: Final = 2**20
_READ: Final = 12
"""Times the bytes of a file that its features take once they are read."""
_HEAD: Final = struct.Struct("<4sII")
"""Magic, length of the facts, CRC-32 of facts and body."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What is stored beside a body. Positional on disk: new fields go last, with a default."""

    media_type: str
    coding: str
    etag: str
    """The strong validator of the body as coded, with its quotes."""
    created: float
    """Seconds since 1970."""
    epoch: int
    """Of the UDF's last clearing when the run began."""
    kind: str = ""
    empty: bool = False
    authored: bool = False
    udf_ms: float = 0.0
    encode_ms: float = 0.0
    changes: str = ""
    """What features had to be changed for a vector tile; see `Rendered`."""
    callees: tuple[Callee, ...] = ()
    """What the run called: when one of these changes, the answer is stale."""
    stdout: str = ""
    stderr: str = ""
    """The ends of what the run printed, for the UDF's owner; of older entries both are in `stdout`."""

    @property
    def printed(self) -> tuple[str, str]:
        """To standard output and to standard error."""
        return self.stdout, self.stderr

    @property
    def age(self) -> float:
        """Seconds; infinite where it is from the future: a clock was wrong, nobody knows by how much."""
        age = time.time() - self.created
        return max(age, 0.0) if age > -_SKEW else math.inf

    @property
    def settled(self) -> bool:
        """Whether no call failed on which the answer rests."""
        return all(callee.digest for callee in self.callees)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that can be sent."""

    facts: Facts
    body: bytes
    stored: Stored | None = None
    """Where the body lies, if it is not here."""
    tier: str = "disk"
    """Where it was found, if not in memory."""

    @property
    def weight(self) -> int:
        """Bytes that the entry takes in memory, nearly."""
        return len(self.body) + 4 * len(self.facts.stdout + self.facts.stderr) + 1500

    def in_epoch(self, epoch: int) -> "Entry":
        """The same as if it had been made later: nothing cleared it since."""
        return Entry(facts=msgspec.structs.replace(self.facts, epoch=epoch), body=self.body)


def harmless(facts: Facts) -> Facts:
    """The same without what no header may have, or what browsers would run: whoever says it may say anything."""
    return msgspec.structs.replace(
        facts,
        media_type=facts.media_type if is_media_type(facts.media_type) else "application/octet-stream",
        coding="gzip" if facts.coding == "gzip" else "",
        authored=facts.authored or facts.media_type not in _HARMLESS,
        changes=facts.changes if _CHANGES.fullmatch(facts.changes) else "",
    )


def is_possible(facts: Facts, body: bytes) -> bool:
    """Whether another server could have made it, and not in the future."""
    times = (facts.created, facts.udf_ms, facts.encode_ms)
    if not all(map(math.isfinite, times)) or min(times) < 0 or not math.isfinite(facts.age):
        return False
    return _ETAG.fullmatch(facts.etag) is not None and facts.etag == etag(body)


def etag(body: bytes) -> str:
    """The strong validator of a body: 32 hexadecimal digits of its SHA-256, quoted."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def write(entry: Entry) -> bytes:
    """The stored form of an entry."""
    head, facts, body = pieces(entry)
    return b"".join((head, facts, body if isinstance(body, bytes) else _copied(memoryview(body))))


def pieces(entry: Entry) -> tuple[bytes, bytes, bytes]:
    """The same in pieces that follow each other, the last of which is the body itself, which may be a mapped file."""
    facts = msgspec.msgpack.encode(entry.facts)
    return _HEAD.pack(MAGIC, len(facts), zlib.crc32(entry.body, zlib.crc32(facts))), facts, entry.body


def read(stored: bytes | memoryview) -> Entry | None:
    """The entry of a stored form, or None where header or checksum are not ours."""
    if len(stored) < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(stored)
    rest = memoryview(stored)[_HEAD.size :]
    if magic != MAGIC or zlib.crc32(rest) != checksum:
        return None
    facts = _facts(rest[:length])
    return Entry(facts=facts, body=_copied(rest[length:])) if facts else None


def _copied(body: memoryview) -> bytes:
    """Its bytes, in pieces that are then joined: one copy of many megabytes would hold up all other threads."""
    return b"".join([bytes(body[at : at + _PIECE]) for at in range(0, len(body), _PIECE)])


def look(place: Path) -> Entry | None:
    """The entry of a stored form in a file, its body left there; None where it is not ours, or not whole.

    Raises:
        OSError: the file cannot be read.
    """
    with place.open("rb") as file:
        before = os.fstat(file.fileno())
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size or head[: len(MAGIC)] != MAGIC:
            return None
        _, length, checksum = _HEAD.unpack(head)
        if length > before.st_size:
            return None
        raw = file.read(length)
        found = zlib.crc32(raw)
        while piece := file.read(_PIECE):
            found = zlib.crc32(piece, found)
        after = handed.stamp(os.fstat(file.fileno()))
    facts, start = _facts(raw), len(head) + length
    if facts is None or found != checksum or after != handed.stamp(before):
        return None
    length = before.st_size - start
    weight = length * _READ if facts.kind == Kind.VECTOR else 0  # of a raster what is looked at stays in its file
    return Entry(facts=facts, body=b"", stored=Stored(str(place), start, length, after, weight))


def _facts(raw: bytes | memoryview) -> Facts | None:
    try:
        return msgspec.msgpack.decode(raw, type=Facts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a store may say anything, with a checksum
        return None
