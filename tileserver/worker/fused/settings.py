"""`fused.options`, which may be set and have no effect here."""

from types import SimpleNamespace

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
