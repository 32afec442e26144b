"""The pool that `serve` runs functions in, as the settings say."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from tileserver import scratch
from tileserver import settings as configuration
from tileserver.errors import SetupError
from tileserver.execution import LocalExecutor, sandbox
from tileserver.execution.sandbox import Sandbox
from tileserver.frames import Limits
from tileserver.settings import Settings

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
    "GDAL_CACHEMAX",
    "GDAL_DISABLE_READDIR_ON_OPEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
)
_PASSED_PREFIXES = ("AWS_", "GS_", "AZURE_STORAGE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def pool_maker(settings: Settings) -> Callable[[], LocalExecutor]:
    """What makes the pool, once this process is the one that holds it.

    Raises:
        SetupError: a layer of strict isolation is missing here.
    """
    within = _sandbox(settings)
    folder = settings.data_dir / "scratch"

    def make() -> LocalExecutor:
        _clear(folder)
        return LocalExecutor(
            workers=settings.workers,
            limits=Limits(
                memory=settings.worker_memory,
                scratch=settings.worker_disk,
                cache=settings.function_cache,
                tasks=settings.worker_processes,
            ),
            memory_budget=settings.memory_budget,
            token_limit=settings.token_queue,
            environment=_worker_environment(settings),
            scratch=folder,
            sandbox=within,
            caches=settings.data_dir / "function-cache",
        )

    return make


def _clear(folder: Path) -> None:
    """Remove what a killed holder has left, in the background: who holds the pool has the folder to itself."""
    if left := [str(each) for each in folder.iterdir()]:
        threading.Thread(target=scratch.remove_idly, args=left, daemon=True).start()


def _sandbox(settings: Settings) -> Sandbox | None:
    """What strict isolation lets functions reach.

    Raises:
        SetupError: a layer of it is missing here.
    """
    if settings.isolation != "strict":
        return None
    lacking = sandbox.missing()
    if lacking:
        raise SetupError(f"strict isolation is not possible here. {' '.join(lacking)}")
    sandbox.readable(settings.worker_read)  # says what cannot be
    hidden = (settings.data_dir.absolute(),)
    return Sandbox(read=settings.worker_read, hidden=hidden)


def _worker_environment(settings: Settings) -> dict[str, str]:
    named = {*_PASSED, *settings.worker_env}
    return {
        name: value
        for name, value in os.environ.items()
        if name in named or (name.upper().startswith(_PASSED_PREFIXES) and not name.startswith(configuration.PREFIX))
    }
