"""What `serve` prints: each UDF with its addresses on standard output, what is wrong on standard error."""

import sys
from typing import Final

from tileserver.publication import Published

_EXTENSIONS: Final = {"raster": ".png", "vector": ".mvt"}


def say(line: str) -> None:
    """A line for who reads the output, at once."""
    print(line, flush=True)


def warn(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


def report(published: list[Published], complaints: list[str], address: str) -> None:
    """What is served now, and what is not."""
    width = max((len(each.udf.name) for each in published), default=0)
    for each in published:
        say(_lines(each, address, width))
        for warning in each.udf.warnings:
            warn(f"  warning: {each.udf.name}: {warning}")
    for line in complaints:
        warn(f"  not served: {line}")


def _lines(each: Published, address: str, width: int) -> str:
    kind = each.kind or "?"
    head = f"  {each.udf.name:<{width}}  {kind:<8}  "
    if each.token is None:
        return f"{head}its token was deleted; 'tileserver token create {each.udf.name}' makes another"
    base = f"{address}/tiles/{each.token}"
    if kind in ("table", "document"):
        return f"{head}file   {address}/files/{each.token}"
    tiles = f"{base}/{{z}}/{{x}}/{{y}}{_EXTENSIONS.get(kind, '')}"
    return f"{head}map    {base}/map\n{' ' * len(head)}tiles  {tiles}"
