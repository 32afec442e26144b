"""A pool of two workers for tests, jobs for it, and what of it is left in the process table."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tileserver.execution import Executor, LocalExecutor
from tileserver.frames import Limits
from tileserver.jobs import Job, Output, Rendered, Source
from tileserver.signature import parse
from tileserver.udfs import digest

UDFS = Path(__file__).parents[2] / "udfs"
LIMITS = Limits(memory=10**9, scratch=10**8)


def source(name: str) -> Source:
    file = UDFS / f"{name}.py"
    udf = parse(file.read_text(), file=str(file))
    return Source(digest=udf.digest, name=name, code=file.read_text(), entry=udf.entry, path=str(file))


def written(code: str, **fields: Any) -> Source:
    """A source of this code, whose function is `f`."""
    code = f"from tileserver import udf\n{code}"
    return Source(digest=digest(code, {}), name="f", code=code, entry="f", path="f.py", **fields)


async def run(executor: Executor, udf: Source | str, *, group: str = "g", **options: Any) -> Rendered:
    """The answer to a job without a tile. A name is that of a test UDF; what is no field of a job is an argument."""
    udf = source(udf) if isinstance(udf, str) else udf
    fields: dict[str, Any] = {"timeout": 20, "limit": 10**6}
    fields |= {name: options.pop(name) for name in ("timeout", "limit", "partition") if name in options}
    output = Output(tiled=False)
    job = Job(id=1, digest=udf.digest, tile=None, arguments=options, output=output, **fields)
    return await executor.run(job, udf, group=group)


async def told(executor: Executor, udf: Source | str, **options: Any) -> Any:
    """The answer as data; see `run`."""
    rendered = await run(executor, udf, **options)
    body = bytes(rendered.body)
    return json.loads(gzip.decompress(body) if rendered.coding else body)


def on_a_loop(check: Callable[[], Awaitable[None]]) -> None:
    """Run `check`, which has a moment."""

    async def main() -> None:
        async with asyncio.timeout(20):
            await check()

    asyncio.run(main())


def on_a_pool(tmp_path: Path, check: Callable[[LocalExecutor], Awaitable[None]], **changed: Any) -> None:
    """Run `check` on a pool of two, or as `changed` says; afterwards nothing of it may be left."""
    options: dict[str, Any] = {"workers": 2, "limits": LIMITS, "environment": {"SEEN": "yes"}, "scratch": tmp_path}

    async def main() -> None:
        executor = LocalExecutor(**options | changed)
        await executor.start()
        try:
            await check(executor)
        finally:
            await executor.close()

    asyncio.run(main())
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def processes_in(folder: Path, name: str = "") -> list[int]:
    """Processes whose working directory is in `folder`, with `name` in its path."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            place = str((entry / "cwd").readlink()) if entry.name.isdigit() else ""
            if place.startswith(str(folder)) and name in place:
                found.append(int(entry.name))
    return found
