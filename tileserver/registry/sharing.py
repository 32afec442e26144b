"""Who may see which UDFs: one's own, one's team's, and what its author made public. Here is the rule, and only here."""

from typing import Any, Final

from sqlalchemy import ColumnElement, func, select

from tileserver.registry.schema import account, shared_token, udf

AUTHORED: Final = udf.join(account, account.c.id == udf.c.account_id)
"""UDFs with their authors: what the conditions below are about."""
RESERVED_HANDLES: Final = frozenset({"team", "public", "self"})
"""Handles that nobody has: as one they mean something else, or might."""


def shared(asking_id: str) -> ColumnElement[bool]:
    """An account's own UDFs and its team's."""
    asking = account.alias("asking")
    team = select(asking.c.team).where(asking.c.id == asking_id).scalar_subquery()
    return (udf.c.account_id == asking_id) | (account.c.team == team)  # no team equals none


def visible(asking_id: str) -> ColumnElement[bool]:
    """All that an account may read and run."""
    return shared(asking_id) | udf.c.allow_public_read


def listed() -> ColumnElement[bool]:
    """What everybody finds in the list of public UDFs."""
    return udf.c.allow_public_read & udf.c.allow_public_list & udf.c.present


def addressed(asking_id: str, who: str) -> ColumnElement[bool]:
    """What an account may see of `who`: an e-mail address, a handle, `team` or `public` (hosted API, section 2.2)."""
    if who == "team":
        return shared(asking_id)
    if who == "public":
        return udf.c.allow_public_read.is_(True)
    named = account.c.email if "@" in who else account.c.handle
    return (named == who.lower()) & visible(asking_id)


def preferred(asking_id: str) -> tuple[ColumnElement[Any], ...]:
    """The order in which UDFs of one name are chosen: one's own, else the oldest, which nobody can supplant."""
    return udf.c.account_id != asking_id, udf.c.created, udf.c.id


def open_to_all() -> ColumnElement[bool]:
    """Which shared tokens open their UDF to whoever has them; those for a team open nothing to who is not known."""
    return (func.coalesce(shared_token.c.access_scope, "public") != "team") & shared_token.c.public_read.is_not(False)
