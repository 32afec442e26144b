"""The log of an account's runs, as the hosted API pages through it (its section 5)."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypedDict

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.errors import InvalidParameterError, NotFoundError
from tileserver.registry import Account, Registry, StoredUdf
from tileserver.runlog import Run, RunLog
from tileserver.web.access import Access
from tileserver.web.hosted.owned import named_udf, own_token, own_udf
from tileserver.web.hosted.requests import BASE, truth, whole
from tileserver.web.operations import Natural, Operation, Parameter

_MOST: Final = 300
_MOST_SCANNED: Final = 5000
_ALL: Final = 10_000
"""UDFs of an account or a team that are looked through."""


class Logged(NamedTuple):
    """A UDF of which runs are shown; without a name, the sources that an account sent."""

    name: str
    account_id: str
    email: str


Shown = dict[str, Logged]
"""By what runs are kept under: a UDF's id, or that of the account that sent a source."""


_WITHIN: Final = (
    Parameter("start_timestamp", str, "ISO 8601, UTC where it says nothing else"),
    Parameter("end_timestamp", str, "the same"),
)
_PAGE: Final = (
    Parameter("limit", Natural, f"how many to look at, {_MOST} at most"),
    Parameter("scan_forward", bool, "false begins with the newest"),
    Parameter("page_token", str, "`next_page_token` of the page before"),
    *_WITHIN,
)
_SCAN: Final = (
    Parameter("max_records_to_scan", Natural, f"how many runs to look at, {_MOST_SCANNED} at most"),
    *_WITHIN,
)


class RunRecord(TypedDict):
    """A run by the hosted API's names; what is not kept here, or is for its author only, is null."""

    id: str
    timestamp: str
    exec_env_id: str
    user_id: str
    user_email: str
    udf_id: str
    udf_name: str
    execution_engine: str
    execution_time: float
    cache: bool
    stdout: str | None
    stderr: str | None
    has_exception: bool
    udf_data: dict[str, Any]
    shared_token: str | None
    client_ip: None


class RunPage(TypedDict):
    """Runs, and where the next ones are."""

    items: list[RunRecord]
    limit: int
    next_page_token: str | None


class Distinct(TypedDict):
    """All that there are, on one page."""

    items: list[str]
    limit: int
    next_page_token: None


class AuditRoutes:
    """Runs of the account's UDFs and of the sources that it sent; of its team's, too, where that is asked for."""

    def __init__(self, runs: RunLog, registry: Registry, access: Access) -> None:
        self._runs, self._registry, self._access = runs, registry, access

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route(f"{BASE}/log/self", self.own),
            Route(f"{BASE}/log/exec-env/self", self.team),
            Route(f"{BASE}/log/by-id/{{id}}", self.by_id),
            Route(f"{BASE}/log/by-udf-id/{{id}}", self.by_udf_id),
            Route(f"{BASE}/log/by-udf-name/{{name}}", self.by_udf_name),
            Route(f"{BASE}/log/by-shared-token/{{token}}", self.by_token),
            Route(f"{BASE}/log/distinct-udf-names/self", self.names),
            Route(f"{BASE}/log/distinct-udf-names/exec-env/self", self.names),
            Route(f"{BASE}/log/distinct-udf-id/self", self.ids),
            Route(f"{BASE}/log/distinct-udf-id/exec-env/self", self.ids),
        ]

    @Operation(answer=RunPage, parameters=_PAGE)
    async def own(self, request: Request) -> Response:
        """A page of all."""
        account = await self._access.owner(request.scope)
        return await self._page(request, account, await self._own(account))

    @Operation(answer=RunPage, parameters=_PAGE)
    async def team(self, request: Request) -> Response:
        """The same of the account's team; what a function was asked, printed and raised is its author's to read."""
        account = await self._access.owner(request.scope)
        return await self._page(request, account, await self._team(account))

    @Operation(answer=RunPage, parameters=_PAGE)
    async def by_udf_id(self, request: Request) -> Response:
        """A page of one UDF's."""
        account = await self._access.owner(request.scope)
        stored = await own_udf(self._registry, account, request.path_params["id"])
        return await self._page(request, account, _shown([stored]))

    @Operation(answer=RunPage, parameters=_PAGE)
    async def by_udf_name(self, request: Request) -> Response:
        """A page of one UDF's, by its name."""
        account = await self._access.owner(request.scope)
        stored = await named_udf(self._registry, account, request.path_params["name"])
        return await self._page(request, account, _shown([stored]))

    @Operation(answer=RunPage, parameters=_PAGE)
    async def by_token(self, request: Request) -> Response:
        """A page of those that a shared token opened."""
        account = await self._access.owner(request.scope)
        token = await own_token(self._registry, account, request.path_params["token"])
        stored = await own_udf(self._registry, account, token.udf_id)
        return await self._page(request, account, _shown([stored]), token.id)

    @Operation(answer=Distinct, parameters=_SCAN)
    async def names(self, request: Request) -> Response:
        """The names of the UDFs that ran, the last first."""
        shown, ids = await self._ran(request)
        return _distinct([shown[each].name for each in ids if shown[each].name])

    @Operation(answer=Distinct, parameters=_SCAN)
    async def ids(self, request: Request) -> Response:
        """Their ids."""
        shown, ids = await self._ran(request)
        return _distinct([each for each in ids if shown[each].name])

    @Operation(answer=RunPage, fails=("invalid_parameter",))
    async def by_id(self, request: Request) -> Response:
        """One run."""
        account, number = await self._access.owner(request.scope), _number(request.path_params["id"], "id")
        shown = await self._team(account)
        runs = await self._runs.page(list(shown), number - 1, 1, forward=True)
        if not runs or runs[0].id != number:
            raise NotFoundError("There is no such run.")
        told = _told(runs[0], account, shown, await self._tokens(account))
        return JSONResponse(RunPage(items=[told], limit=1, next_page_token=None))

    async def _own(self, account: Account) -> Shown:
        return _shown(await self._registry.publications.udfs(account.id, 0, _ALL), [account])

    async def _team(self, account: Account) -> Shown:
        members = await self._registry.accounts.team_of(account)
        return _shown(await self._registry.publications.team_udfs(account.id, 0, _ALL), members)

    async def _tokens(self, account: Account) -> dict[str, str]:
        """The account's shared tokens by what runs say of them."""
        return {each.id: each.token for each in await self._registry.shared_tokens.tokens(account.id, 0, _ALL)}

    async def _ran(self, request: Request) -> tuple[Shown, list[str]]:
        """Whose runs are asked for, and which of that ran within the time that is asked for, the last first."""
        account = await self._access.owner(request.scope)
        shown = await (self._team if "/exec-env/" in request.url.path else self._own)(account)
        asked = request.query_params.get("max_records_to_scan", "1000")
        most = min(_number(asked, "max_records_to_scan"), _MOST_SCANNED)
        runs = await self._runs.page(list(shown), None, most, forward=False)
        return shown, list(dict.fromkeys(run.udf_id for run in _within(request, runs)))

    async def _page(self, request: Request, account: Account, shown: Shown, token_id: str = "") -> Response:
        query = request.query_params
        limit = min(max(_number(query.get("limit", "100"), "limit"), 1), _MOST)
        forward = truth(query.get("scan_forward", "true"), "scan_forward")
        edge = _number(query["page_token"], "page_token") if query.get("page_token") else None
        runs = await self._runs.page(list(shown), edge, limit, forward=forward)
        inside = [run for run in _within(request, runs) if token_id in ("", run.token_id)]
        following = str(runs[-1].id) if len(runs) == limit else None
        tokens = await self._tokens(account)
        items = [_told(run, account, shown, tokens) for run in inside]
        return JSONResponse(RunPage(items=items, limit=limit, next_page_token=following))


def _shown(udfs: list[StoredUdf], accounts: Iterable[Account] = ()) -> Shown:
    named = {each.id: Logged(each.name, each.account_id, each.email) for each in udfs}
    return named | {each.id: Logged("", each.id, each.email) for each in accounts}


def _within(request: Request, runs: list[Run]) -> list[Run]:
    """Those that began within the time that is asked for."""
    query = request.query_params
    begin = _seconds(query, "start_timestamp", -math.inf)
    end = _seconds(query, "end_timestamp", math.inf)
    return [run for run in runs if begin <= run.started <= end]


def _distinct(items: list[str]) -> Response:
    return JSONResponse(Distinct(items=items, limit=len(items), next_page_token=None))


def _errors(run: Run) -> str:
    """What it wrote to standard error, and why it failed."""
    return "\n".join(filter(None, (run.stderr.rstrip("\n"), run.message)))


def _told(run: Run, account: Account, shown: Shown, tokens: dict[str, str]) -> RunRecord:
    logged = shown[run.udf_id]
    own = logged.account_id == account.id
    return {
        "id": str(run.id),
        "timestamp": datetime.fromtimestamp(run.started, UTC).isoformat(),
        "exec_env_id": account.environment_id,
        "user_id": logged.account_id,
        "user_email": logged.email,
        "udf_id": run.udf_id,
        "udf_name": logged.name,
        "execution_engine": "realtime",
        "execution_time": run.wall_ms / 1000,
        "cache": False,
        "stdout": run.stdout if own else None,
        "stderr": _errors(run) if own else None,
        "has_exception": run.outcome != "ok",
        "udf_data": {
            "parameters": msgspec.to_builtins(run.parameters) if own else None,
            "tile": run.tile,
            "digest": run.digest,
        },
        "shared_token": tokens.get(run.token_id),
        "client_ip": None,
    }


def _number(text: str, name: str) -> int:
    return whole(text, f"'{name}' should be a whole number, not negative.", parameter=name)


def _seconds(query: QueryParams, name: str, otherwise: float) -> float:
    """Seconds since 1970 of an ISO 8601 moment, in UTC where it says nothing else."""
    text = query.get(name)
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidParameterError(f"'{name}' should be as 2026-01-31T12:00:00.", parameter=name) from None
    if moment is None:
        return otherwise
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
