"""The client of another process's pool, and the connections that it makes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pools import LIMITS, on_a_loop, source

from tileserver.errors import BusyError
from tileserver.execution import LocalExecutor
from tileserver.execution.channel import connect
from tileserver.execution.election import Election
from tileserver.execution.pool_client import PoolClient, PoolLostError
from tileserver.execution.pool_server import PoolServer

NARROW = 20


def on_a_socket(
    folder: Path, check: Callable[[PoolClient, PoolServer], Awaitable[None]], backlog: int | None = None
) -> None:
    """Run `check` on a client of a pool, where so many connections may wait to be accepted."""
    (folder / "scratch").mkdir()
    election = Election(folder)
    assert election.run()

    async def main() -> None:
        local = LocalExecutor(workers=2, limits=LIMITS, environment={}, scratch=folder / "scratch")
        await local.start()
        server, client = PoolServer(local), PoolClient(election.address)
        listener = election.listen()
        await server.start(listener)
        if backlog is not None:
            listener.listen(backlog)
        await client.start()
        try:
            await check(client, server)
        finally:
            await client.close()
            await server.close()
            await local.close()

    on_a_loop(main)
    election.close()


async def describe(client: PoolClient) -> object:
    """Whatever the pool says of a source."""
    return await client.describe(source("echo"), (), ())


def test_a_burst_finds_room(tmp_path: Path) -> None:
    """All connect before the first is accepted."""

    async def check(client: PoolClient, server: PoolServer) -> None:
        connections = await asyncio.gather(*(connect(str(tmp_path / "pool.sock")) for _ in range(300)))
        for each in connections:
            each.close()

    on_a_socket(tmp_path, check)


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    """More connect at once than may wait: they try again, and the pool is not given up."""

    async def check(client: PoolClient, server: PoolServer) -> None:
        told = await asyncio.gather(*(describe(client) for _ in range(4 * NARROW)), return_exceptions=True)
        assert [each for each in told if isinstance(each, Exception)] == []
        assert server.stats().processes == 2

    on_a_socket(tmp_path, check, NARROW)


def test_a_client_that_is_closed_while_it_connects(tmp_path: Path) -> None:
    """Nothing is asked over that connection, which nobody would end."""

    async def check(client: PoolClient, server: PoolServer) -> None:
        asked = asyncio.create_task(describe(client))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(PoolLostError):
            await asked

    on_a_socket(tmp_path, check)


def test_no_connection_is_busy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the holder lives; why is told to the log alone. It has gone when the client has been left."""

    async def check(client: PoolClient, server: PoolServer) -> None:
        (tmp_path / "pool.sock").unlink()
        with pytest.raises(BusyError) as busy:
            await describe(client)
        assert str(busy.value) == BusyError.sentence
        assert "No such file" in caplog.text
        asked = asyncio.create_task(describe(client))
        await asyncio.sleep(0)
        client.leave()
        with pytest.raises(PoolLostError):
            await asked

    on_a_socket(tmp_path, check)
