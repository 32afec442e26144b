"""`tileserver export`: a layer's tiles as one file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tileserver.cli.given import AtOnce, Box, Format, Parameters, Zooms, box, known, span
from tileserver.cli.remote import client
from tileserver.cli.runs import plain, size
from tileserver.errors import TileserverError

if TYPE_CHECKING:
    from tileserver.tiles import Tile


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    name: Annotated[str, typer.Argument(help="The UDF's name, or a shared token.", show_default=False)],
    bbox: Box,
    zooms: Zooms,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="As out.pmtiles.")],
    parameters: Parameters = None,
    format: Format = None,  # noqa: A002 - the query's word
    at_once: AtOnce = 4,
    skip_failed: Annotated[bool, typer.Option("--skip-failed", help="Write it without tiles that fail.")] = False,
) -> None:
    """Write a PMTiles archive of an area's tiles. What was stopped is quicker when typed again: tiles are kept."""
    if output.suffix != ".pmtiles":
        raise typer.BadParameter(f"'{output}' does not end with .pmtiles", param_hint="--output")
    from tileserver.client.outcomes import TilesFailedError

    first, last = span(zooms)
    with client(concurrency=at_once) as server:
        given = known(server, name, parameters)
        skipping = _say_failed if skip_failed else None
        try:
            count = server.export(name, output, box(bbox), range(first, last + 1), format, on_failure=skipping, **given)
        except TilesFailedError as error:
            if skip_failed:
                raise
            raise TileserverError(f"{error}; nothing is written, unless you add --skip-failed") from None
    print(f"{output} has {count:,} tiles of '{name}', {size(output.stat().st_size)}")


def _say_failed(tile: "Tile", error: TileserverError) -> None:
    from tileserver.client.outcomes import told

    print(f"tileserver: left out, for it failed: {plain(told(error, tile))}", file=sys.stderr)
