"""`tileserver cache`: what is kept of functions' answers."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tileserver.cli.given import pairs
from tileserver.cli.remote import client

app = typer.Typer(help="What is kept of functions' answers.", no_args_is_help=True)


@app.callback()
def cache() -> None:
    """What is kept of functions' answers."""


@app.command()
def clear(
    name: Annotated[str, typer.Argument(help="The UDF's name.", show_default=False)],
    bbox: Annotated[
        str | None,
        typer.Option("--bbox", metavar="W,S,E,N", help="Only tiles in this box, in degrees.", show_default=False),
    ] = None,
    area: Annotated[
        Path | None,
        typer.Option("--area", metavar="FILE", help="Only tiles in this GeoJSON polygon.", show_default=False),
    ] = None,
    zooms: Annotated[
        str | None, typer.Option("--zooms", metavar="A-B", help="Only tiles of these zooms.", show_default=False)
    ] = None,
) -> None:
    """Clear it, at once: everything, files too, or tiles of some zooms, in a box or an area."""
    box = None if bbox is None else _box(bbox)
    levels = None if zooms is None else _zooms(zooms)
    polygon = None if area is None else _area(area)
    with client() as server:
        server.clear(name, bbox=box, area=polygon, zooms=levels)
    places = [f"in {place}" for place in (bbox, area) if place is not None]
    where = " ".join(places + [f"of zooms {zooms}"] * (zooms is not None))
    print(f"cleared '{name}'" + (f": tiles {where}" if where else ""))


@app.command()
def warm(
    name: Annotated[str, typer.Argument(help="The UDF's name, or a shared token.", show_default=False)],
    bbox: Annotated[str, typer.Option("--bbox", metavar="W,S,E,N", help="Which area, in degrees.")],
    zooms: Annotated[str, typer.Option("--zooms", metavar="A-B", help="Which zooms.")],
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME=VALUE", help="A parameter; again for more.", show_default=False
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the query's word
        str | None, typer.Option("--format", help="As png or mvt; else what maps get.", show_default=False)
    ] = None,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=64, help="How many tiles at once.")] = 4,
) -> None:
    """Make tiles before anybody asks for them. What was stopped goes on: tiles that are there take no run."""
    box, (first, last), given = _box(bbox), _zooms(zooms), pairs(parameters or [])
    with client(concurrency=at_once) as server:
        count = server.warm(name, box, range(first, last + 1), format, **given)
    print(f"'{name}' has {count:,} tiles there")


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no box W,S,E,N", param_hint="--bbox") from None
    return west, south, east, north


def _zooms(text: str) -> tuple[int, int]:
    """`4-12`, or one alone."""
    first, dash, last = text.partition("-")
    try:
        return int(first), int(last if dash else first)
    except ValueError:
        raise typer.BadParameter(f"'{text}' are no zooms A-B", param_hint="--zooms") from None


def _area(file: Path) -> dict[str, Any]:
    """A geometry, or that of a feature, or of the only feature of a collection."""
    try:
        found = json.loads(file.read_bytes())
        if found["type"] == "FeatureCollection":
            [found] = found["features"]
        return dict(found["geometry"] if found["type"] == "Feature" else found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{file} holds no GeoJSON polygon: {error}", param_hint="--area") from None
