"""Bodies that go through memory that two processes see."""

import os
from collections.abc import Iterator

import pytest

from tileserver.frames import BODY_LIMIT
from tileserver.results import Results


@pytest.fixture
def results() -> Iterator[Results]:
    created = Results.create()
    yield created
    created.close()


def put_elsewhere(results: Results, body: bytes) -> int:
    """What another process that got the descriptor says that it has put."""
    read, write = os.pipe()
    if os.fork() == 0:
        theirs = Results(results.descriptor)
        theirs.mark(begun=True)
        os.write(write, str(theirs.put(body)).encode())
        os._exit(0)
    os.close(write)
    os.wait()
    told = int(os.read(read, 100))
    os.close(read)
    return told


@pytest.mark.parametrize("length", [1, 30_000, 2**18, BODY_LIMIT + 1, BODY_LIMIT + 5_000_000])
def test_short_and_long_bodies_arrive(results: Results, length: int) -> None:
    """As they were put."""
    body = os.urandom(length)
    assert put_elsewhere(results, body) == length
    taken = results.take(length)
    assert len(taken) == length
    assert taken[:] == body


@pytest.mark.parametrize("length", [0, 2**18 + 1, BODY_LIMIT])
def test_others_are_better_sent(results: Results, length: int) -> None:
    """Nothing is put."""
    assert put_elsewhere(results, bytes(length)) == 0


def test_a_short_body_is_a_copy(results: Results) -> None:
    """The next job may write over it."""
    put_elsewhere(results, b"first")
    taken = results.take(5)
    put_elsewhere(results, b"later")
    assert taken == b"first"


def test_a_long_body_outlives_its_memory() -> None:
    """It is sent after the worker has gone."""
    results = Results.create()
    body = os.urandom(BODY_LIMIT + 1)
    results.put(body)
    taken = results.take(len(body))
    results.close()
    assert taken[:] == body


def test_more_than_there_is_is_refused(results: Results) -> None:
    """Whatever a worker says that it has put."""
    results.put(b"short")
    with pytest.raises(ValueError, match="length"):
        results.take(10 * BODY_LIMIT)


def test_nobody_can_take_the_memory_away(results: Results) -> None:
    """Reading what is no longer there would end the server."""
    for length in (0, 4096):
        with pytest.raises(PermissionError):
            os.truncate(results.descriptor, length)


def test_whether_a_job_has_begun_is_seen(results: Results) -> None:
    """From the other process, until it is put back."""
    assert not results.begun
    put_elsewhere(results, b"body")
    assert results.begun
    results.mark(begun=False)
    assert not results.begun
