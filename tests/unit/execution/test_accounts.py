"""Workers of several accounts: none runs for two, and none runs on with secrets that have changed."""

import asyncio
from pathlib import Path
from typing import Any

from pools import on_a_pool, processes_in, told, written

from tileserver.execution import LocalExecutor

CODE = """
import gc, os
from tileserver.jobs import Source

@udf
def f():
    [source] = [each for each in gc.get_objects() if isinstance(each, Source)]
    return {"pid": os.getpid(), "secrets": source.secrets, "shown": repr(source)}
"""


async def answer(executor: LocalExecutor, account: str, **secrets: str) -> dict[str, Any]:
    return dict(await told(executor, written(CODE, account_id=account, secrets=secrets)))


def test_a_worker_is_one_accounts(tmp_path: Path) -> None:
    """Though the text be the same, each has its own, which goes on whoever asks in between."""

    async def check(executor: LocalExecutor) -> None:
        anna, ben = await answer(executor, "anna", key="hers"), await answer(executor, "ben", key="his")
        assert (anna["secrets"], ben["secrets"]) == ({"key": "hers"}, {"key": "his"})
        for _ in range(2):
            assert await answer(executor, "anna", key="hers") == anna
            assert await answer(executor, "ben", key="his") == ben
        assert anna["pid"] != ben["pid"]

    on_a_pool(tmp_path, check)


def test_a_secret_that_changes_is_seen_by_the_next_job(tmp_path: Path) -> None:
    """Workers that have the old one are ended, as many as there are."""

    async def check(executor: LocalExecutor) -> None:
        several = await asyncio.gather(*(answer(executor, "anna", key="old") for _ in range(2)))
        assert all(each["secrets"] == {"key": "old"} for each in several)
        new = await answer(executor, "anna", key="new")
        assert new["secrets"] == {"key": "new"}
        assert new["pid"] not in {each["pid"] for each in several}
        while len(processes_in(tmp_path, "worker-")) > 1:
            await asyncio.sleep(0.01)
        assert await answer(executor, "anna") == {**await answer(executor, "anna"), "secrets": {}}

    on_a_pool(tmp_path, check)


def test_no_log_has_a_secret(tmp_path: Path) -> None:
    """A source is shown without what it carries."""

    async def check(executor: LocalExecutor) -> None:
        said = await answer(executor, "anna", key="what-nobody-sees")
        assert "f" in said["shown"]
        assert "what-nobody-sees" not in said["shown"]

    on_a_pool(tmp_path, check)
