"""A worker: one UDF version for its whole life, one job at a time, over a socket on a high descriptor."""

import contextlib
import fcntl
import mmap
import os
import resource
import socket
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tileserver.errors import CallError, InvalidParameterError, TileserverError, UdfError
from tileserver.frames import BEGUN, BODY_LIMIT, RESULTS_OFFSET, Assembler, Birth, Message, pack
from tileserver.jobs import Describe, Described, Failed, Job, Rendered, Source
from tileserver.tiles import Tile
from tileserver.worker import sandbox, system
from tileserver.worker.baseline import Baseline
from tileserver.worker.binding import bind
from tileserver.worker.calls import Calls
from tileserver.worker.program import Program, describe, load

_HIGH: Final = 200
"""Descriptors that functions are unlikely to close or write to by number."""
_PIECE_BYTES: Final = 2**16
"""Read at once; a larger buffer would be mapped and unmapped anew for each job."""
_QUICK_SECONDS: Final = 0.002
"""Jobs below it are not looked at in every detail."""
_PEAK_BYTES: Final = 10**6
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
        self._mark = mmap.mmap(results, RESULTS_OFFSET)
        self._calls = Calls(calls)
        self._pid, self._cost = os.getpid(), Cost()
        self._frames = Assembler()
        self._source: Source | None = None
        self._program: Program | Failed | None = None
        self._baseline: Baseline | None = None

    def run(self) -> None:
        """Answer until the server closes the channel."""
        while piece := self._channel.recv(_PIECE_BYTES):
            for message, _ in self._frames.feed(piece):
                self._answer(message)
        os._exit(0)

    def _answer(self, message: Message) -> None:
        if isinstance(message, Source):
            self._source = message
        elif isinstance(message, Job):
            BEGUN.pack_into(self._mark, 0, 1)
            self._reply(self._perform(message))
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
            written += os.pwrite(self._results, view[written:], RESULTS_OFFSET + written)
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
        self._cost.limit(job.timeout)
        with self._calls.of(job):
            self._loaded()
            self._cost.begin()
            reply = self._outcome(job)
        quick = self._cost.seconds() < _QUICK_SECONDS
        leak = self._baseline.leak(quick=quick) if self._baseline else ""
        return msgspec.structs.replace(reply, id=job.id, leak=leak, **self._cost.noted(quick=quick))

    def _outcome(self, job: Job) -> Rendered | Failed:
        program = self._loaded()
        if isinstance(program, Failed):
            return program
        assert self._baseline is not None
        self._baseline.restore()
        with warnings.catch_warnings():
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
    """What a job spends; what a quick one cannot have spent is not asked for, since asking would cost more."""

    def __init__(self) -> None:
        self._start = system.peak_bytes()
        self._peak = self._floor = self._start
        self._limited = 0.0
        self._waited = system.waited_seconds()
        self.begin()

    def limit(self, seconds: float) -> None:
        """So much processor time more, and not much more than that."""
        used = time.process_time()
        if not seconds <= self._limited - used <= seconds + 1:
            self._limited = used + seconds + 1
            system.limit_cpu(used, seconds)

    def begin(self) -> None:
        """Count from here on."""
        if self._peak > self._floor + _PEAK_BYTES:  # what the job before took is no peak of this one
            system.reset_peak()
            self._peak = self._floor = system.peak_bytes()
        self._began, self._thread, self._all = time.perf_counter(), time.thread_time(), _all_seconds()

    def seconds(self) -> float:
        """Since the job began."""
        return time.perf_counter() - self._began

    def noted(self, *, quick: bool) -> dict[str, Any]:
        """The fields of a reply that say what was spent until now."""
        seconds = self.seconds()
        # With RLIMIT_CPU set, the kernel counts the whole process in ticks only: too coarse for a quick job.
        cpu = max(time.thread_time() - self._thread, _all_seconds() - self._all)
        self._peak = system.peak_bytes()
        waited = 0.0
        if not quick:
            before, self._waited = self._waited, system.waited_seconds()
            waited = self._waited - before
        return {
            "wall_ms": seconds * 1000,
            "cpu_ms": cpu * 1000,
            "runnable_ms": min(cpu + waited, max(cpu, seconds)) * 1000,
            "memory": max(self._peak - self._start, 0),
        }


def _all_seconds() -> float:
    """Of all threads, and of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


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
