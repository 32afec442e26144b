"""`tileserver account`: who may use the server, for its owner."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from tileserver.cli.remote import request
from tileserver.credentials import OWN

app = typer.Typer(help="Accounts, for the server's owner.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The account's e-mail address.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Handle = Annotated[str | None, typer.Option("--handle", help="A short name for addresses.", show_default=False)]
Name = Annotated[str | None, typer.Option("--name", help="The name to show.", show_default=False)]
Team = Annotated[
    str | None, typer.Option("--team", help="Accounts of a team see each other's UDFs.", show_default=False)
]
Calls = Annotated[
    int | None,
    typer.Option(
        "--calls-per-day", min=0, help="How many calls its UDFs answer a day; 0 for no cap.", show_default=False
    ),
]


@app.command()
def create(
    email: Email,
    handle: Handle = None,
    name: Name = None,
    team: Team = None,
    calls_per_day: Calls = None,
    as_json: Json = False,
) -> None:
    """Make an account; its private token is shown this once."""
    wanted = {"email": email, "handle": handle, "name": name, "team": team, "calls_per_day": calls_per_day}
    _show_token(request("POST", "/accounts", wanted, base=OWN), as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show all accounts."""
    accounts: list[dict[str, Any]] = request("GET", "/accounts", base=OWN)
    if as_json:
        print(json.dumps(accounts, indent=2))
        return
    table = Table("e-mail", "handle", "name", "team", "calls a day", box=None)
    for each in accounts:
        cap = str(each["calls_per_day"] or "")
        table.add_row(each["email"], each["handle"], each["name"], each["team"] or "", cap)
    Console(width=1000).print(table)


@app.command()
def update(
    email: Email,
    handle: Handle = None,
    name: Name = None,
    team: Team = None,
    calls_per_day: Calls = None,
    as_json: Json = False,
) -> None:
    """Change an account; --team '' takes it out of its team, --calls-per-day 0 takes its cap away."""
    change = {"handle": handle, "name": name, "team": team, "calls_per_day": calls_per_day}
    changed = request("POST", _place(email), change, base=OWN)
    print(json.dumps(changed, indent=2) if as_json else f"changed the account '{changed['email']}'")


@app.command()
def token(
    email: Email,
    revoke: Annotated[bool, typer.Option("--revoke", help="End all of its private tokens and sessions.")] = False,
    as_json: Json = False,
) -> None:
    """Make another private token for an account, shown this once."""
    if not revoke:
        _show_token(request("POST", f"{_place(email)}/tokens", base=OWN), as_json)
        return
    locked = request("DELETE", f"{_place(email)}/tokens", base=OWN)
    print(json.dumps(locked, indent=2) if as_json else f"revoked the private tokens of '{locked['email']}'")


def _place(email: str) -> str:
    return f"/accounts/{quote(email, safe='@') or '-'}"


def _show_token(account: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(account, indent=2))
        return
    print(f"  {account['email']}  {account['handle']}  {account['team'] or 'no team'}")
    print(f"    private token {account['token']}")
    print("    It is not shown again: 'tileserver login URL' asks for it.")
