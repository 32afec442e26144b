"""A worker: one UDF version for its whole life, one job at a time, over a socket on a high descriptor."""

import contextlib
import fcntl
import os
import resource
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tileserver.errors import CallError, InvalidParameterError, TileserverError, UdfError
from tileserver.frames import BODY_LIMIT, Assembler, Birth, Message, pack
from tileserver.jobs import Describe, Described, Failed, Job, Rendered, Source, Started
from tileserver.tiles import Tile
from tileserver.worker import sandbox, system
from tileserver.worker.baseline import Baseline
from tileserver.worker.binding import bind
from tileserver.worker.calls import Calls
from tileserver.worker.program import Program, describe, load

_HIGH: Final = 200
"""Descriptors that functions are unlikely to close or write to by number."""
_NICE: Final = 10
"""The server answers first."""
T = TypeVar("T")


class WorkerProcess:
    """Lives in a forked child."""

    def __init__(self, descriptors: list[int], birth: Birth) -> None:
        channel, output, results, calls = map(_raised, descriptors)
        system.keep_in_hand()
        os.setsid()
        os.nice(_NICE)
        _redirect(output)
        _enter(birth.scratch)
        system.lock_down(birth.limits.memory, birth.limits.scratch, birth.limits.open_files)
        if birth.read:
            sandbox.confine(birth.read, birth.scratch)
        self._channel, self._results = socket.socket(fileno=channel), results
        self._calls = Calls(calls)
        self._pid, self._born = os.getpid(), system.resident("self")
        self._frames = Assembler()
        self._source: Source | None = None
        self._program: Program | Failed | None = None
        self._baseline: Baseline | None = None

    def run(self) -> None:
        """Answer until the server closes the channel."""
        while piece := self._channel.recv(1 << 20):
            for message, _ in self._frames.feed(piece):
                self._answer(message)
        os._exit(0)

    def _answer(self, message: Message) -> None:
        if isinstance(message, Source):
            self._source = message
        elif isinstance(message, Job):
            self._send(Started(id=message.id))
            self._reply(msgspec.structs.replace(self._perform(message), id=message.id))
        elif isinstance(message, Describe):
            self._reply(self._describe(message))

    def _reply(self, reply: Rendered | Failed | Described) -> None:
        if os.getpid() != self._pid:  # a child that the function forked, and that came back from it
            os._exit(0)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        body = b""
        if isinstance(reply, Rendered):
            body, reply = reply.body, msgspec.structs.replace(reply, body=b"")
            if len(body) > BODY_LIMIT:
                reply = msgspec.structs.replace(reply, stored=self._store(body))
                body = b""
        self._send(reply, body)

    def _store(self, body: bytes) -> int:
        view = memoryview(body)
        written = 0
        while written < len(body):
            written += os.write(self._results, view[written:])
        return written

    def _send(self, message: Message, body: bytes = b"") -> None:
        try:
            frame = pack(message, body)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:  # as numbers above 64 bits in `facts`
            text = f"the result cannot be described: {_plain(str(error))}"
            frame = pack(Failed(id=getattr(message, "id", 0), code="bad_result", message=text))
        self._channel.sendall(frame)

    def _loaded(self) -> Program | Failed:
        if self._program is None:
            assert self._source is not None
            try:
                self._program = load(self._source)
            except BaseException as error:
                self._program = failure(error, self._source)
            self._baseline = Baseline((0, 1, 2, self._results))
        return self._program

    def _perform(self, job: Job) -> Rendered | Failed:
        """The answer with what it cost, the loading of the UDF before the first job left out."""
        system.limit_cpu(time.process_time(), job.timeout)
        with self._calls.of(job):
            self._loaded()
            system.reset_peak()
            cost = Cost()
            reply = self._outcome(job)
        return cost.noted(reply, above=self._born, leak=self._baseline.leak() if self._baseline else "")

    def _outcome(self, job: Job) -> Rendered | Failed:
        program = self._loaded()
        if isinstance(program, Failed):
            return program
        assert self._baseline is not None
        self._baseline.restore()
        return self._caught(program, lambda: self._render(program, job))

    def _render(self, program: Program, job: Job) -> Rendered:
        from tileserver.encode import encode

        tile = Tile(*job.tile, size=job.output.size) if job.tile else None
        arguments = bind(program.udf, job.arguments, tile)
        began = time.perf_counter()
        result = program.call(arguments)
        called = time.perf_counter()
        rendered = encode(result, job.output, tile, limit=job.limit, sample=job.sample)
        took = time.perf_counter() - called
        return msgspec.structs.replace(rendered, udf_ms=(called - began) * 1000, encode_ms=took * 1000)

    def _describe(self, question: Describe) -> Described | Failed:
        program = self._loaded()
        if isinstance(program, Failed):
            return program
        return self._caught(program, lambda: describe(program, question))

    @staticmethod
    def _caught(program: Program, work: Callable[[], T]) -> T | Failed:
        """What `work` returns; whatever it raises, KeyboardInterrupt and SystemExit too, as text."""
        try:
            return work()
        except BaseException as error:
            return failure(error, program.source)


class Cost:
    """What is spent from here on."""

    def __init__(self) -> None:
        self._began, self.cpu, self._waited = time.perf_counter(), time.process_time(), system.waited_seconds()
        self._children = _children_seconds()

    def noted(self, reply: Rendered | Failed, *, above: int, leak: str) -> Rendered | Failed:
        """The reply with what was spent until now.

        Args:
            above: bytes that the process held at its start.
        """
        own = time.process_time() - self.cpu
        cpu = own + _children_seconds() - self._children
        facts: dict[str, Any] = {
            "cpu_ms": cpu * 1000,
            "runnable_ms": (cpu + system.waited_seconds() - self._waited) * 1000,
            "memory": max(system.peak_bytes() - above, 0),
            "leak": leak,
        }
        if isinstance(reply, Failed):
            facts["udf_ms"] = (time.perf_counter() - self._began) * 1000
        return msgspec.structs.replace(reply, **facts)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _raised(descriptor: int) -> int:
    """The same file on a high descriptor, closed on exec."""
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(descriptor)
    return high


def _redirect(output: int) -> None:
    """Nothing to read, everything printed into the pipe, and no other descriptor below the high ones."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, _HIGH)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115


def _enter(scratch: str) -> None:
    Path(scratch).mkdir(0o700)
    os.chdir(scratch)
    os.environ["TMPDIR"] = scratch
    tempfile.tempdir = None


def failure(error: BaseException, source: Source) -> Failed:
    """An exception as text: its own words, the UDF's own frames."""
    if isinstance(error, InvalidParameterError):
        return Failed(code=error.code, message=_plain(str(error)), parameter=error.parameter)
    if isinstance(error, UdfError):
        return Failed(code=error.code, message=_plain(error.message))
    if isinstance(error, TileserverError) and not isinstance(error, CallError):  # that one is the function's own
        return Failed(code=error.code, message=_plain(str(error)))
    code = "memory_exceeded" if isinstance(error, MemoryError) else "udf_raised"
    own = {source.path, *(f"{name}.py" for name in source.headers)}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    lines = [frame.lineno for frame in frames if frame.filename == source.path]
    return Failed(
        code=code,
        message=_plain("".join(_summary(error)).strip()),
        traceback=_plain("".join(traceback.format_list(frames[-50:]) + _summary(error))),
        line=lines[-1] if lines else None,
        exception=type(error).__name__,
    )


def _plain(text: str) -> str:
    """Without lone surrogates, which no frame carries."""
    return text.encode("utf-8", "replace").decode()


def _summary(error: Any) -> list[str]:
    try:
        return [line[:8000] for line in traceback.format_exception_only(error)]
    except Exception:  # an exception whose __str__ fails
        return [type(error).__name__]
