"""Layers: one UDF version with bound parameters and one output specification, and the records around them."""

import dataclasses
import time
from functools import cached_property
from typing import Any, Final

import msgspec

from tileserver import query as queries
from tileserver.bans import Bans
from tileserver.errors import InvalidParameterError, TileserverError, UdfError
from tileserver.formats import Kind
from tileserver.jobs import Call, Job, Output, Rendered, Source
from tileserver.registry import Account, Grant
from tileserver.runlog import Run
from tileserver.tilecache import Entry, Facts, Key, Terms, arguments_key, etag, harmless, layer_key
from tileserver.tiles import Bounds, Tile
from tileserver.udfs import Udf, bind, is_reserved, own_arguments, seconds

_TEXT_LIMIT: Final = 64_000
"""Characters of each of its texts that a run keeps."""
_REPLAYED: Final = 4000
"""Characters of each stream that are kept with a run's answer, to be told again with it, and in the log."""
_USUAL_SIZE: Final = 256


class Ask(msgspec.Struct, frozen=True):
    """What a layer follows from, as the URL spells it."""

    token: str
    """Or a UDF's name, where `who` or `collection` says whose."""
    extension: str
    scale: int
    query: str
    tiled: bool
    account: Account | None = None
    """Who asks for a UDF by its name, or by a token of a team; None where the token opens it to everybody."""
    who: str = ""
    """Whose UDF of that name an account asks for: an e-mail address, a handle or `team`."""
    collection: str = ""
    """Whose UDF of that name is asked for by a collection's token: an account's id."""
    hosted: bool = False
    """Whether the hosted API's clients ask."""

    @property
    def for_all(self) -> bool:
        """Whether what it is answered is for everybody who has the URL."""
        return self.account is None and not self.collection


class Layer(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One UDF version with bound parameters and one output specification."""

    grant: Grant
    udf: Udf
    arguments: dict[str, Any]
    output: Output
    key: str
    tiled: bool
    max_age: int
    """Seconds for which an answer is fresh; 0 keeps none and takes none that is kept."""
    versioned: bool = False
    """Whether the URL names the version that is current."""
    strict_empty: bool = False
    """Whether empty answers shall be 404."""
    tms: bool = False
    """Whether rows are counted from the south."""
    batch: bool = False
    """Whether it is run in the background, for which there is more time."""

    @cached_property
    def terms(self) -> Terms:
        """On what an entry of it is served."""
        return Terms(
            self.grant.bans,
            self.max_age,
            self.grant.udf_id,
            _margin(self.grant.kind, self.output),
            self.udf.options.stale_while_revalidate,
            self.udf.options.stale_if_error,
            self.output.block,
            arguments_key(own_arguments(self.udf, self.arguments)),
        )

    def is_cut(self, tile: Tile) -> bool:
        """Whether the tile is cut from a block."""
        zoom = self.udf.options.block_zoom
        return zoom is not None and tile.z >= zoom and not self.output.block

    def covers(self, tile: Tile) -> bool:
        """Whether the tile is inside the UDF's zooms and bounds."""
        options = self.udf.options
        inside = options.bounds is None or tile.meets(Bounds(*options.bounds))
        return inside and options.minzoom <= tile.z <= options.maxzoom


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF that came with a request and is stored nowhere."""

    account_id: str
    name: str
    code: str
    headers: dict[str, str]
    entry: str = ""
    """The function's name, where who posted it names one."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An entry, and how it came about."""

    entry: Entry
    source: str
    """`memory`, `disk`, `stale` (past its age, or cut from what is), `above` (of an empty tile that it lies in),
    `block` (cut from one that was there), `run`, `shared` (somebody else's run) or `outside`."""
    queue_ms: float = 0.0


def bound(grant: Grant, udf: Udf, ask: Ask, query: queries.Query) -> Layer:
    """The layer that an address and its query mean for what the token opens.

    Raises:
        InvalidError: a parameter or the format cannot be.
    """
    output = queries.output(
        udf, grant.kind, query, extension=ask.extension, scale=ask.scale, tiled=ask.tiled, hosted=ask.hosted
    )
    arguments = bind(udf, query, tiled=ask.tiled)
    return Layer(
        grant=grant,
        udf=udf,
        arguments=arguments,
        output=output,
        key=layer_key(grant.digest, grant.udf_id, arguments, output),
        tiled=ask.tiled,
        max_age=_max_age(grant, udf, query),
        versioned=query.get("v", [""])[-1] == version(grant),
        strict_empty=query.get("empty", [""])[-1] == "404",
        tms=query.get("scheme", [""])[-1] == "tms",
    )


def called(grant: Grant, udf: Udf, call: Call) -> Layer:
    """The layer that a function means which calls a UDF.

    Raises:
        InvalidParameterError: a parameter does not convert, is missing, or is none of the UDF's.
    """
    known = [each.name for each in udf.parameters if not is_reserved(each.name)]
    strange = [name for name in call.arguments if name not in known and not udf.takes_all]
    if strange and not call.lenient:
        raise InvalidParameterError(f"it takes no parameter '{strange[0]}'", parameter=strange[0])
    tiled = call.tile is not None
    arguments = bind(udf, call.arguments, tiled=tiled)
    output = Output(exchange=True, tiled=tiled, size=call.size)
    max_age = udf.options.cache_max_age if call.max_age is None else call.max_age
    return Layer(
        grant=grant,
        udf=udf,
        arguments=arguments,
        output=output,
        key=layer_key(grant.digest, grant.udf_id, arguments, output),
        tiled=tiled,
        max_age=max_age if grant.cache else 0,
    )


def block(layer: Layer, tile: Tile) -> tuple[Layer, Tile]:
    """The layer and the tile whose result a tile of a layer is cut from."""
    options = layer.udf.options
    assert options.block_zoom is not None
    size = _USUAL_SIZE
    if _sees_pixels(layer):
        size = min(layer.output.size << (tile.z - options.block_zoom), options.block_size)
    output = Output(block=True, size=size, buffer=layer.output.buffer, resampling=options.resampling)
    grant, arguments = layer.grant, layer.arguments
    own = layer_key(grant.digest, grant.udf_id, arguments, output)
    ancestor = msgspec.structs.replace(layer, output=output, key=own)
    return ancestor, dataclasses.replace(tile.ancestor(options.block_zoom), size=size)


def _sees_pixels(layer: Layer) -> bool:
    """Whether the function may give another result for another `tile.size`: one for rasters that asks for the tile."""
    vector = layer.grant.kind == Kind.VECTOR or layer.output.formats[:1] in (("mvt",), ("geojson",))
    return not vector and any(each.injected == "tile" for each in layer.udf.parameters)


def key_of(layer: Layer, tile: Tile | None) -> Key:
    """Where an answer is kept."""
    return Key(layer.key, tile.z, tile.x, tile.y) if tile else Key(layer.key, -1, 0, 0)


def granted(posted: Posted, udf: Udf) -> Grant:
    """What who posted a UDF may do with it: anything. Its runs are kept under the account's id."""
    return Grant(
        token_id="",
        udf_id=posted.account_id,
        account_id=posted.account_id,
        name=udf.name,
        digest=udf.digest,
        code=posted.code,
        headers=posted.headers,
        record="",
        facts=None,
        kind=udf.kind,
        file=None,
        bans=Bans(),
        cache=True,
        shared_cache=False,
        expose_errors=True,
    )


def probe_tiles(udf: Udf) -> list[Tile | None]:
    """Where a probe looks for something: tiles in the middle of the UDF's bounds, or None where it takes no tile."""
    if not any(each.injected for each in udf.parameters):
        return [None]
    options = udf.options
    west, south, east, north = options.bounds or (-180.0, -85.0, 180.0, 85.0)
    east += 360.0 if east < west else 0.0
    longitude, latitude = ((west + east) / 2 + 180.0) % 360.0 - 180.0, (south + north) / 2
    deepest = options.maxzoom if options.block_zoom is None else min(options.maxzoom, options.block_zoom)
    zooms = sorted({min(options.minzoom, deepest), min(options.minzoom + 3, deepest)})
    return [Tile.at(longitude, latitude, zoom) for zoom in zooms]


def source_of(grant: Grant, udf: Udf) -> Source:
    """The code as a worker needs it."""
    return Source(
        digest=grant.digest,
        name=udf.name,
        code=grant.code,
        entry=udf.entry,
        headers=grant.headers,
        path=grant.file or f"{udf.name}.py",
        fused=udf.fused,
        memory=udf.options.memory or 0,
        account_id=grant.account_id,
    )


def version(grant: Grant) -> str:
    """What `v` is in the templates that we give out: it changes with the code and with every clearing."""
    return f"{grant.digest[:12]}.{grant.epoch}"


def _max_age(grant: Grant, udf: Udf, query: queries.Query) -> int:
    if not grant.cache:
        return 0
    asked = query.get("cache_max_age")
    try:
        return seconds(asked[-1]) if asked else udf.options.cache_max_age
    except ValueError as error:
        raise InvalidParameterError(f"Parameter 'cache_max_age': {error}.", parameter="cache_max_age") from None


def _margin(kind: str | None, output: Output) -> int:
    """By how much a tile's content reaches over its edges, in 4,096ths of its side: where features are cut."""
    vector = "mvt" in output.formats or (not output.formats and kind in (None, Kind.VECTOR))
    return output.buffer if output.clip or (vector and not output.exchange) else 0


def entry_of(rendered: Rendered, layer: Layer, created: float) -> Entry:
    """What a run that began at `created` (seconds since 1970) gave, as the cache keeps it.

    What becomes a header is checked here: a worker may say anything.
    """
    facts = Facts(
        media_type=rendered.media_type,
        coding=rendered.coding,
        etag=etag(rendered.body),
        created=created,
        epoch=layer.grant.epoch,
        kind=rendered.kind,
        empty=rendered.empty,
        authored=rendered.authored,
        udf_ms=rendered.udf_ms,
        encode_ms=rendered.encode_ms,
        changes=rendered.changes,
        callees=rendered.callees,
        stdout=rendered.printed.stdout[-_REPLAYED:],
        stderr=rendered.printed.stderr[-_REPLAYED:],
    )
    return Entry(facts=harmless(facts), body=rendered.body)


def cut_of(rendered: Rendered, layer: Layer, block: Facts) -> Entry:
    """A tile that was cut from a block, as the cache keeps it: as old as that, and resting on the same."""
    entry = entry_of(rendered, layer, block.created)
    facts = msgspec.structs.replace(
        entry.facts,
        udf_ms=block.udf_ms,
        encode_ms=rendered.udf_ms + rendered.encode_ms,
        callees=block.callees,
        stdout=block.stdout,
        stderr=block.stderr,
    )
    return msgspec.structs.replace(entry, facts=facts)


def run_of(layer: Layer, job: Job, asked: float, came: Rendered | TileserverError) -> Run:
    """What the log keeps of a job that was handed on at `asked` (seconds since 1970) and came to this."""
    cost = _cost(came, (time.time() - asked) * 1000)
    return Run(
        udf_id=layer.grant.udf_id,
        digest=job.digest,
        token_id=layer.grant.token_id,
        started=time.time() - cost["wall_ms"] / 1000,
        tile="/".join(map(str, job.tile)) if job.tile else None,
        parameters=job.arguments,
        cache=_cache(layer, job),
        **cost,
        **_said(came),
    )


def _cache(layer: Layer, job: Job) -> str:
    if job.sample:
        return "probe"
    if job.caller.depth > 1:
        return "call"
    return "miss" if layer.max_age > 0 else "none"


def _cost(came: Rendered | TileserverError, took: float) -> dict[str, Any]:
    """Of a run that was ended from outside, nobody tells more than how long it `took`, its wait included."""
    if isinstance(came, Rendered):
        wall, cpu, memory = came.udf_ms + came.encode_ms, came.cpu_ms, came.memory
    else:
        wall, cpu, memory = came.spent if isinstance(came, UdfError) else (0.0, 0.0, 0)
    return {"wall_ms": wall or took, "cpu_ms": cpu, "memory": memory}


def _said(came: Rendered | TileserverError) -> dict[str, Any]:
    if isinstance(came, Rendered):
        return {"bytes": len(came.body), "media_type": came.media_type, **_printed(*came.printed)}
    if not isinstance(came, UdfError):
        return {"outcome": came.code, "message": str(came)}
    return {
        "outcome": came.code,
        **_printed(came.printed, *came.streams),
        "message": came.message[:_TEXT_LIMIT],
        "exception": came.exception,
        "traceback": came.traceback[-_TEXT_LIMIT:],
        "line": came.line,
    }


def _printed(text: str, stdout: str, stderr: str) -> dict[str, str]:
    return {"printed": text[-_TEXT_LIMIT:], "stdout": stdout[-_REPLAYED:], "stderr": stderr[-_REPLAYED:]}
