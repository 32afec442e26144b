"""Jobs at work, whose end is what is kept of them."""

import asyncio
import threading
import time
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tileserver.batch import Batches, BatchJob, Store, Task
from tileserver.caps import Cap
from tileserver.errors import NotFoundError
from tileserver.layers import Posted
from tileserver.usage import Usage

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The one that the server uses."""
    return "asyncio"


class Slow(Store):
    """Takes its time to note that a job runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 10**6)
        self.noting, self.go_on, self.noted = (threading.Event() for _ in range(3))

    def write(self, job: BatchJob) -> None:
        if job.status == "running" and job.finished:
            self.noting.set()
            self.go_on.wait(20)
            super().write(job)
            self.noted.set()
        else:
            super().write(job)


class Uncapped:
    """Accounts without a cap."""

    async def caps(self, _: str) -> tuple[Cap, ...]:
        return ()


class Refusing:
    """A pipeline in which every run fails."""

    registry = SimpleNamespace(accounts=Uncapped())

    async def posted_layer(self, *_: Any) -> Any:
        raise NotFoundError


async def test_a_job_that_is_cancelled_while_it_is_noted_is_cancelled(tmp_path: Path) -> None:
    """The end is the last that is written, though a task's note was slower."""
    store, now = Slow(tmp_path), time.time_ns() // 1_000_000
    job = BatchJob(id=str(uuid.uuid4()), account_id="a", name="job", total=2, created=now, changed=now)
    usage = Usage(tmp_path / "usage.sqlite")
    batches = Batches(Refusing(), usage, store, 1)  # type: ignore[arg-type]
    task = Task(Posted(account_id="a", name="udf", code="", headers={}), {}, may_fail=True)
    await batches.begin(job, b"{}", [task, task])
    await asyncio.to_thread(store.noting.wait, 20)
    store.cancel("a", job.id)
    asyncio.get_running_loop().call_later(1, store.go_on.set)  # when it has seen that it is cancelled
    await asyncio.to_thread(store.noted.wait, 20)
    await asyncio.gather(*batches._running)
    await usage.close()
    assert store.job("a", job.id).status == "cancelled"
