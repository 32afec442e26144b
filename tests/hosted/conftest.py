"""The real SDK, unmodified, against a real server. One version runs by default, all of them where slow tests do.

Each version has an environment of its own, made by pip once per machine, and a server of its own.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
from environments import made  # noqa: E402
from server import Running, second_account, serving  # noqa: E402
from session import Sdk, settle  # noqa: E402
from versions import ALL  # noqa: E402

UDFS = HERE.parent / "udfs" / "hosted"
GAUGE = """
@fused.udf
def gauge(n: int = 1):
    import pandas as pd
    import utils
    return pd.DataFrame({"level": [utils.tenfold(n)]})
"""
MAKING_SECONDS = 1200
"""For the first test of each version, which may have to wait for its environment."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of this folder the time that making the environments takes."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(MAKING_SECONDS))


@pytest.fixture(scope="session")
def interpreters(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By version, of all that this session runs; beside the folders that pytest clears after three sessions."""
    wanted = {item.callspec.params.get("version") for item in request.session.items if hasattr(item, "callspec")}
    return made(tmp_path_factory.getbasetemp().parent / "sdk", sorted(wanted - {None}))


@pytest.fixture(scope="session", params=ALL)
def version(request: pytest.FixtureRequest) -> str:
    """Of the SDK; `versions.only` chooses some."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of git clones, in which `owner/udfs` has one UDF with a module beside it."""
    folder = tmp_path_factory.mktemp("mirror")
    udf = folder / "owner" / "udfs" / "public" / "gauge"
    udf.mkdir(parents=True)
    (udf / "gauge.py").write_text(GAUGE)
    (udf / "utils.py").write_text("def tenfold(n):\n    return n * 10\n")
    for command in ("init -q -b main", "add -A", "-c user.name=A -c user.email=a@b commit -q -m one"):
        subprocess.run(["git", *command.split()], cwd=folder / "owner" / "udfs", check=True)
    return folder


@pytest.fixture(scope="session")
def server(version: str, mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`tileserver serve` over the UDFs that the SDK calls."""
    folder = tmp_path_factory.mktemp(f"server-{version}")
    with serving(UDFS, data=folder / "data", TILESERVER_CODE_MIRROR=str(mirror)) as running:
        yield running


@pytest.fixture(scope="session")
def owner(server: Running) -> Iterator[httpx.Client]:
    """Plain HTTP with the owner's private token."""
    with server.owner() as client:
        yield client


@pytest.fixture(scope="session")
def sdk(
    version: str, interpreters: dict[str, Path], server: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sdk]:
    """The SDK of the server's owner."""
    home = settle(tmp_path_factory.mktemp("home"), server.url, server.private_token)
    running = Sdk(version, interpreters[version], home)
    yield running
    running.close()


@pytest.fixture(scope="session")
def stranger(
    version: str, interpreters: dict[str, Path], server: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sdk]:
    """The SDK of somebody without credentials, who knows no more than a shared token."""
    running = Sdk(version, interpreters[version], settle(tmp_path_factory.mktemp("home"), server.url, None))
    yield running
    running.close()


@pytest.fixture(scope="session")
def other(
    version: str, interpreters: dict[str, Path], server: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sdk]:
    """The SDK of another account of the same server, b@c."""
    home = settle(tmp_path_factory.mktemp("home"), server.url, second_account(server))
    running = Sdk(version, interpreters[version], home)
    yield running
    running.close()
