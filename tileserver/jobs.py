"""What goes to a worker and what comes back: plain data, encoded with msgpack. No callables, no pickles."""

from typing import Any, Final, NamedTuple

import msgspec


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """How the answer shall look. All of it is part of the cache key."""

    formats: tuple[str, ...] = ()
    """Canonical names, as `png`, in order of preference; none leaves it to what is usual for a tile or a file."""
    blank: str = ""
    """The format of the answer where nothing is there; empty sends no byte."""
    tiled: bool = True
    """Whether the answer is a tile; else it is a file."""
    exchange: bool = False
    """Whether another function wants the result as it was returned."""
    block: bool = False
    """Whether it is kept for tiles to be cut from it."""
    indexed: bool = False
    """Whether CSV begins with the index (hosted API, section 3.5)."""
    size: int = 256
    """Pixels of the tile's side, with the scale of `@2x` in it."""
    rescale: tuple[tuple[float, float], ...] | None = None
    """Per band the values that become 0 and 255; one pair serves all bands. None: nominal range of the data type."""
    gamma: float = 1.0
    """Above 1 makes what is between the ends of a range brighter."""
    colormap: str | None = None
    """A colour map as `encode.colormaps` reads it: a name, or JSON."""
    bands: tuple[int, ...] | None = None
    """Bands of the result to show, counted from 1."""
    resampling: str = "nearest"
    """How a raster is stretched or warped: nearest, bilinear, cubic, average, mode."""
    quality: int = 75
    """Of JPEG, WebP and AVIF, 1 to 100."""
    lossless: bool = False
    """Whether WebP keeps every pixel."""
    compression: str = "fast"
    """Of PNG: fast, or smallest."""
    background: str = "white"
    """The colour that JPEG composes on: a CSS name or #rrggbb."""
    layer: str = "udf"
    """The vector tile layer's name."""
    id_column: str | None = None
    """The column whose integers become feature ids; None takes the index."""
    buffer: int = 64
    """Vector: how far geometry reaches over the tile's edge, in units of 1/4096 of its side."""
    clip: bool = False
    """Whether GeoJSON and tables of a tile have features cut as a vector tile cuts them, else whole."""
    max_tile_bytes: int = 500_000
    """Vector: the uncompressed size above which an answer is result_too_large."""


class Source(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A UDF's code as the worker needs it."""

    digest: str
    name: str
    code: str
    entry: str
    """The entry function's name."""
    headers: dict[str, str] = {}
    """Sibling modules by dotted name."""
    path: str = ""
    """The file's name as tracebacks show it."""
    fused: bool = False
    """Whether it was written with `@fused.udf`."""
    memory: int = 0
    """Bytes that its workers may take, where that is less than the server allows; 0 leaves it to the server."""
    account_id: str = ""
    """Whose it is: a worker that has run for one account does not run for another, though the text be the same."""
    secrets: dict[str, str] = {}
    """The account's, by key: what `fused.secrets` has."""

    @property
    def version(self) -> tuple[str, str]:
        """Whose code it is, and which: workers serve one version only."""
        return self.account_id, self.digest

    def __repr__(self) -> str:
        """Without what is not for logs."""
        return f"Source({self.name!r}, {self.digest!r})"


BLOCK: Final = "block/"
"""What names of flights for blocks begin with."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf a job runs: what the calls of its function may reach, and what they must not close."""

    account_id: str = ""
    token_id: str = ""
    chain: tuple[str, ...] = ()
    """Flights that wait for this job, the outermost first, its own last."""

    @property
    def depth(self) -> int:
        """How many of them are calls; that for a block is its tile's own work."""
        return sum(not flight.startswith(BLOCK) for flight in self.chain)


class Callee(NamedTuple):
    """A UDF that a function called."""

    account_id: str
    name: str
    digest: str
    """Empty where the call failed, so that the answer says nothing for long."""
    token_id: str = ""
    """The shared token that opened it; empty where its name did."""
    asking_id: str = ""
    """The account in whose name it was called, which may see it; empty for its own."""
    epoch: int = -1
    """Of its last clearing when it answered; -1 where its code alone was wanted, which no clearing changes."""


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """What lies in a file of the server's, which hands it to workers as a descriptor."""

    path: str
    offset: int
    length: int
    """Bytes, from the offset on."""
    stamp: tuple[int, int, int]
    """Of the file that was looked at: its number, when it was written (nanoseconds), and its bytes."""
    weight: int = 0
    """Bytes that it takes in a worker once it is read, about."""


class Block(msgspec.Struct, frozen=True, array_like=True):
    """The ancestor tile from whose result a tile is cut."""

    tile: tuple[int, int, int]
    """z, x, y."""
    size: int
    """Pixels of its side that the function is told."""
    stored: Stored | None = None
    """Its result; None where the function has to be called for it."""


class Job(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """One call of a UDF, or a tile that is cut from what one gave."""

    id: int
    digest: str
    tile: tuple[int, int, int] | None
    """z, x, y; None for a file."""
    partition: str = ""
    """Where in the world: jobs of one partition go to one worker where they can."""
    arguments: dict[str, Any]
    """Bound parameters in canonical form, by name; what is left out takes the function's own default."""
    output: Output
    timeout: float
    """Seconds that are left."""
    limit: int
    """Bytes that the encoded body may have."""
    sample: bool = False
    """Whether `Rendered.facts` is wanted."""
    caller: Caller = Caller()
    block: Block | None = None
    """Where the tile is cut from a block; None where the function is called for the tile itself."""

    @property
    def calls(self) -> bool:
        """Whether the function is called."""
        return self.block is None or self.block.stored is None


class Printed(NamedTuple):
    """The ends of what a run printed, as text."""

    text: str = ""
    """To standard output and standard error, in the order in which it came as far as that is known."""
    stdout: str = ""
    stderr: str = ""


class Rendered(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The answer to a job."""

    id: int = 0
    """The job's."""
    media_type: str
    kind: str
    format: str = ""
    """Canonical name of the format; empty for a body that the UDF made by itself."""
    coding: str = ""
    """`gzip`, or empty for identity."""
    empty: bool = False
    """Whether there is nothing there: see the rules for empty answers."""
    authored: bool = False
    """Whether the UDF wrote the body itself, so that browsers must not trust it."""
    changes: str = ""
    """Of a vector tile, what had to be changed: `mended=3, tolerance=4, dropped=120` are areas that were not valid,
    units that paths were moved by, and features left out to stay below the tile's bytes."""
    facts: dict[str, Any] = {}
    """Of a sampled run: see `encode.facts`."""
    udf_ms: float = 0.0
    encode_ms: float = 0.0
    wall_ms: float = 0.0
    """Time of function, encoder and what is between them."""
    cpu_ms: float = 0.0
    """Processor time of function and encoder, all threads."""
    runnable_ms: float = 0.0
    """For how long it computed, or would have, had a core been free."""
    memory: int = 0
    """Bytes that the process held at its peak, above what it held when it was born."""
    leak: str = ""
    """What the function left behind, for which the worker is not used again."""
    body: bytes = b""
    stored: int = 0
    """Bytes that the worker left in `Results` instead of `body`."""
    callees: tuple[Callee, ...] = ()
    """What the function called, and what those called; the server's to say."""
    printed: Printed = Printed()


class Describe(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A question for what the source's text alone does not say."""

    options: tuple[str, ...]
    defaults: tuple[str, ...]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A job that failed, as text."""

    id: int = 0
    code: str
    message: str = ""
    traceback: str = ""
    line: int | None = None
    exception: str = ""
    parameter: str = ""
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    runnable_ms: float = 0.0
    memory: int = 0
    leak: str = ""
    printed: Printed = Printed()


class Described(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the source's text alone does not say, evaluated in a worker."""

    options: dict[str, Any] = {}
    """Computed options of `@udf`, by name."""
    defaults: dict[str, Any] = {}
    """Computed defaults that are plain data, by parameter."""


class Call(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A function calls another UDF of its account."""

    id: int
    job: int
    """The job whose function calls."""
    name: str
    """The UDF's name, or a shared token."""
    arguments: dict[str, list[str]]
    """As a query has them: the text of each parameter."""
    tile: tuple[int, int, int] | None = None
    size: int = 256
    max_age: int | None = None
    """Seconds that the answer may be old; None leaves it to the UDF called."""
    lenient: bool = False
    """Whether parameters that the UDF does not take are dropped; else they are an error."""


class Fetch(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A function wants to load another UDF's code."""

    id: int
    job: int
    """The job whose function asks."""
    name: str
    """The UDF's name, a shared token, or an address on GitHub."""


class Read(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A function wants a file of its account, or to know what is in a folder."""

    id: int
    job: int
    """The job whose function asks."""
    name: str
    """The address, as `fd://path`."""
    listed: bool = False
    """Whether it is a folder's list that is wanted."""


Wish = Call | Fetch | Read
"""What a function asks the server for."""
CODE: Final = "application/x-tileserver-code"


class Called(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The answer to `Call`, `Fetch` or `Read`; its body is the frame's."""

    id: int
    media_type: str = ""
    """`CODE` where the body is a `Source` in msgpack."""
    code: str = ""
    """Of the error; empty where there is a result."""
    message: str = ""
