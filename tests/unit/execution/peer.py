"""One of several processes on a data directory: asked on standard input, answers on its output, a line of JSON each.

python peer.py DATA_DIR
"""

import asyncio
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import tileserver

if "--another-version" in sys.argv:
    tileserver.__version__ = "0.0.9"

from pools import run

from tileserver.errors import TileserverError
from tileserver.execution import LocalExecutor, SharedExecutor
from tileserver.frames import Limits

LIMITS = Limits(memory=10**9, scratch=10**8, tasks=64)


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def answer(executor: SharedExecutor, number: int, request: dict[str, Any]) -> None:
    """Run a UDF and say what came of it."""
    try:
        rendered = await run(executor, request.pop("name"), limit=10**8, **request)
    except asyncio.CancelledError:
        say(answer=number, cancelled=True)
    except TileserverError as error:
        say(answer=number, error=type(error).__name__, sentence=str(error), facts=vars(error))
    except Exception as error:
        say(answer=number, error=repr(error))
    else:
        body = gzip.decompress(rendered.body) if rendered.coding else rendered.body
        text = {"text": bytes(body).decode()} if len(body) < 10_000 else {}
        say(answer=number, length=len(body), end=bytes(body[-1:]).decode(), printed=rendered.printed, **text)


async def main(folder: Path) -> None:
    """Serve standard input until it ends."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    hold = next((float(each.removeprefix("--hold=")) for each in sys.argv if each.startswith("--hold=")), 10.0)

    def make() -> LocalExecutor:
        list(scratch.iterdir())  # as the server does, which fails where the folder has gone
        return LocalExecutor(workers=2, limits=LIMITS, environment={}, scratch=scratch)

    executor = SharedExecutor(folder, make, hold=hold)
    try:
        await executor.start()
    except TileserverError as error:
        say(refused=str(error))
        return
    say(started=True, here=executor.stats().here)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks: dict[int, asyncio.Task[None]] = {}
    while line := await lines.readline():
        request = json.loads(line)
        number = request.pop("number")
        if "cancel" in request:
            tasks[request["cancel"]].cancel()
        elif "stats" in request:
            stats = executor.stats()
            say(answer=number, **{name: getattr(stats, name) for name in stats.__struct_fields__})
        else:
            tasks[number] = asyncio.create_task(answer(executor, number, request))
    await executor.close()
    await asyncio.gather(*tasks.values())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
