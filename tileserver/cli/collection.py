"""`tileserver collection`: one token for all UDFs of the account, by their names."""

import json
from typing import Annotated, Any

import typer

from tileserver.cli.remote import request
from tileserver.cli.secret import entered

app = typer.Typer(help="One token for all your UDFs, by their names.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
_SEEN = "/collection/by-name/default"


@app.command()
def share(
    public: Annotated[
        bool | None,
        typer.Option(
            "--public/--team", help="Who may use it: whoever has it, or a session or your team.", show_default=False
        ),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Another token in the place of the one that there is.")] = False,
    as_json: Json = False,
) -> None:
    """Make the token, or show the one that there is."""
    collection_id = request("GET", _SEEN)["id"]
    if public is not None:
        _change(collection_id, {"access_scope": "public" if public else "team"})
    more = "&new_token=true" if new else ""
    _show(request("POST", f"/collection/share?collection_id={collection_id}{more}"), as_json)


@app.command()
def show(as_json: Json = False) -> None:
    """Show the token and its addresses."""
    _show(request("GET", _SEEN), as_json)


@app.command()
def unshare(as_json: Json = False) -> None:
    """Take the token back; it stops at its next request, its sessions too."""
    _show(request("POST", f"/collection/unshare?collection_id={request('GET', _SEEN)['id']}"), as_json)


@app.command()
def passcode(none: Annotated[bool, typer.Option("--none", help="Take it away.")] = False) -> None:
    """Set a passcode, which is asked for, or read from standard input."""
    _change(request("GET", _SEEN)["id"], {"passcode": "" if none else entered("Passcode")})
    print("took the passcode away" if none else "set the passcode")


@app.command()
def session(
    seconds: Annotated[int, typer.Option("--seconds", help="How long it is good, at most a day.")] = 3600,
    as_json: Json = False,
) -> None:
    """Begin a session, which opens what the token of a team opens to who has it in the URL."""
    token = request("GET", _SEEN)["share_token"] or "-"
    made = request("POST", f"/session-token/by-access-token/{token}", {"ttl": seconds})
    print(json.dumps(made, indent=2) if as_json else f"fused_session_token={made['session_token']}")


def _change(collection_id: str, change: dict[str, Any]) -> None:
    request("POST", f"/collection/by-id/{collection_id}", change)


def _show(collection: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(collection, indent=2))
        return
    token = collection["share_token"]
    opens = ", with a passcode" if collection["passcode"] else ""
    print(f"  {collection['access_scope']}{opens}  {token}" if token else "  not shared")
    for name in ("tile", "file"):
        if token:
            print(f"    {name:<5} {collection[f'{name}_url']}")
