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


@app.command()
def create(
    udf: Annotated[str, typer.Argument(help="The UDF's name.", show_default=False)],
    as_json: Json = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run the function for every request.")] = False,
    expose_errors: Annotated[bool, typer.Option("--expose-errors", help="Tell everybody why a run failed.")] = False,
    shared_cache: Annotated[bool, typer.Option("--shared-cache", help="Let caches on the way keep answers.")] = False,
    team: Annotated[bool, typer.Option("--team", help="Only for your team, who send their private tokens.")] = False,
) -> None:
    """Make a token for a UDF."""
    chosen = {"cache": not no_cache, "expose_errors": expose_errors, "shared_cache": shared_cache}
    scope = "team" if team else None
    _show(request("POST", "/udf-access-token/new", {"udf_slug": udf, "access_scope": scope, **chosen}), as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show all tokens."""
    tokens = pages("/udf-access-token/self")
    if as_json:
        print(json.dumps(tokens, indent=2))
        return
    table = Table("UDF", "token", "enabled", "changed", box=None)
    for each in tokens:
        table.add_row(each["udf_slug"], each["token"], "yes" if each["enabled"] else "no", each["last_updated"][:19])
    Console(width=1000).print(table)  # wider than any: a token that is cut off is none


@app.command()
def show(token: Token, as_json: Json = False) -> None:
    """Show a token and its addresses."""
    _show(request("GET", _place(token)), as_json)


@app.command()
def update(
    token: Token,
    enabled: Annotated[
        bool, typer.Option("--enabled/--disabled", help="Whether it opens its UDF.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Enable or disable a token; a disabled one stops at its next request."""
    _show(request("POST", _place(token), {"enabled": enabled}), as_json)


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
    print(f"  {token['udf_slug']}  {state}  {token['token']}")
    for name in ("map", "tile", "file"):
        print(f"    {name:<5} {token[f'{name}_url']}")
