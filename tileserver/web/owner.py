"""The owner's pages: the catalogue, and signing in by the link that `serve` prints."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tileserver.registry import Account, StoredUdf
from tileserver.udfs import Udf
from tileserver.usage import Day
from tileserver.web.access import COOKIE, session_of
from tileserver.web.addresses import Addresses
from tileserver.web.answering import Answering
from tileserver.web.operations import HTML, Operation, Parameter
from tileserver.web.pages import MAP_CSP, IndexRow, index_page, message_page

HEADERS: Final = {
    "content-security-policy": MAP_CSP.replace("frame-ancestors *", "frame-ancestors 'none'"),
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
SESSION_SECONDS: Final = 30 * 86400
_DAYS: Final = 30
"""Of which the catalogue shows the counts."""


class OwnerRoutes:
    """Routes for people who sign in."""

    def __init__(self, answering: Answering, addresses: Addresses) -> None:
        self.answering, self.addresses = answering, addresses
        self.registry, self.access = answering.pipeline.registry, answering.access

    @Operation(media=(HTML,), who="anybody")
    async def index(self, request: Request) -> Response:
        """The catalogue of the account's UDFs, or how to sign in."""
        account = await self.access.account(request.scope)
        rows = await self._rows(account) if account else []
        return HTMLResponse(index_page(rows, owner=account is not None), headers=HEADERS)

    @Operation(
        status=303,
        headers={"Location": "the catalogue", "Set-Cookie": "the session"},
        also={403: ("The link was used already, or is too old.", HTML)},
        who="anybody",
        parameters=(Parameter("code", str, "from the link"),),
    )
    async def sign_in(self, request: Request) -> Response:
        """Opens a session for a one-time link, then leads to the catalogue."""
        if request.method == "HEAD":  # somebody looks where the link leads; it is for whoever follows it
            return HTMLResponse("", headers=HEADERS)
        secret = await self.registry.credentials.redeem_link(request.query_params.get("code", ""))
        if secret is None:
            text = "This sign-in link was used already or is too old. Start the server again for a new one."
            return HTMLResponse(message_page("Sign in", text), 403, headers=HEADERS)
        answer = RedirectResponse("./", 303, headers=HEADERS)
        secure = self.addresses.base(request.scope).startswith("https:")
        answer.set_cookie(COOKIE, secret, SESSION_SECONDS, httponly=True, samesite="strict", secure=secure)
        return answer

    @Operation(status=303, headers={"Location": "the catalogue"}, who="anybody")
    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        self.access.check_origin(request.scope)
        await self.registry.credentials.end_session(session_of(request.scope))
        answer = RedirectResponse("./", 303, headers=HEADERS)
        answer.delete_cookie(COOKIE)
        return answer

    @Operation(status=204, who="anybody")
    async def favicon(self, request: Request) -> Response:
        """Nothing: pages name their own picture."""
        return Response(status_code=204, headers={"cache-control": "max-age=86400"})

    async def _rows(self, account: Account) -> list[IndexRow]:
        tokens = await self.registry.shared_tokens.tokens(account.id, 0, 10_000)
        opening = {each.udf_id: each.token for each in reversed(tokens) if each.enabled}
        udfs = await self.registry.publications.udfs(account.id, 0, 10_000)
        days = await self.answering.counts(account, _DAYS)
        return [_row(udf, opening[udf.id], days) for udf in udfs if udf.id in opening and udf.present]


def _row(udf: StoredUdf, token: str, days: list[Day]) -> IndexRow:
    doc = msgspec.json.decode(udf.record, type=Udf).doc
    usage = _usage([day for day in days if day.udf_id == udf.id])
    return IndexRow(name=udf.name, kind=udf.kind or "", doc=doc, map_url=f"tiles/{token}/map", usage=usage)


def _usage(days: list[Day]) -> str:
    """What was asked of a UDF in words; empty where nobody called it."""
    calls, failures, cached = (sum(getattr(day, name) for day in days) for name in ("calls", "failures", "cached"))
    parts = [
        f"{calls:,} call{'' if calls == 1 else 's'} in {_DAYS} days",
        f"{failures:,} failed" if failures else "",
        f"{cached:,} cached",
        f"{sum(day.ms for day in days) / 1000:,.1f} s",
    ]
    return " · ".join(filter(None, parts)) if calls else ""
