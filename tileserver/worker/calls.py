"""A function calls another UDF: the question goes to the server, over a socket of its own, and the answer comes back.

Threads and coroutines of one function may ask at once; a thread that starts with the first question hands out the
answers. A function waits inside `run`, so the server sees that it needs no core meanwhile.
"""

import contextlib
import os
import socket
import threading
from concurrent.futures import Future
from typing import Any, Final

import msgspec

from tileserver import authoring
from tileserver.errors import CallError
from tileserver.frames import CALL_LIMIT, Assembler, pack
from tileserver.jobs import CODE, Called, Job, Source, Wish

_ANSWER_LIMIT: Final = 2**30
"""Bytes of an answer; the server, which sends it, has limits of its own."""


class Calls:
    """The worker's end of the socket for calls."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._pending: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._reader: threading.Thread | None = None
        self.job: Job | None = None
        """On whose behalf `run` asks; without one the server decides, which knows whether the module is just loaded."""
        authoring.connect(self.ask)
        self._pid = os.getpid()

    def ask(self, call: Wish) -> "Future[Any]":
        """What the UDF returns, once it has; or its code, or what is in a file.

        Raises:
            CallError: this is not the function's own process, or the parameters are too large.
        """
        job = self.job
        if os.getpid() != self._pid:
            raise CallError("run() only works while the function runs, in its own process.")
        future: Future[Any] = Future()
        with self._lock:
            self._number += 1
            frame = pack(msgspec.structs.replace(call, id=self._number, job=job.id if job else 0))
            if len(frame) > CALL_LIMIT:
                raise CallError(f"'{call.name}': parameters are at most 1 MB")
            self._pending[self._number] = future
            try:
                self._socket.sendall(frame)
            except OSError:
                raise _unheard() from None
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name="calls", daemon=True)
                self._reader.start()
        return future

    def _read(self) -> None:
        frames = Assembler(_ANSWER_LIMIT)
        with contextlib.suppress(OSError):
            while piece := self._socket.recv(1 << 20):
                for message, body in frames.feed(piece):
                    if isinstance(message, Called):
                        _resolve(self._pending.pop(message.id), message, body)
        with self._lock:  # the server hears no more, as of one that sent it something else
            for future in self._pending.values():
                if future.set_running_or_notify_cancel():
                    future.set_exception(_unheard())


def _unheard() -> CallError:
    return CallError("the server does not answer calls any more")


def _resolve(future: "Future[Any]", answer: Called, body: bytes) -> None:
    from tileserver.encode.exchange import read

    if not future.set_running_or_notify_cancel():  # a coroutine that waits no more
        return
    if answer.code:
        future.set_exception(CallError(answer.message, cause=answer.code))
        return
    try:
        is_code = answer.media_type == CODE
        future.set_result(msgspec.msgpack.decode(body, type=Source) if is_code else read(body, answer.media_type))
    except Exception as error:  # the caller's to handle
        future.set_exception(error)
