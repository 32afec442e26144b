"""The hosted API's management routes, as the real SDK calls them, by subject."""

from starlette.routing import BaseRoute

from tileserver.publication import Publisher
from tileserver.registry import Registry
from tileserver.runlog import RunLog
from tileserver.web.access import Access
from tileserver.web.addresses import Addresses
from tileserver.web.hosted.account import AccountRoutes
from tileserver.web.hosted.tokens import TokenRoutes
from tileserver.web.hosted.udfs import UdfRoutes


def hosted_routes(
    registry: Registry, publisher: Publisher, runs: RunLog, access: Access, addresses: Addresses
) -> list[BaseRoute]:
    """Every route under `/server/v1` that is not a token's own."""
    return [
        *AccountRoutes(access).routes(),
        *UdfRoutes(registry, publisher, runs, access).routes(),
        *TokenRoutes(registry, access, addresses).routes(),
    ]
