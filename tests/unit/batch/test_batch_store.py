"""The files of batch jobs: no more of them than their account may have."""

import time
import uuid
from pathlib import Path

import msgspec
import pytest

from tileserver.batch import BatchJob, Result, Store
from tileserver.batch import store as module
from tileserver.errors import NotFoundError, TooManyRequestsError
from tileserver.locks import hold

QUOTA = 10_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, QUOTA)


def begun(store: Store, *, age: int = 0) -> BatchJob:
    """A job that runs since so many seconds."""
    now = time.time_ns() // 1_000_000 - age * 1000
    job = BatchJob(id=str(uuid.uuid4()), account_id="a", name="job", total=1, created=now, changed=now)
    hold(store.create(job, b"{}"))
    return job


def ended(store: Store, *, size: int = 0, age: int = 0) -> BatchJob:
    """A job with a result of so many bytes."""
    job = msgspec.structs.replace(begun(store, age=age), status="completed")
    store.keep(job, 0, Result("", "", bytes(size), ""))
    store.write(job)
    return job


def kept(store: Store) -> set[str]:
    return {each.id for each in store.jobs("a")}


def test_old_jobs_go_with_the_next(store: Store) -> None:
    """Those that run stay."""
    old, young = ended(store, age=module.KEPT_SECONDS + 1), ended(store)
    runs = begun(store, age=module.KEPT_SECONDS + 1)
    last = begun(store)
    assert kept(store) == {young.id, runs.id, last.id}
    with pytest.raises(NotFoundError):
        store.job("a", old.id)


def test_a_new_job_has_half_of_the_room(store: Store) -> None:
    """The oldest make place."""
    ages = [ended(store, size=2000, age=30 - n).id for n in range(3)]
    last = begun(store)
    assert kept(store) == {*ages[1:], last.id}


def test_a_job_ends_where_there_is_no_room(store: Store) -> None:
    """Its log says so; others' room is their own."""
    job = begun(store)
    store.keep(job, 0, Result("", "", bytes(QUOTA // 2), ""))
    assert store.end_of(job) == ""
    store.keep(job, 1, Result("", "", bytes(QUOTA // 2), ""))
    assert store.end_of(msgspec.structs.replace(job, account_id="b")) == ""
    assert store.end_of(job) == "failed"
    assert "may take 10000 bytes" in store.log("a", job.id, 0)[-1]["message"]
    store.cancel("a", job.id)
    assert store.end_of(job) == "cancelled"


def test_no_more_than_so_many_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended does not count."""
    monkeypatch.setattr(module, "RUNNING", 2)
    ended(store)
    begun(store)
    begun(store)
    with pytest.raises(TooManyRequestsError):
        begun(store)
    assert len(list((tmp_path / "a").iterdir())) == 3
