"""`tileserver export`: a layer's tiles as one file."""

from pathlib import Path
from typing import Annotated

import typer

from tileserver.cli.given import AtOnce, Box, Format, Parameters, Zooms, box, pairs, span
from tileserver.cli.remote import client


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
) -> None:
    """Write a PMTiles archive of an area's tiles. What was stopped is quicker when typed again: tiles are kept."""
    if output.suffix != ".pmtiles":
        raise typer.BadParameter(f"'{output}' does not end with .pmtiles", param_hint="--output")
    first, last = span(zooms)
    with client(concurrency=at_once) as server:
        count = server.export(name, output, box(bbox), range(first, last + 1), format, **pairs(parameters or []))
    print(f"{output} has {count:,} tiles of '{name}', {output.stat().st_size / 1e6:,.1f} MB")
