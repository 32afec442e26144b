"""`tileserver login` and `logout`: which server the other commands ask, and with --fused which one the SDK does."""

from pathlib import Path
from typing import Annotated, Final

import typer

from tileserver import credentials
from tileserver.cli import remote, sdk
from tileserver.cli.secret import entered
from tileserver.credentials import HOSTED, Credentials

_URL: Final = typer.Argument(help="The server, as https://maps.example.org.", show_default=False)
_FUSED: Final = typer.Option("--fused", help="Also write the fused SDK's own files, keeping a copy of what was there.")


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command()(login)
    app.command()(logout)


def login(url: Annotated[str, _URL], fused: Annotated[bool, _FUSED] = False) -> None:
    """Sign in to a server with your private token, which is asked for, or read from standard input."""
    url = credentials.address(url).removesuffix(HOSTED)
    own = credentials.load(credentials.data_folder())
    kept = own if own is not None and own.url == url else Credentials(url, entered("Private token").strip())
    account = remote.ask(kept, "GET", "/user/self")
    if kept is own:  # without a login it is this machine's own server that is asked
        _forget()
    else:
        _save(kept)
    if fused:
        for place in sdk.write(Path.home() / ".fused", url, kept.token):
            print(f"wrote {place}")
    print(f"signed in to {url} as {account['email']}")


def logout() -> None:
    """Forget the server that you signed in to, and put the fused SDK's files back as they were."""
    _forget()
    for place in sdk.restore(Path.home() / ".fused"):
        print(f"put back {place}")
    print("signed out")


def _save(kept: Credentials) -> None:
    folder = credentials.login_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    credentials.save(folder, kept)


def _forget() -> None:
    """Forget the last login."""
    (credentials.login_folder() / credentials.NAME).unlink(missing_ok=True)
