"""`tileserver token`: shared tokens made, shown, switched and deleted."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from tileserver.cli.remote import pages, request

app = typer.Typer(help="Shared tokens: each opens exactly one UDF.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Token = Annotated[str, typer.Argument(help="The token, as fsh_...", show_default=False)]
Calls = Annotated[
    int | None,
    typer.Option("--calls-per-day", min=0, help="How many calls it answers a day; 0 for no cap.", show_default=False),
]


@app.command()
def create(
    udf: Annotated[str, typer.Argument(help="The UDF's name.", show_default=False)],
    as_json: Json = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run the function for every request.")] = False,
    expose_errors: Annotated[bool, typer.Option("--expose-errors", help="Tell everybody why a run failed.")] = False,
    shared_cache: Annotated[bool, typer.Option("--shared-cache", help="Let caches on the way keep answers.")] = False,
    team: Annotated[bool, typer.Option("--team", help="Only for your team, who send their private tokens.")] = False,
    calls_per_day: Calls = None,
) -> None:
    """Make a token for a UDF."""
    chosen = {"cache": not no_cache, "expose_errors": expose_errors, "shared_cache": shared_cache}
    wanted = {"udf_slug": udf, "access_scope": "team" if team else None, "calls_per_day": calls_per_day, **chosen}
    _show(request("POST", "/udf-access-token/new", wanted), as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show all tokens."""
    tokens = pages("/udf-access-token/self")
    if as_json:
        print(json.dumps(tokens, indent=2))
        return
    table = Table("UDF", "token", "enabled", "calls a day", "changed", box=None)
    for each in tokens:
        enabled, cap = "yes" if each["enabled"] else "no", str(each["calls_per_day"] or "")
        table.add_row(each["udf_slug"], each["token"], enabled, cap, each["last_updated"][:19])
    Console(width=1000).print(table)  # wider than any: a token that is cut off is none


@app.command()
def show(token: Token, as_json: Json = False) -> None:
    """Show a token and its addresses."""
    _show(request("GET", _place(token)), as_json)


@app.command()
def update(
    token: Token,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Whether it opens its UDF.", show_default=False)
    ] = None,
    calls_per_day: Calls = None,
    as_json: Json = False,
) -> None:
    """Enable, disable or cap a token; a disabled one stops at its next request."""
    if enabled is None and calls_per_day is None:
        raise typer.BadParameter("nothing is to be changed; say --enabled, --disabled or --calls-per-day N")
    _show(request("POST", _place(token), {"enabled": enabled, "calls_per_day": calls_per_day}), as_json)


@app.command()
def delete(token: Token, as_json: Json = False) -> None:
    """Delete a token for good."""
    deleted = request("DELETE", _place(token))
    print(json.dumps(deleted, indent=2) if as_json else f"deleted the token of '{deleted['udf_slug']}'")


def _place(token: str) -> str:
    return f"/udf-access-token/by-token/{quote(token, safe='') or '-'}"


def _show(token: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(token, indent=2))
        return
    state = "enabled" if token["enabled"] else "disabled"
    cap = f"  {token['calls_per_day']} calls a day" if token["calls_per_day"] else ""
    print(f"  {token['udf_slug']}  {state}  {token['token']}{cap}")
    for name in ("map", "tile", "file"):
        print(f"    {name:<5} {token[f'{name}_url']}")
