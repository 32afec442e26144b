"""The log of runs: the last ones of each UDF come back, whoever wrote them; its troubles are nobody else's."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tileserver.runlog import KEPT, Run, RunLog, log

WRITER = """
import asyncio, sys
from pathlib import Path
from tileserver.runlog import Run, RunLog

async def main(path, name):
    runs = RunLog(Path(path))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(50):
        runs.add(Run(udf_id="u", digest=name, started=number))
        await runs._write()
    await runs.close()

asyncio.run(main(*sys.argv[1:]))
"""


def run(number: int, udf_id: str = "u", **facts: Any) -> Run:
    return Run(udf_id=udf_id, digest="d", started=float(number), **facts)


def numbers(runs: list[Run]) -> list[int]:
    return [int(each.started) for each in runs]


def on_a_log(path: Path, check: Callable[..., Awaitable[None]], count: int = 1) -> None:
    """Run `check` on logs that share a file, as the servers of a host do."""

    async def main() -> None:
        logs = [RunLog(path) for _ in range(count)]
        try:
            async with asyncio.timeout(20):
                await check(*logs)
        finally:
            for each in logs:
                await each.close()

    asyncio.run(main())


def test_everything_comes_back(tmp_path: Path) -> None:
    """All facts of a run, with an id that grows; a newer log on the same file reads them too."""
    whole = run(
        1,
        tile="3/1/2",
        parameters={"n": 1, "many": [1.5, None], "text": "é"},
        outcome="udf_raised",
        printed="a\nb",
        exception="ValueError",
        line=7,
    )

    async def check(runs: RunLog) -> None:
        runs.add(whole)
        runs.add(run(2))
        first, second = await runs.last("u")
        assert first == Run(**{name: getattr(whole, name) for name in Run.__struct_fields__} | {"id": first.id})
        assert 0 < first.id < second.id

    async def check_again(runs: RunLog) -> None:
        assert numbers(await runs.last("u")) == [1, 2]
        assert await runs.last("other") == []

    on_a_log(tmp_path / "logs" / "runs.sqlite", check)
    on_a_log(tmp_path / "logs" / "runs.sqlite", check_again)


def test_the_last_of_each_are_kept(tmp_path: Path) -> None:
    """200 for every UDF, however many another one has; a limit takes the newest, `after` the next ones."""

    async def check(runs: RunLog) -> None:
        for number in range(KEPT + 50):
            runs.add(run(number))
            if number % 60 == 0:
                runs.add(run(number, "rare"))
                await runs.last("u")
        kept = await runs.last("u", 1000)
        assert numbers(kept) == list(range(50, KEPT + 50))
        assert numbers(await runs.last("rare")) == [0, 60, 120, 180, 240]
        assert numbers(await runs.last("u", 2)) == [KEPT + 48, KEPT + 49]
        assert numbers(await runs.last("u", 2, after=kept[0].id)) == [51, 52]
        await runs.forget("u")
        assert await runs.last("u") == []
        assert len(await runs.last("rare")) == 5

    on_a_log(tmp_path / "runs.sqlite", check)


def test_runs_are_written_in_batches(tmp_path: Path) -> None:
    """What comes within half a second is written and seen together; what is there at the end is written too."""
    path = tmp_path / "runs.sqlite"

    async def check(runs: RunLog) -> None:
        for number in range(100):
            runs.add(run(number))
        assert not path.exists()
        assert len(await runs.wait("u", 0, 10)) == 100
        runs.add(run(150))

    async def check_again(runs: RunLog) -> None:
        assert numbers(await runs.last("u"))[-1] == 150

    on_a_log(path, check)
    on_a_log(path, check_again)


def test_two_processes_write_one_file(tmp_path: Path) -> None:
    """Nothing is lost, ids grow in the order in which runs can be read, and the bound holds for both together."""
    path = tmp_path / "runs.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(20) for writer in writers] == [0, 0]

    async def check(runs: RunLog) -> None:
        found = await runs.last("u")
        assert [numbers([each for each in found if each.digest == name]) for name in "ab"] == [[*range(50)]] * 2
        assert [each.id for each in found] == sorted(each.id for each in found)

    for writer in writers:
        writer.stdin.close()  # type: ignore[union-attr]
        writer.stdout.close()  # type: ignore[union-attr]
    on_a_log(path, check)


def test_who_waits_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By this process without a poll, by another with one; the wait has an end, and ends when the server stops."""
    monkeypatch.setattr(log, "BATCH_SECONDS", 0.01)

    async def waiting(runs: RunLog, after: int) -> "asyncio.Task[list[Run]]":
        task = asyncio.create_task(runs.wait("u", after, 15))
        await runs.last("u", after=after)  # behind the first look of the one who waits
        return task

    async def check(one: RunLog, other: RunLog) -> None:
        monkeypatch.setattr(log, "POLL_SECONDS", 60)
        task = await waiting(one, 0)
        one.add(run(1))
        [first] = await task
        monkeypatch.setattr(log, "POLL_SECONDS", 0.01)
        task = await waiting(one, first.id)
        other.add(run(2))
        assert numbers(await task) == [2]
        assert await one.wait("u", 2**60, 0) == []
        task = await waiting(one, 2**60)
        one.release()
        assert await task == []
        assert await one.wait("u", 2**60, 15) == []

    on_a_log(tmp_path / "runs.sqlite", check, 2)


def a_text(path: Path) -> None:
    path.write_text("this is no database " * 500)


def a_folder(path: Path) -> None:
    path.mkdir()


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE run (something TEXT)")
    connection.close()


def torn_pages(path: Path) -> None:
    async def fill(runs: RunLog) -> None:
        for number in range(300):
            runs.add(run(number, printed="x" * 1000))

    on_a_log(path, fill)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [a_text, a_folder, another_database, torn_pages])
def test_a_damaged_file_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    """It is kept under another name, a new one is begun, and one line says so; nobody's run is lost or fails."""
    path = tmp_path / "runs.sqlite"
    damage(path)

    async def check(runs: RunLog) -> None:
        for number in range(3):
            runs.add(run(number))
            await runs.last("u")
        assert numbers(await runs.last("u")) == [0, 1, 2]

    on_a_log(path, check)
    assert (tmp_path / "runs.sqlite.damaged").exists()
    [line] = [record.message for record in caplog.records]
    assert line.startswith("warning: the log of runs cannot be used (")


def test_a_file_that_goes_while_it_is_used(tmp_path: Path) -> None:
    """A new one is begun by every process; its ids go on growing, so that who follows misses nothing."""
    path = tmp_path / "logs" / "runs.sqlite"

    async def check(one: RunLog, other: RunLog) -> None:
        one.add(run(1))
        [first] = await one.last("u")
        other.add(run(2))
        await other.last("u")
        for each in path.parent.iterdir():
            each.unlink()
        path.parent.rmdir()
        for number, log_ in ((3, one), (4, other)):
            log_.add(run(number))
            await log_.last("u")
        assert numbers(await one.last("u", after=first.id)) == numbers(await other.last("u")) == [3, 4]

    on_a_log(path, check, 2)


def test_where_nothing_can_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Runs are taken all the same, said once, within bounds; they are written when that is possible."""
    (tmp_path / "logs").write_text("no folder")

    async def check(runs: RunLog) -> None:
        for number in range(log.PENDING_RUNS + 10):
            runs.add(run(number))
        assert await runs.last("u") == []
        for number in range(300):
            runs.add(run(number, printed="x" * 2**16))
        assert await runs.last("u") == []
        assert len(runs._pending) <= 2**24 / 2**16
        (tmp_path / "logs").unlink()
        assert numbers(await runs.last("u"))[-1] == 299

    on_a_log(tmp_path / "logs" / "runs.sqlite", check)
    assert len(caplog.records) == 1


def test_what_json_cannot_hold_costs_only_its_own_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is raised to who adds it."""

    async def check(runs: RunLog) -> None:
        runs.add(run(1, parameters={"what": object()}))
        runs.add(run(2, printed="\ud800"))
        runs.add(run(3))
        assert numbers(await runs.last("u")) == [3]

    on_a_log(tmp_path / "runs.sqlite", check)
    assert len(caplog.records) == 2


def test_the_file_is_its_owners(tmp_path: Path) -> None:
    """Mode 0600 under the mask that `serve` sets; what SQLite puts beside it, too."""
    code = f"import os; os.umask(0o077)\n{WRITER}"
    command = [sys.executable, "-c", code, str(tmp_path / "runs.sqlite"), "a"]
    subprocess.run(command, input="go\n", text=True, check=True, capture_output=True)
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
