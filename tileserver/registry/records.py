"""What the registry gives out: frozen records."""

import uuid
from typing import Any, Final, Literal

import msgspec

from tileserver.bans import Bans
from tileserver.caps import CallsPerDay, Cap

OWNER: Final = "owner@localhost"
"""The address of the account whose server it is."""
_TEAMS: Final = uuid.UUID("7a1c3c0e-53a5-4b3f-9c8e-0d4d1a6f2b10")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who owns UDFs."""

    id: str
    email: str
    handle: str
    name: str
    team: str | None = None
    """Accounts of one team see each other's UDFs."""
    calls_per_day: int | None = None
    """How many calls its UDFs answer a day; None as many as come."""

    @property
    def is_owner(self) -> bool:
        """Whether it is the account whose server this is."""
        return self.email == OWNER

    @property
    def environment_id(self) -> str:
        """Of the execution environment, which a team shares (hosted API, section 2.1)."""
        return environment_id(self.id, self.team)


def environment_id(account_id: str, team: str | None) -> str:
    """A team's environment, or an account's own."""
    return str(uuid.uuid5(_TEAMS, team)) if team else account_id


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication came to."""

    udf_id: str
    token: str | None
    """The token that was minted at the first publication; None where it was deleted since."""


class StoredUdf(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF with its current version."""

    id: str
    account_id: str
    email: str
    """Its author's."""
    name: str
    digest: str
    source: str
    """`file` or `api`."""
    file: str | None
    present: bool
    allow_public_read: bool
    """Whether every account may read and run it."""
    allow_public_list: bool
    """Whether it is in the list of public UDFs, too."""
    updated: int
    """Microseconds since 1970."""
    code: str
    headers: dict[str, str]
    record: str
    """JSON of `udfs.Udf`."""
    kind: str | None


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """Who else shall see a UDF; None leaves it as it is."""

    allow_public_read: bool | None = None
    allow_public_list: bool | None = None


class TokenOptions(msgspec.Struct, kw_only=True):
    """What may be chosen of a shared token; None takes the default of a new one, and leaves another as it is."""

    client_id: str | None = None
    cache: bool | None = None
    shared_cache: bool | None = None
    """Whether caches between server and client may keep its answers."""
    expose_errors: bool | None = None
    """Whether everybody may read why the function failed."""
    public_read: bool | None = None
    access_scope: Literal["public", "team"] | None = None
    metadata_json: dict[str, Any] | None = None
    enabled: bool | None = None
    calls_per_day: CallsPerDay | None = None
    """How many calls it answers a day; 0 as many as come."""


class SharedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A shared token as its owner sees it."""

    id: str
    token: str
    udf_id: str
    account_id: str
    environment_id: str
    slug: str
    email: str
    enabled: bool
    cache: bool
    shared_cache: bool
    expose_errors: bool
    client_id: str | None
    public_read: bool | None
    access_scope: str | None
    metadata_json: dict[str, Any] | None
    calls_per_day: int | None
    updated: int
    """Microseconds since 1970."""


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """All UDFs of an account, which one token may open by their names (the hosted API's canvas)."""

    account_id: str
    handle: str
    team: str | None
    token: str | None
    """None where it is not shared."""
    access_scope: str
    """`public`: the token is enough; `team`: it takes a session, or a member of the account's team."""
    passcode: str | None
    """What who has the token must say besides, or may say instead of a session."""
    updated: int
    """Microseconds since 1970; 0 where nothing was chosen yet."""

    def is_for(self, account: Account) -> bool:
        """Whether it is the account's own, or its team's."""
        return account.id == self.account_id or (self.team is not None and account.team == self.team)


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
    bans: Bans
    """What was cleared of it."""
    cache: bool
    shared_cache: bool
    expose_errors: bool
    caps: tuple[Cap, ...] = ()
    """What a call counts towards; empty where neither token nor account has a cap."""

    @property
    def epoch(self) -> int:
        """Of the last clearing: what is made now is of this epoch."""
        return self.bans.epoch
