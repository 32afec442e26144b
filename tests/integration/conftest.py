"""One server for all integration tests that do not change it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from server import UDFS, Running, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`tileserver serve` over the folder of test UDFs."""
    with serving(UDFS, data=tmp_path_factory.mktemp("server") / "data") as running:
        yield running
