"""Parameters of functions and places of the world, as they are typed."""

from typing import TYPE_CHECKING, Annotated

import typer

from tileserver.tiles import MAX_ZOOM

if TYPE_CHECKING:
    from tileserver.client import Client

Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter; again for more.", show_default=False),
]
Format = Annotated[str | None, typer.Option("--format", help="As png or mvt; else what maps get.", show_default=False)]
Box = Annotated[str, typer.Option("--bbox", metavar="W,S,E,N", help="Which area, in degrees.")]
Zooms = Annotated[str, typer.Option("--zooms", metavar="A-B", help="Which zooms.")]
AtOnce = Annotated[int, typer.Option("--at-once", min=1, max=64, help="How many tiles at once.")]


def pairs(texts: list[str]) -> dict[str, str | list[str]]:
    """Parameters as they are typed; one that is there twice is a list."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, value = _pair(text)
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise typer.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="-p")
    if name in ("format", "tile"):
        raise typer.BadParameter(f"'{name}' is no parameter; say --{name}", param_hint="-p")
    return name, value


def box(text: str) -> tuple[float, float, float, float]:
    """West, south, east and north, in degrees."""
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no box W,S,E,N", param_hint="--bbox") from None
    return west, south, east, north


def known(server: "Client", name: str, texts: list[str] | None) -> dict[str, str | list[str]]:
    """Parameters as `pairs` reads them, each of which the UDF or the server knows: a typo would make another layer."""
    from tileserver.query import LOOKS
    from tileserver.udfs import is_reserved

    given = pairs(texts or [])
    strange = [each for each in given if each not in LOOKS and not is_reserved(each)]
    names = server.tilejson(name).get("parameters") if strange else None
    for each in strange:
        if names is not None and each not in names:
            there = f"it has {', '.join(names)}" if names else "it has none"
            raise typer.BadParameter(f"'{name}' has no parameter '{each}'; {there}", param_hint="-p")
    return given


def span(text: str) -> tuple[int, int]:
    """The first and the last of zooms: `4-12`, or one alone."""
    first, dash, last = text.partition("-")
    try:
        zooms = int(first), int(last if dash else first)
    except ValueError:
        raise typer.BadParameter(f"'{text}' are no zooms A-B", param_hint="--zooms") from None
    if not 0 <= zooms[0] <= zooms[1] <= MAX_ZOOM:
        raise typer.BadParameter(
            f"'{text}' are not the first and the last of zooms from 0 to {MAX_ZOOM}", param_hint="--zooms"
        )
    return zooms
