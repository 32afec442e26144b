"""A repository with UDFs in the public layouts, and a host that has it over HTTPS."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from forge import Forge, Repository


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """OWNER/udfs, with branches, a tag and three layouts."""
    return Repository.made(tmp_path_factory.mktemp("mirror") / "owner" / "udfs")


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """GitHub's hosts, and another, on loopback; their authority is the one that is trusted."""
    with Forge.started(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.authority))
        yield running
