"""One run: the job, the executor, the log; for a client or for a function that called."""

import asyncio
import itertools
import math
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from tileserver.errors import TileserverError, UdfError
from tileserver.execution import Executor
from tileserver.jobs import Block, Caller, Job, Output, Printed, Rendered, Source
from tileserver.layers import Answer, Layer, cut_of, entry_of, run_of, source_of
from tileserver.registry import Grant, Secrets
from tileserver.runlog import RunLog
from tileserver.settings import Settings
from tileserver.tilecache import Entry, Facts
from tileserver.tiles import Tile
from tileserver.udfs import Udf

TILE_LIMIT: Final = 8 * 2**20
FILE_LIMIT: Final = 512 * 2**20
"""Bytes of an encoded answer."""
_BLOCK_LIMIT: Final = FILE_LIMIT * 7 // 5
"""The same of a block, which has smaller arrays beside the one that it is, and what is around squares."""
_LARGE: Final = 2**20
"""Bytes that are digested in a thread."""
REFUSALS: Final = frozenset({"busy", "too_many_requests", "udf_suspended", "block_gone"})
"""Codes of what did not run."""
_LEAST_SECRET: Final = 8
"""Characters: a shorter one may be part of any text."""


class Within(NamedTuple):
    """Who asks for a run."""

    caller: Caller
    seconds: float
    """That the run may take at most."""


def below(within: Within | None, layer: Layer, flight: str) -> Within:
    """The same one flight deeper; a client's request begins a chain."""
    grant = layer.grant
    if within is None:
        return Within(Caller(account_id=grant.account_id, token_id=grant.token_id, chain=(flight,)), math.inf)
    chain = (*within.caller.chain, flight)
    return within._replace(caller=msgspec.structs.replace(within.caller, chain=chain, account_id=grant.account_id))


def _payer(caller: Caller) -> str:
    """Whose turn a run takes: the token's, else the account's."""
    return caller.token_id or caller.account_id


class Runner:
    """Runs layers."""

    def __init__(self, settings: Settings, executor: Executor, runs: RunLog, secrets: Secrets) -> None:
        self._settings, self._executor, self._runs, self._secrets = settings, executor, runs, secrets
        self._ids = itertools.count(1)

    async def answer(self, layer: Layer, tile: Tile | None, within: Within, block: Block | None = None) -> Answer:
        """What a run gives, ready to be kept and sent; raises TileserverError where it fails.

        Args:
            block: what the function is called for in the tile's place.
        """
        created = time.time()
        rendered, waited = await self._timed(layer, tile, within, block)
        return Answer(entry=await kept(rendered, layer, created), source="run", queue_ms=waited)

    async def cut(self, layer: Layer, tile: Tile, within: Within, block: Block, facts: Facts) -> Answer:
        """A tile that a worker cuts from a stored block with these facts.

        Raises:
            BlockGoneError: the block's file is another one, or not there.
            TileserverError: it cannot be cut, or not as is asked for.
        """
        rendered, waited = await self._timed(layer, tile, within, block)
        return Answer(entry=cut_of(rendered, layer, facts), source="block", queue_ms=waited)

    async def _timed(
        self, layer: Layer, tile: Tile | None, within: Within, block: Block | None
    ) -> tuple[Rendered, float]:
        """What a worker makes of it, and the milliseconds of that in the queue and on the way."""
        started = time.perf_counter()
        rendered = await self.run(layer, tile, within, block=block)
        took = (time.perf_counter() - started) * 1000
        return rendered, max(took - rendered.udf_ms - rendered.encode_ms, 0.0)

    async def run(
        self, layer: Layer, tile: Tile | None, within: Within, *, sample: bool = False, block: Block | None = None
    ) -> Rendered:
        """What a worker makes of it; every call of the function goes into the log here, however it ends."""
        job, asked = self._job(layer, tile, within, sample=sample, block=block), time.time()
        source, nested = await self.source(layer.grant, layer.udf), within.caller.depth > 1
        try:
            rendered = await self._executor.run(job, source, group=_payer(within.caller), nested=nested)
        except TileserverError as failure:
            _mask(failure, source.secrets)
            if failure.code not in REFUSALS:
                self._runs.add(run_of(layer, job, asked, failure))
            raise
        if rendered.printed.text:
            printed = Printed(*(masked(text, source.secrets) for text in rendered.printed))
            rendered = msgspec.structs.replace(rendered, printed=printed)
        if job.calls:
            self._runs.add(run_of(layer, job, asked, rendered))
        return rendered

    async def source(self, grant: Grant, udf: Udf) -> Source:
        """The code as a worker needs it, with its account's secrets."""
        return msgspec.structs.replace(source_of(grant, udf), secrets=await self._secrets.of(grant.account_id))

    def _longest(self, layer: Layer, tile: Tile | None) -> float:
        """Seconds that a run may take by the settings; a UDF's own limit is one of tiles and files."""
        if layer.batch:
            return self._settings.batch_timeout
        longest = self._settings.timeout if tile else self._settings.file_timeout
        return min(layer.udf.options.timeout or longest, longest)

    def _job(self, layer: Layer, tile: Tile | None, within: Within, *, sample: bool, block: Block | None) -> Job:
        longest, output = self._longest(layer, tile), layer.output
        around = "/".join(map(str, block.tile)) if block else tile.partition.name if tile else ""
        return Job(
            id=next(self._ids),
            digest=layer.grant.digest,
            tile=(tile.z, tile.x, tile.y) if tile else None,
            partition=around,
            arguments=layer.arguments,
            output=output,
            timeout=min(longest, within.seconds),
            limit=_limit(output, tile),
            sample=sample,
            caller=within.caller,
            block=block,
        )


async def kept(rendered: Rendered, layer: Layer, created: float) -> Entry:
    """What a run that began at `created` (seconds since 1970) gave, as the cache keeps it."""
    if len(rendered.body) > _LARGE:
        return await asyncio.to_thread(entry_of, rendered, layer, created)
    return entry_of(rendered, layer, created)


def _limit(output: Output, tile: Tile | None) -> int:
    if output.block:
        return _BLOCK_LIMIT
    return TILE_LIMIT if tile and not output.exchange else FILE_LIMIT


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """What a run left, with the names of secrets in the place of their values, which addresses in errors may have."""
    for key, value in sorted(secrets.items(), key=lambda each: -len(each[1])):
        if len(value) >= _LEAST_SECRET:
            text = text.replace(value, f"<{key}>")
    return text


def _mask(failure: TileserverError, secrets: Mapping[str, str]) -> None:
    if isinstance(failure, UdfError):
        for name in ("message", "traceback", "printed"):
            setattr(failure, name, masked(getattr(failure, name), secrets))
        output, errors = failure.streams
        failure.streams = masked(output, secrets), masked(errors, secrets)
