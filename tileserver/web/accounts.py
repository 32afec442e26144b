"""Accounts as the server's owner manages them."""

import re
from typing import Final, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tileserver.caps import CallsPerDay
from tileserver.errors import ConflictError, InvalidParameterError, NotFoundError
from tileserver.registry import RESERVED_HANDLES, Account, Registry
from tileserver.settings import TRUST, Settings
from tileserver.web.access import Access
from tileserver.web.hosted.requests import Read, takes
from tileserver.web.operations import Operation

_BASE: Final = "/api/v1/accounts"
_EMAIL: Final = re.compile(r"[a-z0-9._+-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*", re.ASCII)
_HANDLE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,38}", re.ASCII)
_HEADERS: Final = {"cache-control": "no-store"}


class NewAccount(msgspec.Struct, kw_only=True):
    """The body of `POST /api/v1/accounts`."""

    email: str
    handle: str | None = None
    name: str | None = None
    team: str | None = None
    calls_per_day: CallsPerDay | None = None


class AccountChange(msgspec.Struct, kw_only=True):
    """The body of `POST /api/v1/accounts/{email}`.

    Null leaves as it is, an empty team leaves the team, 0 calls a day take the cap away.
    """

    handle: str | None = None
    name: str | None = None
    team: str | None = None
    calls_per_day: CallsPerDay | None = None


class AccountRecord(TypedDict):
    """An account."""

    id: str
    email: str
    handle: str
    name: str
    team: str | None
    calls_per_day: int | None
    execution_environment_id: str


class LetIn(AccountRecord):
    """An account with a new private token."""

    token: str


class AccountRoutes:
    """Made, listed, changed, let in and locked out; by the server's owner only."""

    def __init__(self, registry: Registry, access: Access, settings: Settings) -> None:
        self.registry, self.access, self.settings = registry, access, settings

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route(_BASE, self.list_accounts),
            Route(_BASE, self.new_account, methods=["POST"]),
            Route(f"{_BASE}/{{email}}", self.change_account, methods=["POST"]),
            Route(f"{_BASE}/{{email}}/tokens", self.new_token, methods=["POST"]),
            Route(f"{_BASE}/{{email}}/tokens", self.revoke_tokens, methods=["DELETE"]),
        ]

    @Operation(answer=list[AccountRecord], who="owner")
    async def list_accounts(self, request: Request) -> Response:
        """Every account, the oldest first."""
        await self.access.server_owner(request.scope)
        return JSONResponse([_account(each) for each in await self.registry.accounts.all()])

    @Operation(answer=LetIn, who="owner", fails=("conflict",))
    @takes(NewAccount)
    async def new_account(self, request: Request, read: Read[NewAccount]) -> Response:
        """A new account with its first private token, which is shown this once."""
        await self.access.server_owner(request.scope)
        wanted = await read()
        if not self.settings.may_have_accounts:
            raise ConflictError(TRUST)
        email = _matching(_EMAIL, wanted.email.strip().lower(), "An e-mail address")
        handle = _handle(wanted.handle or _handle_of(email))
        team = _handle(wanted.team) if wanted.team else None
        name, calls = _name(wanted.name or handle), wanted.calls_per_day or None
        made = await self.registry.accounts.create(email, handle=handle, name=name, team=team, calls_per_day=calls)
        return await self._with_token(made)

    @Operation(answer=AccountRecord, who="owner", fails=("conflict",))
    @takes(AccountChange)
    async def change_account(self, request: Request, read: Read[AccountChange]) -> Response:
        """Another handle, name, team or cap."""
        account = await self._named(request)
        change = await read()
        handle = account.handle if change.handle is None else _handle(change.handle)
        name = account.name if change.name is None else _name(change.name)
        team = account.team if change.team is None else change.team and _handle(change.team)
        calls = account.calls_per_day if change.calls_per_day is None else change.calls_per_day or None
        changed = msgspec.structs.replace(account, handle=handle, name=name, team=team or None, calls_per_day=calls)
        await self.registry.accounts.change(changed)
        return JSONResponse(_account(changed))

    @Operation(answer=LetIn, who="owner")
    async def new_token(self, request: Request) -> Response:
        """Another private token, which is shown this once."""
        return await self._with_token(await self._named(request))

    @Operation(answer=AccountRecord, who="owner")
    async def revoke_tokens(self, request: Request) -> Response:
        """Ends every private token and session of the account."""
        account = await self._named(request)
        await self.registry.credentials.revoke(account.id)
        return JSONResponse(_account(account))

    async def _named(self, request: Request) -> Account:
        await self.access.server_owner(request.scope)
        account = await self.registry.accounts.by_email(request.path_params["email"])
        if account is None:
            raise NotFoundError("There is no account of this address.")
        return account

    async def _with_token(self, account: Account) -> Response:
        token = await self.registry.credentials.mint_private_token(account.id)
        return JSONResponse(LetIn(**_account(account), token=token), headers=_HEADERS)


def _account(account: Account) -> AccountRecord:
    return AccountRecord(
        id=account.id,
        email=account.email,
        handle=account.handle,
        name=account.name,
        team=account.team,
        calls_per_day=account.calls_per_day,
        execution_environment_id=account.environment_id,
    )


def _handle_of(email: str) -> str:
    """What can be a handle of an address's first part; `x` where nothing of it can."""
    return re.sub(r"[^a-z0-9_-]", "-", email.partition("@")[0]).lstrip("-_")[:39] or "x"


def _handle(text: str) -> str:
    if text.lower() in RESERVED_HANDLES:
        raise InvalidParameterError(f"'{text}' means something else in addresses; take another handle.")
    return _matching(_HANDLE, text.lower(), "A handle, and a team's name,")


def _name(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= 200:
        raise InvalidParameterError("A name is 1 to 200 printable characters.", parameter="name")
    return text


def _matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidParameterError(f"{what} is like {_LIKE[pattern]}.")
    return text


_LIKE: Final = {
    _EMAIL: "somebody@example.org",
    _HANDLE: "some-body: letters, digits, - and _, at most 39",
}
