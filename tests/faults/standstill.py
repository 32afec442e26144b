"""When the machine itself stood still, for whatever reason, so that no server on it could have answered.

A virtual machine does not own all of its memory: what it has not touched lately its host takes back, and gives again
page by page. A process that writes gigabytes makes every process of that machine wait for it, up to a quarter of a
second, whoever runs it and at whatever priority: `dd` beside an idle server does the same. Such times are found by
what one small computation costs in processor time, which neither load nor scheduling change.

As a program it prints begin and end of each such time on one processor; `Standstills` starts one on each.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from typing import Final, Self

from load import Answer

BEAT: Final = 0.01
"""Seconds from one computation to the next."""
SLOW: Final = 10
"""Times the median; what was seen is below 2.5 or above 30."""
MARGIN: Final = 0.05
"""Seconds before and after a slow beat that belong to it."""


class Standstills:
    """Looks on, until the end of the block."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        """Begin and end of each, by time.monotonic()."""
        command = [sys.executable, __file__]
        self._processes = [
            subprocess.Popen([*command, str(each)], stdout=subprocess.PIPE, text=True)
            for each in sorted(os.sched_getaffinity(0))
        ]
        self._readers = [threading.Thread(target=self._read, args=(each,)) for each in self._processes]

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.times.append(tuple(json.loads(line)))

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process, reader in zip(self._processes, self._readers, strict=True):
            process.kill()
            process.wait()
            reader.join()
            assert process.stdout is not None
            process.stdout.close()

    def spared(self, answers: list[Answer]) -> list[Answer]:
        """The answers that were not under way at such a time."""
        return [each for each in answers if not self._holds(each.sent, each.sent + each.seconds)]

    def _holds(self, begin: float, end: float) -> bool:
        return any(start - MARGIN < end and begin < stop + MARGIN for start, stop in self.times)


def _main(processor: int) -> None:
    os.sched_setaffinity(0, {processor})
    pages = memoryview(bytearray(2**23))[::4096]
    usual = statistics.median(_beat(pages)[2] for _ in range(100))
    while True:
        begin, end, cost = _beat(pages)
        if cost > SLOW * usual:
            print(json.dumps([begin, end]), flush=True)


def _beat(pages: memoryview) -> tuple[float, float, float]:
    """Begin, end and processor seconds of a computation that touches eight megabytes' pages."""
    time.sleep(BEAT)
    begin, spent = time.monotonic(), time.thread_time()
    pages.tobytes()
    return begin, time.monotonic(), time.thread_time() - spent


if __name__ == "__main__":
    _main(int(sys.argv[1]))
