"""The module that a UDF's source knows as `fused`, also where the SDK is installed (hosted API, section 3.4)."""

from typing import Any

from tileserver.functioncache import cache
from tileserver.worker.fused import types
from tileserver.worker.fused.decorator import udf
from tileserver.worker.fused.files import api, download, file_path
from tileserver.worker.fused.loaded import load, load_async
from tileserver.worker.fused.runs import run, run_async
from tileserver.worker.fused.secret import secrets
from tileserver.worker.fused.settings import options
from tileserver.worker.fused.shared import public, utils
from tileserver.worker.fused.submission import submit
from tileserver.worker.fused.tables import get_chunk_from_table, get_chunks_metadata
from tileserver.worker.fused.zoom import estimate_zoom

user_secrets = secrets
"""An account's secrets are a user's own, too."""

__all__ = [
    "api",
    "cache",
    "download",
    "estimate_zoom",
    "file_path",
    "get_chunk_from_table",
    "get_chunks_metadata",
    "load",
    "load_async",
    "options",
    "public",
    "run",
    "run_async",
    "secrets",
    "submit",
    "types",
    "udf",
    "user_secrets",
    "utils",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"fused.{name} is not there for functions of this server; there are {', '.join(__all__)}")
