"""One server for all integration tests that do not change it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from server import UDFS, Running, second_account, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`tileserver serve` over the folder of test UDFs."""
    with serving(UDFS, data=tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def owner(running: Running) -> Iterator[httpx.Client]:
    """Who owns the server that a module has as `running`."""
    with running.owner() as client:
        yield client


@pytest.fixture(scope="module")
def other(running: Running) -> Iterator[httpx.Client]:
    """Another account of that server."""
    with running.client(headers={"Authorization": f"Bearer {second_account(running)}"}) as client:
        yield client
