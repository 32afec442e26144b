"""Shared tokens made, listed, switched and deleted (hosted API, section 2.3)."""

from typing import Any
from urllib.parse import quote

import msgspec

from tileserver.client.exchange import Steps
from tileserver.client.records import Token, Udf
from tileserver.client.session import Session
from tileserver.errors import NotFoundError


def tokens(session: Session, udf: str | None = None) -> Steps[list[Token]]:
    """The account's tokens, or those of one UDF by its name; every page of them, the oldest first."""
    found = msgspec.convert((yield from session.pages("/udf-access-token/self")), list[Token])
    return [each for each in found if udf is None or each.udf_slug == udf]


def token(session: Session, text: str) -> Steps[Token]:
    """A token of the account.

    Raises:
        NotFoundError: it has no such token.
    """
    return _token((yield from session.ask("GET", _place(text))))


def create_token(
    session: Session, udf: str | Udf, *, cache: bool = True, calls_per_day: int | None = None
) -> Steps[Token]:
    """A new token for a UDF.

    Args:
        udf: the UDF, or its name.
        cache: whether answers may come from the cache; without it the function runs for every request.
        calls_per_day: how many calls it answers a day; None as many as come.

    Raises:
        NotFoundError: the account has no such UDF.
    """
    which = {"udf_id": udf.id} if isinstance(udf, Udf) else {"udf_slug": udf}
    chosen = {"cache": cache, "calls_per_day": calls_per_day, "enabled": True}
    return _token((yield from session.ask("POST", "/udf-access-token/new", which | chosen)))


def enable_token(session: Session, token: str | Token) -> Steps[Token]:
    """The token, which opens its UDF again."""
    return _token((yield from session.ask("POST", _place(token), {"enabled": True})))


def disable_token(session: Session, token: str | Token) -> Steps[Token]:
    """The token, which opens nothing from the next request on."""
    return _token((yield from session.ask("POST", _place(token), {"enabled": False})))


def cap_token(session: Session, token: str | Token, calls_per_day: int | None) -> Steps[Token]:
    """The token, which answers so many calls a day from now on; None takes the cap away."""
    return _token((yield from session.ask("POST", _place(token), {"calls_per_day": calls_per_day or 0})))


def delete_token(session: Session, token: str | Token) -> Steps[Token]:
    """What the token was; it is gone for good."""
    return _token((yield from session.ask("DELETE", _place(token))))


def opening(session: Session, name: str) -> Steps[Token]:
    """The first token that opens the account's UDF of that name.

    Raises:
        NotFoundError: none does.
    """
    for each in (yield from tokens(session, name)):
        if each.enabled:
            return each
    raise NotFoundError(f"no enabled token opens a UDF named '{name}'; client.create_token({name!r}) makes one")


def _place(token: str | Token) -> str:
    text = token.token if isinstance(token, Token) else token
    return f"/udf-access-token/by-token/{quote(text, safe='') or '-'}"


def _token(record: Any) -> Token:
    return msgspec.convert(record, Token)
