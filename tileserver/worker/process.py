"""A worker: one UDF version for its whole life, one job at a time, over a socket on a high descriptor."""

import os
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tileserver import functioncache
from tileserver.encode import encode
from tileserver.errors import BlockGoneError, CallError, InvalidParameterError, TileserverError, UdfError
from tileserver.frames import REPLY_LIMIT, Assembler, Birth, Message, pack
from tileserver.jobs import Block, Describe, Described, Failed, Job, Output, Rendered, Source
from tileserver.results import Results
from tileserver.tiles import Tile
from tileserver.worker import modules, sandbox, system
from tileserver.worker.baseline import Baseline
from tileserver.worker.binding import bind
from tileserver.worker.blocks import Blocks, Opened, made
from tileserver.worker.calls import Calls
from tileserver.worker.cost import Cost
from tileserver.worker.program import Program, describe, load

_PIECE_BYTES: Final = 2**13
"""Read at once: a job has less, and a larger buffer would be made anew for each."""
_NICE: Final = 10
"""The server answers first."""
_COST: Final = ("id", "wall_ms", "cpu_ms", "runnable_ms", "memory", "leak")
"""What every reply to a job says."""
_TEXT_LIMIT: Final = 64_000
"""Characters of each text about an error."""
T = TypeVar("T")


class WorkerProcess:
    """Lives in a forked child."""

    DESCRIPTORS: Final = 6

    def __init__(self, descriptors: list[int], birth: Birth, spared: frozenset[int]) -> None:
        """Args: spared: descriptors that stay open, of what is not ours."""
        channel, output, errors, results, calls, files = map(system.raised, descriptors)
        system.keep_in_hand()
        os.setsid()
        os.nice(_NICE)
        _redirect(output, errors, spared)
        _enter(birth.scratch)
        system.lock_down(birth.limits.memory, birth.limits.scratch, birth.limits.open_files)
        if birth.read:
            sandbox.confine(birth.read, birth.scratch, *([birth.cache] if birth.cache else []))
        _keep_results(birth)
        self._channel, self._results = socket.socket(fileno=channel), Results(results)
        self._calls, self._blocks = Calls(calls), Blocks(files)
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
            self._results.mark(begun=True)
            if message.block is not None:
                self._blocks.receive(message.block)
            self._reply(self._perform(message))
        elif isinstance(message, Describe):
            self._results.mark(begun=True)
            self._reply(self._describe(message))

    def _reply(self, reply: Rendered | Failed | Described) -> None:
        if os.getpid() != self._pid:  # a child that the function forked, and that came back from it
            os._exit(0)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
        if isinstance(reply, Rendered):
            stored = self._results.put(reply.body)
            self._send(msgspec.structs.replace(reply, body=b"", stored=stored), b"" if stored else reply.body)
        else:
            self._send(reply)

    def _send(self, message: Message, body: bytes = b"") -> None:
        try:
            frame = pack(message, body)
            if len(frame) - len(body) > REPLY_LIMIT:
                raise ValueError("the reply takes more than 4 MB")
        except (ValueError, TypeError, OverflowError, RecursionError) as error:  # as numbers above 64 bits in `facts`
            text = f"the result cannot be described: {_plain(str(error))}"
            cost = {name: getattr(message, name) for name in _COST if hasattr(message, name)}
            frame = pack(Failed(code="bad_result", message=text, **cost))
        self._channel.sendall(frame)

    def _loaded(self) -> Program | Failed:
        if self._program is None:
            assert self._source is not None
            try:
                self._program = load(self._source)
            except BaseException as error:
                self._program = failure(error, self._source)
            self._baseline = Baseline(self._results.descriptor)
        return self._program

    def _perform(self, job: Job) -> Rendered | Failed:
        """The answer with what it cost, the loading of the UDF before the first job left out."""
        self._cost.limit(job.timeout)
        self._calls.job = job
        program = self._loaded()
        self._cost.begin()
        reply = program if isinstance(program, Failed) else self._outcome(program, job)
        self._calls.job = None
        quick = self._cost.is_quick()
        assert self._baseline is not None
        leak = "did not load" if isinstance(program, Failed) else self._baseline.leak(quick=quick)
        return msgspec.structs.replace(reply, id=job.id, leak=leak, **self._cost.noted(quick=quick))

    def _outcome(self, program: Program, job: Job) -> Rendered | Failed:
        assert self._baseline is not None
        self._baseline.restore()
        return self._caught(program, lambda: self._render(program, job))

    def _render(self, program: Program, job: Job) -> Rendered:
        tile = Tile(*job.tile, size=job.output.size) if job.tile else None
        began = time.perf_counter()
        if job.block is None or tile is None:
            result = program.call(bind(program.udf, job.arguments, tile))
        else:
            result = _cut(self._block(program, job, job.block), job.block, tile, job.output)
        called = time.perf_counter()
        rendered = encode(result, job.output, tile, limit=job.limit, sample=job.sample)
        took = time.perf_counter() - called
        return msgspec.structs.replace(rendered, udf_ms=(called - began) * 1000, encode_ms=took * 1000)

    def _block(self, program: Program, job: Job, block: Block) -> Opened:
        opened = self._blocks.get(block)
        if opened is not None:
            return opened
        ancestor = Tile(*block.tile, size=block.size)
        return made(program.call(bind(program.udf, job.arguments, ancestor)), block)

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


def _cut(opened: Opened, block: Block, tile: Tile, output: Output) -> Any:
    """The tile's part of a block; raises BlockGoneError where what is stored cannot be read after all."""
    try:
        return opened.cut(tile, output)
    except (TileserverError, MemoryError):
        raise
    except Exception:
        if block.stored is None:
            raise
        raise BlockGoneError from None


def _redirect(output: int, errors: int, spared: frozenset[int]) -> None:
    """Nothing to read, everything printed into the pipes, and no others below the high ones but those spared."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (errors, 2)):
        os.dup2(source, target)
    for descriptor in system.descriptors() - spared:
        if descriptor > 2:
            os.close(descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115


def _enter(scratch: str) -> None:
    Path(scratch).mkdir(0o700)
    os.chdir(scratch)
    os.environ["TMPDIR"] = scratch
    tempfile.tempdir = None


def _keep_results(birth: Birth) -> None:
    """Where `@cache` and `fused.download` keep what they have: in the account's folder, else as long as the worker."""
    store = functioncache.Store(Path(birth.cache or f"{birth.scratch}/cache"), birth.limits.cache)
    store.tidy()
    functioncache.keep_in(store)


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
        message=_plain(str(error) if isinstance(error, CallError) else "".join(_summary(error)).strip()),
        traceback=_plain("".join(traceback.format_list(frames[-50:]) + _summary(error))[-_TEXT_LIMIT:]),
        line=lines[-1] if lines else None,
        exception=type(error).__name__,
    )


def _plain(text: str) -> str:
    """Without lone surrogates, which no frame carries, and no longer than anybody reads."""
    return text[:_TEXT_LIMIT].encode("utf-8", "replace").decode()


def _summary(error: Any) -> list[str]:
    try:
        return [line[:8000].removeprefix(modules.OWN) for line in traceback.format_exception_only(error)]
    except Exception:  # an exception whose __str__ fails
        return [type(error).__name__]
