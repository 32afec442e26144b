"""Caps: how many calls a token, or all functions of an account, may answer a day. Days are those of UTC."""

from typing import Annotated, Final, NamedTuple

import msgspec

from tileserver.errors import TooManyRequestsError

DAY_SECONDS: Final = 86400
_MOST: Final = 10**12

CallsPerDay = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
"""As a request says it: 0 takes a cap away."""


class Cap(NamedTuple):
    """A bound on the calls of a day."""

    account_id: str
    token_id: str | None
    """None where it is about all calls of the account's functions, however they came."""
    calls_per_day: int


def caps_of(
    account_id: str, account_calls: int | None, token_id: str = "", token_calls: int | None = None
) -> tuple[Cap, ...]:
    """The caps that a call counts towards; mostly there is none."""
    of_token = (Cap(account_id, token_id, token_calls),) if token_calls is not None else ()
    of_account = (Cap(account_id, None, account_calls),) if account_calls is not None else ()
    return of_token + of_account


def reached(cap: Cap, now: float) -> TooManyRequestsError:
    """What to say at `now` (seconds since 1970) where a cap is reached."""
    whose = "This token" if cap.token_id is not None else "The account behind this function"
    left = int(DAY_SECONDS - now % DAY_SECONDS) + 1
    return TooManyRequestsError(
        f"{whose} has had all of its calls for today; it opens again at 00:00 UTC.", retry_after=left
    )
