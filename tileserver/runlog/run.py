"""One run, as its owner reads of it."""

from typing import Any

import msgspec


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was asked, how it ended and what it cost."""

    id: int = 0
    """Grows with time over all UDFs; 0 until it is written."""
    udf_id: str
    digest: str
    """The version that ran."""
    token_id: str = ""
    """Of the shared token that opened it; empty where none did."""
    started: float
    """Seconds since 1970."""
    tile: str | None = None
    """`z/x/y`; None for a file."""
    parameters: dict[str, Any] = {}
    """As they were bound; what is left out had the function's own default."""
    outcome: str = "ok"
    """`ok`, or the error's code."""
    cache: str = "miss"
    """`miss`; `none` where nothing is kept; `probe` for the first look at a version; `call` for another UDF's."""
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    """Processor time, all threads."""
    memory: int = 0
    """Bytes at the peak."""
    bytes: int = 0
    """Of the encoded answer."""
    media_type: str = ""
    printed: str = ""
    """The last 64 kB, to standard output and standard error as it came."""
    stdout: str = ""
    stderr: str = ""
    """The last 4 kB of each for itself."""
    message: str = ""
    exception: str = ""
    """The exception's class name."""
    traceback: str = ""
    """The UDF's own frames."""
    line: int | None = None
    """Of the UDF's source, from 1."""
