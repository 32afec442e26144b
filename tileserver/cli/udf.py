"""`tileserver udf`: what is published, pushed, run and deleted; what its runs said, and what was asked for."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, urlencode

import typer
from rich.console import Console
from rich.table import Table

from tileserver.cli import results, usage
from tileserver.cli.given import pairs
from tileserver.cli.remote import client, pages, request
from tileserver.cli.report import warn
from tileserver.cli.runs import shown
from tileserver.credentials import OWN
from tileserver.errors import TileserverError
from tileserver.runlog import KEPT
from tileserver.tiles import Tile

if TYPE_CHECKING:
    from tileserver.client import Udf

app = typer.Typer(help="Functions, and what their runs said.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The UDF's name.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
_NOT_STORED: Final = "(not stored)"
"""What came with its call, or is deleted."""
_WAIT_SECONDS: Final = 25
_AWAY: Final = frozenset({"setup", "busy", "error"})
"""Codes that say that nobody answers, or somebody in front of the server."""


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show what is published, with its addresses."""
    opening = {each["udf_id"]: each for each in reversed(pages("/udf-access-token/self")) if each["enabled"]}
    udfs = [_summary(each, opening.get(each["id"], {})) for each in pages("/udf/self")]
    if as_json:
        print(json.dumps(udfs, indent=2))
        return
    table = Table("UDF", "kind", "map", box=None)
    for each in udfs:
        table.add_row(each["name"], each["kind"] or "?", each["map_url"] or "no enabled token")
    Console(width=1000).print(table)  # wider than any: an address that is cut off is none


@app.command()
def push(
    file: Annotated[Path, typer.Argument(help="A file, or a folder of files, with a UDF each.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name", help="Its name; else the file's.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Send functions to the server, with the modules beside them that they import."""
    if file.is_dir() and name is not None:
        raise typer.BadParameter("a folder's functions are named after their files; leave --name out")
    with client() as server:
        pushed = server.push_all(file) if file.is_dir() else [server.push(file, name)]
    if as_json:
        print(json.dumps([_told(each) for each in pushed] if file.is_dir() else _told(pushed[0]), indent=2))
        return
    for each in pushed:
        _show(each)


@app.command()
def show(
    name: Name,
    code: Annotated[bool, typer.Option("--code", help="Show its source, and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """Show a function and its addresses."""
    with client() as server:
        found = server.udf(name)
    if as_json:
        rest = {"id": found.id, "last_updated": found.last_updated, "code": found.code, "headers": found.headers}
        print(json.dumps(_told(found) | rest, indent=2))
    elif code:
        print(found.code.removesuffix("\n"))
    else:
        _show(found)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="The UDF's name, or a shared token.", show_default=False)],
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME=VALUE", help="A parameter; again for more.", show_default=False
        ),
    ] = None,
    tile: Annotated[
        str | None, typer.Option("--tile", metavar="Z/X/Y", help="Run it on a tile.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write the result.", show_default=False),
    ] = None,
    format: Annotated[  # noqa: A002 - the query's word
        str | None, typer.Option("--format", help="As png or csv; else by FILE's ending.", show_default=False)
    ] = None,
) -> None:
    """Run a function; show what it returns, or write it to a file."""
    from tileserver.client.progress import waiting

    given, place = pairs(parameters or []), _tile(tile) if tile is not None else None
    wanted = results.format_of(output, format)
    with client() as server, waiting(f"running {name}"):
        answer = server.file(name, wanted, **given) if place is None else server.tile(name, place, wanted, **given)
    if output is None:
        results.show(answer)
    else:
        results.write(answer, output)


@app.command()
def delete(
    name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, as_json: Json = False
) -> None:
    """Delete a function that was pushed, with its tokens."""
    with client() as server:
        found = server.udf(name)
        if not yes:
            _confirm(f"Delete '{name}' and its tokens for good?")
        server.delete_udf(found)
    print(json.dumps(_told(found), indent=2) if as_json else f"deleted '{name}'")


@app.command("usage")
def usage_(
    name: Annotated[str | None, typer.Argument(help="The UDF's name; else all of them.", show_default=False)] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How many, today included.")] = 30,
    as_json: Json = False,
) -> None:
    """Show what was asked for: of one function by day, of all by function."""
    with client() as server:
        counts = server.usage(name, days=days)
        names = {} if name or as_json else {each["id"]: each["slug"] for each in server.pages("/udf/self")}
    if as_json:
        print(json.dumps(counts, indent=2))
    elif name:
        usage.show(counts, "day", lambda day: day["day"])
    else:
        usage.show(counts, "UDF", lambda day: names.get(day["udf_id"], _NOT_STORED))


@app.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new runs until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, max=KEPT, help="How many runs at most.")] = 50,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Show what the last runs printed, raised and cost, the newest last."""
    runs = _runs(name, limit=KEPT)
    last = runs[-1]["id"] if runs else 0
    chosen = [each for each in runs if _wanted(each, failed)]
    say = _json_lines() if as_json else _text_lines()
    say(chosen[len(chosen) - min(limit, len(chosen)) :])
    try:
        for news in _followed(name, last) if follow else ():
            say([each for each in news if _wanted(each, failed)])
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _wanted(run: dict[str, Any], failed: bool) -> bool:
    return not failed or run["outcome"] != "ok"


def _followed(name: str, last: int) -> Iterator[list[dict[str, Any]]]:
    """New runs as they come, over restarts of the server."""
    away = False
    while True:
        try:
            runs = _runs(name, limit=KEPT, after=last, wait=_WAIT_SECONDS)
        except TileserverError as error:
            if error.code not in _AWAY:
                raise
            if not away:
                warn("tileserver: the server does not answer; waiting for it")
            away = True
            time.sleep(1)
            continue
        away = False
        last = runs[-1]["id"] if runs else last
        yield runs


def _runs(name: str, **query: int) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = request("GET", f"/udf/{quote(name, safe='') or '-'}/logs?{urlencode(query)}", base=OWN)
    return runs


def _json_lines() -> Callable[[list[dict[str, Any]]], None]:
    def say(runs: list[dict[str, Any]]) -> None:
        for run in runs:
            print(json.dumps(run))
        sys.stdout.flush()

    return say


def _text_lines() -> Callable[[list[dict[str, Any]]], None]:
    console = Console(highlight=False, soft_wrap=True)

    def say(runs: list[dict[str, Any]]) -> None:
        for run in runs:
            console.print(shown(run))

    return say


def _summary(udf: dict[str, Any], token: dict[str, Any]) -> dict[str, Any]:
    addresses = {name: token.get(name) for name in ("token", "tile_url", "file_url", "map_url")}
    return {"name": udf["slug"], "kind": udf["kind"], **addresses}


def _told(udf: "Udf") -> dict[str, Any]:
    """As `list` tells it."""
    addresses = {name: getattr(udf.token, name, None) for name in ("token", "tile_url", "file_url", "map_url")}
    return {"name": udf.name, "kind": udf.kind, **addresses}


def _show(udf: "Udf") -> None:
    print(f"  {udf.name}  {udf.kind or 'kind not known yet'}  changed {udf.last_updated[:19]}")
    if udf.token is None:
        print(f"    no enabled token; 'tileserver token create {udf.name}' makes one")
        return
    for label in ("map", "tile", "file"):
        print(f"    {label:<5} {getattr(udf.token, f'{label}_url')}")


def _tile(text: str) -> Tile:
    try:
        z, x, y = map(int, text.split("/"))
        return Tile(z, x, y)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no tile Z/X/Y", param_hint="--tile") from None


def _confirm(question: str) -> None:
    """Ask, where somebody can answer."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is here to be asked; say --yes")
    typer.confirm(question, abort=True)
