"""`tileserver cache`: what is kept of functions' answers."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

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
    box, polygon, range_ = _box(bbox), _area(area), _zooms(zooms)
    with client() as server:
        server.clear(name, bbox=box, area=polygon, zooms=range_)
    places = [f"in {place}" for place in (bbox, area) if place is not None]
    where = " ".join(places + [f"of zooms {zooms}"] * (zooms is not None))
    print(f"cleared '{name}'" + (f": tiles {where}" if where else ""))


def _box(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no box W,S,E,N", param_hint="--bbox") from None
    return west, south, east, north


def _zooms(text: str | None) -> tuple[int, int] | None:
    """`4-12`, or one alone."""
    if text is None:
        return None
    first, dash, last = text.partition("-")
    try:
        return int(first), int(last if dash else first)
    except ValueError:
        raise typer.BadParameter(f"'{text}' are no zooms A-B", param_hint="--zooms") from None


def _area(file: Path | None) -> dict[str, Any] | None:
    """A geometry, or that of a feature, or of the only feature of a collection."""
    if file is None:
        return None
    try:
        found = json.loads(file.read_bytes())
        if found["type"] == "FeatureCollection":
            [found] = found["features"]
        return dict(found["geometry"] if found["type"] == "Feature" else found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{file} holds no GeoJSON polygon: {error}", param_hint="--area") from None
