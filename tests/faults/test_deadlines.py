"""A function that is over its time is ended with everything it started, and its slot is free."""

import os
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from processes import eventually, living, named, tree
from publish import UDFS, versions
from server import Running, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
LIMIT, GONE = 1.0, 0.2
"""Seconds of the functions' deadline, and within which all must be gone after it."""
NOISE = 0.1
"""Seconds for the way from client to function and back, and for a new worker."""
MARK = f"late-{os.getpid()}"
HOW = ["loop", "c", "held", "sleep", "fifo"]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with one slot, so that who is answered next shows that the slot is free."""
    folder = tmp_path_factory.mktemp("deadlines")
    with serving(UDFS / "echo.py", data=folder / "data", arguments=("--workers", "1")) as running:
        httpx.get(f"{running.url}/files/{running.token('echo')}?z=1", timeout=60).raise_for_status()
        yield running


class Watch(threading.Thread):
    """Sees when the processes of a run came and when the last of them was gone."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root, self._known, self._ended = root, set(tree(root)), threading.Event()
        self.seen: set[int] = set()
        self.last = 0.0

    def run(self) -> None:
        while not self._ended.wait(0.002):
            found = {pid for pid in living(tree(self._root)) if pid not in self._known} | set(named(MARK))
            if found:
                self.seen |= found
                self.last = time.monotonic()

    def stop(self) -> None:
        """No more to see."""
        self._ended.set()
        self.join()


class Late(NamedTuple):
    """A run that hangs."""

    answer: httpx.Response
    """What its caller is told."""
    took: float
    """Seconds until then."""
    over: float
    """Seconds from the deadline until the last process was gone."""
    seen: int
    """Processes of it."""


def late(server: Running, name: str, query: str) -> Late:
    """A run of a function that hangs, behind one that waits until the version's probe is over."""
    with versions(server, name, 1) as [token], server.owner() as owner:
        owner.get(f"/files/{token}?run=1&{query}")
        eventually(lambda: not named(MARK), 1)
        watch = Watch(server.process.pid)
        watch.start()
        began = time.monotonic()
        answer = owner.get(f"/files/{token}?run=2&{query}")
        took = time.monotonic() - began
        check_slot(server, owner)
        eventually(lambda: time.monotonic() - watch.last > 0.5, 10)
        watch.stop()
    found = Late(answer, took, watch.last - began - LIMIT, len(watch.seen))
    print(f"told after {took:.3f} s; the last of {found.seen} was gone {found.over * 1000:.0f} ms after the deadline")
    return found


def check_slot(server: Running, client: httpx.Client) -> None:
    """Another function is answered at once."""
    began = time.monotonic()
    answer = client.get(f"/files/{server.token('echo')}?x={time.monotonic_ns() % 10**9}")
    assert answer.status_code == 200
    assert time.monotonic() - began < GONE + NOISE


def check(run: Late, words: str) -> None:
    assert (run.answer.status_code, run.answer.json()["code"]) == (504, "udf_timed_out"), run.answer.text
    assert words in run.answer.json()["printed"]
    assert LIMIT <= run.took < LIMIT + GONE
    assert run.over < GONE


@pytest.mark.parametrize("how", HOW)
def test_a_function_that_hangs_is_ended_in_time(single: Running, how: str) -> None:
    """504 after 1.0 to 1.2 seconds; 200 ms after the deadline its process is gone and its slot is another's."""
    run = late(single, "hangs", f"how={how}")
    check(run, "going in circles")
    assert run.seen >= 1


def test_everything_that_it_started_is_ended_with_it(single: Running) -> None:
    """Children, children in other sessions, daemons, all deaf to signals: 200 ms after the deadline none is left."""
    run = late(single, "scatters", f"mark={MARK}")
    check(run, "all started")
    assert run.seen >= 15
    assert named(MARK) == []
