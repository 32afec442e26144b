"""`tileserver secret`: values that an account's functions need and nobody else may see."""

import json
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from tileserver.cli.remote import request

app = typer.Typer(help="Secrets of your functions.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The key, as the function names it.", show_default=False)]
_PLACE = "/realtime/tileserver/api/v1/secrets"


@app.command("set")
def set_(key: Key) -> None:
    """Keep a value, which is asked for, or read from standard input."""
    request("PUT", _of(key), {"value": entered(f"Value of {key}")})
    print(f"set '{key}'")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """Show the keys."""
    secrets: dict[str, Any] = request("GET", _PLACE)
    if as_json:
        print(json.dumps(list(secrets), indent=2))
    else:
        print("\n".join(secrets) or "no secrets; 'tileserver secret set KEY' keeps one")


@app.command()
def delete(key: Key) -> None:
    """Forget a value."""
    request("DELETE", _of(key))
    print(f"deleted '{key}'")


def entered(what: str) -> str:
    """What is typed unseen at a terminal, else all of standard input without its last line break: never an argument."""
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True))
    return sys.stdin.read().removesuffix("\n")


def _of(key: str) -> str:
    return f"{_PLACE}/{quote(key, safe='') or '-'}"
