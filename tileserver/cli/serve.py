"""`tileserver serve`: everything started in order, and stopped in the reverse one."""

import asyncio
import contextlib
import gc
import logging
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import typer
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from tileserver import credentials, prctl
from tileserver import settings as configuration
from tileserver.cli.flags import with_setting_flags
from tileserver.cli.follow import follow
from tileserver.cli.pool import pool_maker
from tileserver.cli.report import report, say, warn
from tileserver.cli.shelf import Shelf
from tileserver.cli.supervisor import ALONE, Part, supervise
from tileserver.codeproxy import CodeProxy
from tileserver.errors import SetupError
from tileserver.execution import SharedExecutor
from tileserver.pipeline import Pipeline
from tileserver.publication import Publisher
from tileserver.registry import Registry
from tileserver.registry.database import reason
from tileserver.runlog import RunLog
from tileserver.settings import TRUST, Settings
from tileserver.tilecache import TileCache, counts
from tileserver.tokens import read_keyring
from tileserver.usage import Usage
from tileserver.web.app import Application
from tileserver.web.protocol import LimitedProtocol

_GRACE: Final = 3.0
"""Seconds that functions which run have at most after Ctrl-C; who waits at a terminal does not wait for long."""
_CLOSING: Final = 6
"""Seconds beyond that, in which the functions are ended and who waits for them is told."""


def register(app: typer.Typer) -> None:
    """Add the command, with a flag for each setting."""
    app.command("serve", help=serve.__doc__)(with_setting_flags(serve))


def serve(paths: list[Path], *, reload: bool, flags: dict[str, Any]) -> None:
    """Start the server: each file's function becomes a map layer under the file's name."""
    settings = configuration.read(flags)
    for warning in configuration.unknown_variables(os.environ):
        warn(f"warning: {warning}")
    for path in paths:
        if not os.path.lexists(path):
            raise SetupError(f"{path}: there is no such file or folder")
    prctl.hide_memory()
    os.umask(0o077)  # what is made from here on is for this user only
    _prepare(settings.data_dir)
    for library in ("uvicorn.error", "sqlalchemy.pool"):  # what they say is said by us
        logging.getLogger(library).setLevel(logging.CRITICAL)
    listener = _listen(settings.host, settings.port)
    part = supervise(settings.processes) if settings.processes > 1 else ALONE
    with contextlib.closing(listener), asyncio.Runner(loop_factory=_loop) as runner:
        try:
            runner.run(_serve(settings, paths, listener, part, reload=reload))
        except SQLAlchemyError as error:
            raise SetupError(f"the registry cannot be used: {reason(error)}") from None


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def _prepare(folder: Path) -> None:
    """The data directory, with its folders."""
    try:
        for each in (folder, *(folder / name for name in ("scratch", "cache", "logs", "pending", "jobs", "files"))):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        counts.forget(folder / counts.FOLDER)
    except OSError as error:
        raise SetupError(f"the data directory {folder} cannot be written: {error.strerror}; use --data-dir") from None


def _listen(host: str, port: int) -> socket.socket:
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((bare, port))
        listener.listen(2048)
    except (OSError, ValueError, TypeError) as error:  # the last where the name cannot be encoded
        listener.close()
        reason = getattr(error, "strerror", None) or "this is no host name"
        raise SetupError(f"cannot listen on {_authority(host, port)}: {reason}; use --host and --port") from None
    return listener


def _authority(host: str, port: int) -> str:
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: ours stops the rest too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Stop:
    """What Ctrl-C and SIGTERM do: let the server finish, for a while; the second time, end it at once.

    Nothing is cancelled where it starts: an open half of a database connection would complain of the closed loop. The
    start takes less than a second and looks at `asked` before it serves.
    """

    def __init__(self, drain: float) -> None:
        self.server: uvicorn.Server | None = None
        self.executor: SharedExecutor | None = None
        self.asked = asyncio.Event()
        self.grace = drain
        """Seconds that functions which run have."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self, number)

    def __call__(self, number: signal.Signals) -> None:
        if number == signal.SIGINT:
            self.grace = min(self.grace, _GRACE)
        if self.asked.is_set():
            self.grace = 0.0
        if self.executor is not None:
            self.executor.retire(self.grace)
        if self.server is not None:
            self.server.config.timeout_graceful_shutdown = math.ceil(self.grace) + _CLOSING
            self.server.force_exit = self.server.should_exit
            self.server.should_exit = True
        self.asked.set()


def _settle_garbage() -> None:
    """What is there now stays: looked through again and again it would hold up tiles. So would a closer look at what
    comes with each 700 objects, which is what 20 waiting requests are made of.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)


async def _serve(settings: Settings, paths: list[Path], listener: socket.socket, part: Part, *, reload: bool) -> None:
    stop = _Stop(settings.drain)
    code = CodeProxy(settings.code_mirror, settings.code_hosts)
    async with _backend(settings, code) as (pipeline, stop.executor), _usage(settings) as usage:
        registry = pipeline.registry
        publisher = Publisher(registry, pipeline.grants, pipeline.settling)
        server = _Server(_uvicorn_config(Application(settings, pipeline, publisher, usage, code), settings))
        owner = await registry.accounts.owner()
        local = _address(settings, listener)
        address = settings.public_url.rstrip("/") or local
        if part.first:
            await _remember(settings.data_dir, registry, owner.id, local)
        shelf = Shelf(paths, owner.id, registry, publisher)
        stop.server = server
        if stop.asked.is_set():
            return
        _settle_garbage()
        running = asyncio.create_task(server.serve(sockets=[listener]))
        follows = [_follow(shelf, address, part)] if reload and part.follows else []
        async with _beside(_poll(registry), _end_functions(stop, pipeline), *follows):
            try:
                if part.first:
                    found = await shelf.refresh()
                    part.started()
                    report(*found, address)
                    say(f"  sign in  {address}/sign-in?code={await registry.credentials.issue_link(owner.id)}")
                    say("ready")
            except BaseException:
                server.should_exit = True
                raise
            finally:
                await running


@contextlib.asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Each as a task that has begun before the block and is cancelled after it."""
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(shelf: Shelf, address: str, part: Part) -> None:
    """Publish edits until cancelled; whoever does so in another's place looks first, and says nothing."""
    if not part.first:
        with contextlib.suppress(Exception):  # the next look is another occasion
            await shelf.refresh()
    await follow(shelf, address)


async def _end_functions(stop: _Stop, pipeline: Pipeline) -> None:
    """At a stop, let those go who wait for news; some time later end the functions that still run: they are told."""
    await stop.asked.wait()
    pipeline.runs.release()
    await asyncio.sleep(stop.grace)
    await pipeline.close()


@contextlib.asynccontextmanager
async def _backend(settings: Settings, code: CodeProxy) -> AsyncIterator[tuple[Pipeline, SharedExecutor]]:
    keyring = read_keyring(settings.secret_key_file or settings.data_dir / "master.key")
    executor = SharedExecutor(settings.data_dir, pool_maker(settings))
    registry = await Registry.open(settings.data_dir, keyring, settings.database_url)
    place, sizes = settings.data_dir / "cache", {"memory": settings.cache_memory, "disk": settings.cache_disk}
    cache = TileCache(place, **sizes, beyond=settings.cache)
    runs = RunLog(settings.data_dir / "logs" / "runs.sqlite")
    pipeline = Pipeline(settings, registry, cache, executor, runs, code)
    try:
        await executor.start()
        await registry.check_key()
        await _check_accounts(settings, registry)
        yield pipeline, executor
    finally:
        await pipeline.close()
        await runs.close()
        await registry.close()


@contextlib.asynccontextmanager
async def _usage(settings: Settings) -> AsyncIterator[Usage]:
    usage = Usage(settings.data_dir / "logs" / "usage.sqlite")
    try:
        yield usage
    finally:
        await usage.close()


async def _check_accounts(settings: Settings, registry: Registry) -> None:
    """Raises SetupError where functions of several accounts would run beside each other and may not."""
    if not settings.may_have_accounts and len(await registry.accounts.all()) > 1:
        raise SetupError(f"there are several accounts in {registry.name}. {TRUST}")


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
        timeout_keep_alive=75,
        host=settings.host,
    )


def _address(settings: Settings, listener: socket.socket) -> str:
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host.strip("[]"), settings.host)  # noqa: S104 - which nobody can open
    root = settings.root_path.strip("/")
    return f"http://{_authority(own, listener.getsockname()[1])}" + (f"/{root}" if root else "")


async def _remember(folder: Path, registry: Registry, account_id: str, address: str) -> None:
    """Keep a private token for the other commands on this machine."""
    kept = credentials.load(folder)
    token = kept.token if kept else ""
    if not token or await registry.credentials.account_by_private_token(token) is None:
        token = await registry.credentials.mint_private_token(account_id)
    credentials.save(folder, credentials.Credentials(address, token))


async def _poll(registry: Registry) -> None:
    """See, once a second, what another process wrote without saying so."""
    said = ""
    while True:
        await asyncio.sleep(1)
        try:
            await registry.look()
            said = ""
        except Exception as error:  # of whatever driver: the next second may be better
            if not said:
                warn(said := f"warning: the registry cannot be read: {reason(error)}")
