"""What an account's functions were asked for, and what that took: by day, and by UDF and token."""

import time
from typing import Annotated, Any, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import InvalidParameterError
from tileserver.usage import Day
from tileserver.web.answering import Answering
from tileserver.web.hosted.owned import named_udf
from tileserver.web.hosted.requests import BASE
from tileserver.web.operations import Operation, Parameter

_MOST_DAYS = 3660
_COUNTS = ("calls", "failures", "cached", "ms", "bytes")
_DAYS = (Parameter("days", Annotated[int, msgspec.Meta(ge=1, le=_MOST_DAYS)], "up to today; 30 where nothing is said"),)
_SHOWN = ("day", "udf_id", "token_id", *_COUNTS)


class Total(TypedDict):
    """Counts of calls; `ms` is the time in functions, `bytes` what was answered."""

    calls: int
    failures: int
    cached: int
    ms: float
    bytes: int


class DayRecord(Total):
    """What was asked of a UDF through a token on a day."""

    day: str
    udf_id: str
    token_id: str


class UsageReport(Total):
    """Totals, and what they are made of."""

    days: list[DayRecord]


class AccountReport(UsageReport):
    """The same of an account, with its cap."""

    calls_per_day: int | None


class Month(TypedDict):
    """This month, as the hosted API tells it; `calls_total_time` is in milliseconds."""

    calls_total: int
    calls_success: int
    calls_error: int
    calls_cached: int
    calls_total_time: float
    date_prefix: str


class UsageRoutes:
    """For the account that asks, whose UDFs they are."""

    def __init__(self, answering: Answering) -> None:
        self._answering, self._access = answering, answering.access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route("/api/v1/usage", self.account),
            Route("/api/v1/udf/{name}/usage", self.udf),
            Route(f"{BASE}/execution-env/self/realtime/usage", self.hosted),
        ]

    @Operation(answer=AccountReport, parameters=_DAYS)
    async def account(self, request: Request) -> Response:
        """The totals of the last `days` (30), then each day, UDF and token; and the account's cap, or null."""
        account = await self._access.owner(request.scope)
        told = _told(await self._answering.counts(account, _days(request)))
        return JSONResponse(told | {"calls_per_day": account.calls_per_day})

    @Operation(answer=UsageReport, parameters=_DAYS)
    async def udf(self, request: Request) -> Response:
        """The same of one UDF."""
        account = await self._access.owner(request.scope)
        stored = await named_udf(self._answering.pipeline.registry, account, request.path_params["name"])
        days = await self._answering.counts(account, _days(request))
        return JSONResponse(_told([day for day in days if day.udf_id == stored.id]))

    @Operation(answer=Month)
    async def hosted(self, request: Request) -> Response:
        """This month's totals as the hosted API names them (its section 5); times are milliseconds."""
        account = await self._access.owner(request.scope)
        month = time.strftime("%Y-%m", time.gmtime())
        total = _total([day for day in await self._answering.counts(account, 31) if day.day.startswith(month)])
        return JSONResponse(
            Month(
                calls_total=total["calls"],
                calls_success=total["calls"] - total["failures"],
                calls_error=total["failures"],
                calls_cached=total["cached"],
                calls_total_time=total["ms"],
                date_prefix=month,
            )
        )


def _days(request: Request) -> int:
    text = request.query_params.get("days", "30")
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 5 and 0 < int(text) <= _MOST_DAYS):
        raise InvalidParameterError(f"'days' should be from 1 to {_MOST_DAYS}.", parameter="days")
    return int(text)


def _told(days: list[Day]) -> dict[str, Any]:
    return _total(days) | {"days": [{name: getattr(day, name) for name in _SHOWN} for day in days]}


def _total(days: list[Day]) -> dict[str, Any]:
    return {name: sum(getattr(day, name) for day in days) for name in _COUNTS}
