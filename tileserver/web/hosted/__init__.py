"""The hosted API's management routes, as the real SDK calls them, by subject."""

import math

from starlette.routing import BaseRoute

from tileserver.batch import Batches, Store
from tileserver.codeproxy import CodeProxy
from tileserver.publication import Publisher
from tileserver.web.addresses import Addresses
from tileserver.web.answering import Answering
from tileserver.web.hosted.account import AccountRoutes
from tileserver.web.hosted.audit import AuditRoutes
from tileserver.web.hosted.batch import BatchRoutes
from tileserver.web.hosted.cache import CacheRoutes
from tileserver.web.hosted.code import CodeRoutes
from tileserver.web.hosted.collections import CollectionRoutes
from tileserver.web.hosted.files import FileRoutes
from tileserver.web.hosted.pending import Pending
from tileserver.web.hosted.runs import RunRoutes
from tileserver.web.hosted.secrets import SecretRoutes
from tileserver.web.hosted.tokens import TokenRoutes
from tileserver.web.hosted.udfs import UdfRoutes


def hosted_routes(answering: Answering, publisher: Publisher, code: CodeProxy, addresses: Addresses) -> list[BaseRoute]:
    """Every route under `/server/v1` that is not a token's own."""
    pipeline, access = answering.pipeline, answering.access
    settings, registry = pipeline.settings, pipeline.registry
    pending = Pending(settings.data_dir / "pending")
    jobs = Store(settings.data_dir / "jobs", settings.files_disk)
    batches = Batches(pipeline, answering.usage, jobs, math.ceil(settings.workers))
    return [
        *AccountRoutes(registry, access).routes(),
        *UdfRoutes(registry, publisher, pipeline.runs, access).routes(),
        *TokenRoutes(registry, access, addresses).routes(),
        *CollectionRoutes(registry, access, addresses).routes(),
        *SecretRoutes(registry, access).routes(),
        *FileRoutes(registry.keyring, access, addresses, settings).routes(),
        *RunRoutes(answering, access, pending).routes(),
        *BatchRoutes(batches, access, addresses, registry.keyring).routes(),
        *CacheRoutes(registry, access).routes(),
        *AuditRoutes(pipeline.runs, registry, access).routes(),
        *CodeRoutes(code, access).routes(),
    ]
