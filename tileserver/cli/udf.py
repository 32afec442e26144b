"""`tileserver udf`: what is published, and what its runs printed, raised and cost."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import typer
from rich.console import Console
from rich.table import Table

from tileserver.cli.remote import pages, request
from tileserver.cli.report import warn
from tileserver.cli.runs import shown
from tileserver.credentials import OWN
from tileserver.errors import TileserverError
from tileserver.runlog import KEPT

app = typer.Typer(help="Functions, and what their runs said.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
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
def logs(
    name: Annotated[str, typer.Argument(help="The UDF's name.", show_default=False)],
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
