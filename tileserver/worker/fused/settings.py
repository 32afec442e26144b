"""`fused.options`, which may be set and have no effect here, and `fused.api`, which functions do not have."""

from types import SimpleNamespace
from typing import Any

from tileserver.errors import CallError


class Api:
    """Stands where the SDK has its client: each use says where to go instead."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise CallError(f"fused.api.{name} is not there for functions: ask the server from outside, with the SDK")

    def __call__(self, *_: Any, **__: Any) -> Any:
        """As `fused.api.FusedAPI()`."""
        raise CallError("a function has no client of the server: ask it from outside, with the SDK")


options = SimpleNamespace(
    base_url="",
    cache_directory="",
    data_directory="",
    realtime_client_id=None,
    request_timeout=120,
    run_timeout=130,
    max_workers=32,
    no_login=False,
    verbose_udf_runs=False,
)
"""What sources set; nothing here reads it."""
api = Api()
