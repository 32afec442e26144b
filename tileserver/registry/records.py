"""What the registry gives out: frozen records."""

from typing import Any

import msgspec


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who owns UDFs."""

    id: str
    email: str
    handle: str
    name: str


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication came to."""

    udf_id: str
    token: str | None
    """The token that was minted at the first publication; None where it was deleted since."""


class StoredUdf(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF with its current version."""

    id: str
    account_id: str
    name: str
    digest: str
    source: str
    """`file` or `api`."""
    file: str | None
    present: bool
    updated: int
    """Microseconds since 1970."""
    code: str
    headers: dict[str, str]
    record: str
    """JSON of `udfs.Udf`."""
    kind: str | None


class SharedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A shared token as its owner sees it."""

    id: str
    token: str
    udf_id: str
    account_id: str
    slug: str
    email: str
    enabled: bool
    cache: bool
    client_id: str | None
    metadata_json: dict[str, Any] | None
    updated: int
    """Microseconds since 1970."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What an enabled token opens: one UDF in its current version."""

    token_id: str
    udf_id: str
    account_id: str
    name: str
    digest: str
    code: str
    headers: dict[str, str]
    record: str
    """JSON of `udfs.Udf`."""
    facts: str | None
    """JSON of what a probe found out; None before it."""
    kind: str | None
    file: str | None
    epoch: int
    cache: bool
    shared_cache: bool
    expose_errors: bool
