"""`tileserver cache`: what is kept of functions' answers."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tileserver.cli import hoard
from tileserver.cli.given import AtOnce, Box, Format, Parameters, Zooms, box, known, pairs, span
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
        typer.Option("--area", metavar="FILE", help="Only tiles in these GeoJSON polygons.", show_default=False),
    ] = None,
    zooms: Annotated[
        str | None, typer.Option("--zooms", metavar="A-B", help="Only tiles of these zooms.", show_default=False)
    ] = None,
    parameters: Parameters = None,
) -> None:
    """Clear it, at once: everything, files too, or of some parameters, or tiles of some zooms, in a box or an area."""
    place = None if bbox is None else box(bbox)
    levels = None if zooms is None else span(zooms)
    polygon = None if area is None else _area(area)
    with client() as server:
        server.clear(name, bbox=place, area=polygon, zooms=levels, parameters=pairs(parameters) if parameters else None)
    places = [f"in {each}" for each in (bbox, area) if each is not None]
    where = " ".join(places + [f"of zooms {zooms}"] * (zooms is not None))
    made = f" with {' '.join(parameters)}" if parameters else ""
    print(f"cleared '{name}'{made}" + (f": tiles {where}" if where else ""))


@app.command()
def warm(
    name: Annotated[str, typer.Argument(help="The UDF's name, or a shared token.", show_default=False)],
    bbox: Box,
    zooms: Zooms,
    parameters: Parameters = None,
    format: Format = None,  # noqa: A002 - the query's word
    at_once: AtOnce = 4,
) -> None:
    """Make tiles before anybody asks for them. What was stopped goes on: tiles that are there take no run."""
    place, (first, last) = box(bbox), span(zooms)
    with client(concurrency=at_once) as server:
        given = known(server, name, parameters)
        count = server.warm(name, place, range(first, last + 1), format, **given)
    print(f"'{name}' has {count:,} tile{'s' * (count != 1)} there")


@app.command()
def stats(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """What was answered from where since the server started, and what memory and disk hold."""
    with client() as server:
        found = server.cache()
    if as_json:
        print(json.dumps(found))
    else:
        hoard.show(found)


def _area(file: Path) -> dict[str, Any]:
    """What the polygons of a geometry, a feature or a collection of these cover together."""
    try:
        found = json.loads(file.read_bytes())
        features = found["features"] if found["type"] == "FeatureCollection" else [found]
        polygons = [each for feature in features for each in _polygons(feature)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{file} holds no GeoJSON polygon: {error}", param_hint="--area") from None
    if not polygons:
        raise typer.BadParameter(f"{file} holds no GeoJSON polygon", param_hint="--area")
    return {"type": "MultiPolygon", "coordinates": polygons}


def _polygons(feature: dict[str, Any]) -> list[Any]:
    """The coordinates of each of a feature or a geometry; raises ValueError where it is something else."""
    geometry = feature["geometry"] if feature["type"] == "Feature" else feature
    if geometry["type"] == "Polygon":
        return [geometry["coordinates"]]
    if geometry["type"] != "MultiPolygon":
        raise ValueError(f"a {geometry['type']} has no area")
    return list(geometry["coordinates"])
