"""The command line. Errors are one line on standard error with exit status 1; wrong usage is 2."""

import sys
from typing import Annotated

import typer

from tileserver import __version__
from tileserver.errors import TileserverError, UdfError

app = typer.Typer(
    name="tileserver",
    help="A tile server for Python functions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tileserver {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """A tile server for Python functions."""


def run() -> None:
    """Run the command that the arguments name."""
    try:
        from tileserver.cli import account, cache, collection, export, login, secret, serve, token, udf

        serve.register(app)
        login.register(app)
        export.register(app)
        app.add_typer(udf.app, name="udf")
        app.add_typer(cache.app, name="cache")
        app.add_typer(token.app, name="token")
        app.add_typer(collection.app, name="collection")
        app.add_typer(secret.app, name="secret")
        app.add_typer(account.app, name="account")
        app()
    except TileserverError as error:
        print(f"tileserver: {_line(error)}", file=sys.stderr)
        sys.exit(1)


def _line(error: TileserverError) -> str:
    """One line; of a function that failed its own words and its line, where the server told them."""
    from tileserver.cli.runs import plain

    words = error.words if isinstance(error, UdfError) else ""
    return plain(" ".join((words or str(error)).splitlines()))
