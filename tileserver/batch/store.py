"""The files of batch jobs, a folder for each below that of its account."""

import re
import shutil
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from tileserver.errors import NotFoundError, TooManyRequestsError
from tileserver.locks import is_held

KEPT_SECONDS: Final = 7 * 86400
"""How long a job is kept after its last change."""
RUNNING: Final = 100
"""Jobs of an account that may run at once."""
_ID: Final = re.compile(r"[0-9a-f-]{36}")
_LOCK, _CANCELLED = "lock", "cancelled"


class BatchJob(msgspec.Struct, frozen=True, kw_only=True):
    """How a job stands."""

    id: str
    account_id: str
    name: str
    total: int
    """Its tasks."""
    finished: int = 0
    """Tasks that came to an end, also a bad one."""
    status: str = "running"
    """`running`, `completed`, `failed` or `cancelled`."""
    instance_type: str | None = None
    created: int
    changed: int
    """Milliseconds since 1970."""


class Result(msgspec.Struct, frozen=True):
    """What a task came to."""

    media_type: str
    coding: str
    """`gzip`, or empty for identity."""
    body: bytes
    stdout: str = ""
    stderr: str = ""


class Store:
    """The jobs of all accounts. All of its methods read or write files, and block."""

    def __init__(self, folder: Path, quota: int) -> None:
        """With the bytes that the jobs of an account may take."""
        self._folder, self._quota = folder, quota
        self._taken: Counter[str] = Counter()
        """Bytes by account, as they were at its last job here, and what was added since."""

    def create(self, job: BatchJob, config: bytes) -> Path:
        """Make a job's folder; the file that says who is at it.

        Of its account's jobs those go that are too old, and of the ended ones the oldest that leave less than half of
        the room.

        Raises:
            TooManyRequestsError: as many run as may.
        """
        jobs = self.jobs(job.account_id)
        if sum(each.status == "running" for each in jobs) >= RUNNING:
            raise TooManyRequestsError(f"{RUNNING} batch jobs run; wait for one, or cancel it.", retry_after=60)
        self._taken[job.account_id] = self._make_room(jobs) + len(config)
        folder = self._folder / job.account_id / job.id
        folder.mkdir(parents=True, mode=0o700)
        (folder / "config").write_bytes(config)
        self.write(job)
        return folder / _LOCK

    def _make_room(self, jobs: list[BatchJob]) -> int:
        """Remove what need not be kept of an account's jobs, the newest first; the bytes that the others take."""
        taken = 0
        for job in jobs:
            folder = self._folder / job.account_id / job.id
            size = _size(folder)
            is_old = time.time() - job.changed / 1000 > KEPT_SECONDS
            if job.status != "running" and (is_old or taken + size > self._quota // 2):
                shutil.rmtree(folder, ignore_errors=True)
            else:
                taken += size
        return taken

    def write(self, job: BatchJob) -> None:
        """Keep how a job stands."""
        folder = self._folder / job.account_id / job.id
        (folder / "job.new").write_bytes(msgspec.json.encode(job))
        (folder / "job.new").rename(folder / "job")

    def job(self, account_id: str, job_id: str) -> BatchJob:
        """A job of the account; failed where the process that was at it has gone.

        Raises:
            NotFoundError: it has none of that id.
        """
        folder = self._job(account_id, job_id)
        job = msgspec.json.decode((folder / "job").read_bytes(), type=BatchJob)
        if job.status != "running" or is_held(folder / _LOCK):
            return job
        job = msgspec.json.decode((folder / "job").read_bytes(), type=BatchJob)  # it may just have come to its end
        return job if job.status != "running" else msgspec.structs.replace(job, status="failed")

    def jobs(self, account_id: str) -> list[BatchJob]:
        """The account's jobs, the newest first."""
        found: list[BatchJob] = []
        for folder in (self._folder / account_id).glob("*"):
            with suppress(NotFoundError, FileNotFoundError):  # it may go just now
                found.append(self.job(account_id, folder.name))
        return sorted(found, key=lambda job: job.created, reverse=True)

    def config(self, account_id: str, job_id: str) -> bytes:
        """What was asked for, as it was sent; raises like `job`."""
        return (self._job(account_id, job_id) / "config").read_bytes()

    def cancel(self, account_id: str, job_id: str) -> None:
        """Have whoever is at it stop; raises like `job`."""
        (self._job(account_id, job_id) / _CANCELLED).touch()

    def end_of(self, job: BatchJob) -> str:
        """How a job that runs must end, which its log then tells: its account has no room, or wants it to stop."""
        if (self._folder / job.account_id / job.id / _CANCELLED).exists():
            return "cancelled"
        if self._taken[job.account_id] <= self._quota:
            return ""
        self.say(job, f"ERROR: batch jobs of an account may take {self._quota} bytes, and these take more")
        return "failed"

    def say(self, job: BatchJob, message: str) -> None:
        """Add a message to a job's log."""
        line = msgspec.json.encode({"message": message, "timestamp": time.time_ns() // 1_000_000}) + b"\n"
        with (self._folder / job.account_id / job.id / "log").open("ab") as file:
            self._taken[job.account_id] += file.write(line)

    def log(self, account_id: str, job_id: str, since: int) -> list[dict[str, Any]]:
        """The messages from so many milliseconds since 1970 on; raises like `job`."""
        place = self._job(account_id, job_id) / "log"
        lines = place.read_bytes().splitlines() if place.exists() else []
        messages: list[dict[str, Any]] = [msgspec.json.decode(line) for line in lines]
        return [each for each in messages if each["timestamp"] >= since]

    def keep(self, job: BatchJob, number: int, result: Result) -> None:
        """Keep the result of a task; its body by itself, so that nobody need hold all of it."""
        folder, facts = self._folder / job.account_id / job.id, msgspec.structs.replace(result, body=b"")
        self._taken[job.account_id] += (folder / f"{number}.body").write_bytes(result.body)
        self._taken[job.account_id] += (folder / f"{number}.result").write_bytes(msgspec.msgpack.encode(facts))

    def results(self, account_id: str, job_id: str) -> list[int]:
        """The tasks that have a result; raises like `job`."""
        return sorted(int(each.stem) for each in self._job(account_id, job_id).glob("*.result"))

    def result(self, account_id: str, job_id: str, number: int) -> tuple[Result, Path]:
        """The result of a task without its body, and the file of that; raises NotFoundError where there is none."""
        place = self._job(account_id, job_id) / f"{number}.result"
        if not place.exists():
            raise NotFoundError("There is no such result.")
        return msgspec.msgpack.decode(place.read_bytes(), type=Result), place.with_suffix(".body")

    def _job(self, account_id: str, job_id: str) -> Path:
        folder = self._folder / account_id / job_id
        if not _ID.fullmatch(job_id) or not (folder / "job").exists():
            raise NotFoundError("There is no such job.")
        return folder


def _size(folder: Path) -> int:
    """Bytes of the files in a folder, in which others work."""
    total = 0
    for each in folder.glob("*"):
        with suppress(FileNotFoundError):
            total += each.stat().st_size
    return total
