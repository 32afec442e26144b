"""A registry on real SQLite or PostgreSQL, opened and closed around each scenario."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))
from postgresql import Postgres, needs_postgres, postgres

from tileserver.registry import Registry
from tileserver.tokens import Keyring

T = TypeVar("T")
Scenario = Callable[..., Awaitable[Any]]


@pytest.fixture
def keyring() -> Keyring:
    """The keys of a master key of zeros."""
    return Keyring(bytes(32))


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=(pytest.mark.slow, needs_postgres))])
def address(request: pytest.FixtureRequest) -> str:
    """Of an empty database; of a file none."""
    return "" if request.param == "sqlite" else request.getfixturevalue("server").database()


@pytest.fixture
def run(tmp_path: Path, keyring: Keyring, address: str) -> Callable[..., Any]:
    """Runs a scenario with `count` registries on one directory; every call opens anew, as a restart does."""

    async def _run(scenario: Scenario, count: int) -> Any:
        registries = [await Registry.open(tmp_path, keyring, address) for _ in range(count)]
        try:
            return await scenario(*registries)
        finally:
            for registry in registries:
                await registry.close()

    return lambda scenario, count=1: asyncio.run(_run(scenario, count))


@pytest.fixture
def publish() -> Callable[..., Awaitable[Any]]:
    """Publishes a small UDF as the owner's."""

    async def _publish(registry: Registry, name: str = "hills", digest: str = "d1", **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "code": f"# {digest}",
            "headers": {"sibling": "x = 1"},
            "record": "{}",
            "source": "file",
            "file": f"{name}.py",
            "kind": None,
        }
        owner = await registry.accounts.owner()
        return await registry.publications.publish(owner.id, name=name, digest=digest, **fields | changes)

    return _publish
