"""`tileserver serve`: everything started in order, and stopped in the reverse one."""

import asyncio
import contextlib
import inspect
import json
import logging
import logging.handlers
import math
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from watchfiles import awatch

from tileserver import settings as configuration
from tileserver.cli.shelf import Shelf
from tileserver.errors import SetupError
from tileserver.execution import LocalExecutor
from tileserver.pipeline import Pipeline
from tileserver.publication import Published, Publisher
from tileserver.registry import Registry
from tileserver.settings import Settings
from tileserver.tilecache import TileCache
from tileserver.tokens import read_keyring
from tileserver.web.app import Application
from tileserver.web.protocol import LimitedProtocol

_PASSED = (
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "TZ",
    "TMPDIR",
    "PROJ_DATA",
    "GDAL_DATA",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)
_PASSED_PREFIXES = ("AWS_", "GS_", "AZURE_STORAGE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def register(app: typer.Typer) -> None:
    """Add the command, with a flag for each setting."""
    app.command("serve", help=serve.__doc__)(_with_setting_flags())


def _with_setting_flags() -> Any:
    def command(**given: Any) -> None:
        serve(given.pop("paths"), reload=given.pop("reload"), flags=given)

    parameters = [
        inspect.Parameter("paths", _KEYWORD, annotation=_Paths),
        inspect.Parameter("reload", _KEYWORD, default=False, annotation=_Reload),
        *(_flag(name, info) for name, info in Settings.model_fields.items()),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_Paths = Annotated[list[Path], typer.Argument(help="Files, or folders of files, with a UDF each.", show_default=False)]
_Reload = Annotated[bool, typer.Option("--reload", help="Publish edits as they are saved.")]


def _flag(name: str, info: Any) -> inspect.Parameter:
    plain = info.annotation if info.annotation in (int, float, Path) and name not in _SIZES else str
    option = typer.Option(f"--{name.replace('_', '-')}", help=info.description, show_default=False)
    return inspect.Parameter(name, _KEYWORD, default=None, annotation=Annotated[plain | None, option])


_SIZES = frozenset({"worker_memory", "cache_memory", "cache_disk"})


def serve(paths: list[Path], *, reload: bool, flags: dict[str, Any]) -> None:
    """Start the server: each file's function becomes a map layer under the file's name."""
    settings = configuration.read(flags)
    for warning in configuration.unknown_variables(os.environ):
        print(f"warning: {warning}", file=sys.stderr)
    _prepare(settings.data_dir)
    _log_to(settings.data_dir)
    listener = _listen(settings.host, settings.port)
    with contextlib.closing(listener), asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(_serve(settings, paths, listener, reload=reload))


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def _prepare(folder: Path) -> None:
    try:
        for each in (folder, folder / "scratch", folder / "cache", folder / "logs"):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SetupError(f"the data directory {folder} cannot be written: {error.strerror}; use --data-dir") from None


def _log_to(folder: Path) -> None:
    """What goes wrong in functions goes to a file of its own, for the owner."""
    handler = logging.handlers.RotatingFileHandler(folder / "logs" / "udf.log", maxBytes=10_000_000, backupCount=3)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("tileserver.udf")
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise SetupError(f"cannot listen on {host}:{port}: {error.strerror}; use --port") from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: ours stops the rest too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings, paths: list[Path], listener: socket.socket, *, reload: bool) -> None:
    async with _backend(settings) as pipeline:
        registry = pipeline.registry
        publisher = Publisher(registry, pipeline)
        server = _Server(_uvicorn_config(Application(settings, pipeline, publisher), settings))
        _stop_on_signals(server)
        owner = await registry.accounts.owner()
        local = _address(settings, listener)
        address = settings.public_url.rstrip("/") or local
        await _remember_credentials(settings.data_dir, registry, owner.id, local)
        shelf = Shelf(paths, owner.id, registry, publisher)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        _report(*await shelf.refresh(), address)
        print(f"  sign in  {address}/sign-in?code={await registry.accounts.issue_link(owner.id)}", flush=True)
        print("ready", flush=True)
        background = [asyncio.create_task(_poll(registry))]
        if reload:
            background.append(asyncio.create_task(_follow(shelf, address)))
        await running
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


@contextlib.asynccontextmanager
async def _backend(settings: Settings) -> AsyncIterator[Pipeline]:
    keyring = read_keyring(settings.secret_key_file or settings.data_dir / "master.key")
    executor = LocalExecutor(
        workers=max(math.ceil(settings.workers), 1),
        memory=settings.worker_memory,
        environment=_worker_environment(settings),
        scratch=settings.data_dir / "scratch",
    )
    registry = await Registry.open(settings.data_dir, keyring)
    cache = TileCache(settings.data_dir / "cache", memory=settings.cache_memory, disk=settings.cache_disk)
    try:
        await executor.start()
        yield Pipeline(settings, registry, cache, executor)
    finally:
        await executor.close()
        await registry.close()


def _worker_environment(settings: Settings) -> dict[str, str]:
    named = {*_PASSED, *settings.worker_env}
    return {
        name: value
        for name, value in os.environ.items()
        if name in named or (name.upper().startswith(_PASSED_PREFIXES) and not name.startswith(configuration.PREFIX))
    }


def _uvicorn_config(application: Application, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
        host=settings.host,
    )


def _stop_on_signals(server: uvicorn.Server) -> None:
    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _address(settings: Settings, listener: socket.socket) -> str:
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - which nobody can open
    host = f"[{own}]" if ":" in own else own
    root = settings.root_path.strip("/")
    return f"http://{host}:{listener.getsockname()[1]}" + (f"/{root}" if root else "")


async def _remember_credentials(folder: Path, registry: Registry, account_id: str, address: str) -> None:
    """Keep a private token for the other commands on this machine, readable by this user only."""
    place = folder / "credentials.json"
    kept = json.loads(place.read_text()) if place.exists() else {}
    token = kept.get("token", "")
    if not token or await registry.accounts.account_by_private_token(token) is None:
        token = await registry.accounts.mint_private_token(account_id)
    with open(place, "w", opener=_private_opener) as file:  # noqa: ASYNC230 - a few bytes, once
        json.dump({"url": address, "token": token}, file)


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


_EXTENSIONS = {"raster": ".png", "vector": ".mvt"}


def _report(published: list[Published], complaints: list[str], address: str) -> None:
    width = max((len(each.udf.name) for each in published), default=0)
    for each in published:
        print(_lines(each, address, width), flush=True)
        for warning in each.udf.warnings:
            print(f"  warning: {each.udf.name}: {warning}", file=sys.stderr, flush=True)
    for line in complaints:
        print(f"  not served: {line}", file=sys.stderr, flush=True)


def _lines(each: Published, address: str, width: int) -> str:
    kind = each.kind or "?"
    head = f"  {each.udf.name:<{width}}  {kind:<8}  "
    if each.token is None:
        return f"{head}its token was deleted; 'tileserver token create {each.udf.name}' makes another"
    base = f"{address}/tiles/{each.token}"
    if kind in ("table", "document"):
        return f"{head}file   {address}/files/{each.token}"
    tiles = f"{base}/{{z}}/{{x}}/{{y}}{_EXTENSIONS.get(kind, '')}"
    return f"{head}map    {base}/map\n{' ' * len(head)}tiles  {tiles}"


async def _poll(registry: Registry) -> None:
    """See, once a second, what another process wrote without saying so."""
    while True:
        await asyncio.sleep(1)
        try:
            await registry.lookup.poll()
        except (OSError, SQLAlchemyError) as error:  # the next second may be better
            print(f"warning: the registry cannot be read: {error}", file=sys.stderr, flush=True)


async def _follow(shelf: Shelf, address: str) -> None:
    folders = {path if path.is_dir() else path.parent for path in shelf.paths if path.exists()}
    async for _ in awatch(*folders, debounce=200, step=50):
        fresh, complaints = await shelf.refresh()
        _report(fresh, complaints, address)
