"""`fused.load`: whose code a function may read, and what its answer then rests on."""

from pathlib import Path
from typing import NamedTuple

from parts import Parts, on_parts

from tileserver.errors import ForbiddenError

LOADS = """
from tileserver import CallError
import fused

@fused.udf
def udf(name: str, n: int = 1):
    try:
        return [fused.load(name)(n=n), fused.load(name).SCALE]
    except CallError as error:
        return [error.cause, str(error)]
"""
CHILD = "import fused\nSCALE = {scale}\n@fused.udf\ndef udf(n: int):\n    return n * SCALE\n"
REFUSED = "the token lets you run this UDF, not read its code; its owner can make it public"


def test_loaded_code_is_as_it_is_now(tmp_path: Path) -> None:
    """By name, with its owner's name, and by token; a changed child makes its parent's answers stale."""

    async def check(parts: Parts) -> None:
        await parts.publish("loads", LOADS)
        token = await parts.publish("child", CHILD.format(scale=2))
        names = ("child", "owner@localhost/child", "owner/child", token)
        assert [await parts.get("loads", name=name) for name in names] == [[2, 2]] * 4
        assert (await parts.answer("loads", name="child")).source == "memory"
        await parts.publish("child", CHILD.format(scale=3))
        assert [await parts.get("loads", name=name) for name in names] == [[3, 3]] * 4

    on_parts(tmp_path, check)


def test_a_foreign_token_opens_no_code(tmp_path: Path) -> None:
    """It lets one run the UDF; names of others are not there at all."""

    async def check(parts: Parts) -> None:
        other = parts.add_account("other")
        token = await parts.publish("child", CHILD.format(scale=2), other)
        await parts.publish("loads", LOADS)
        assert await parts.get("loads", name=token) == ["forbidden", f"'{token}': {REFUSED}"]
        for name in ("child", "other@localhost/child", "public/child", "a/b/c", "fsh_" + "x" * 43):
            assert await parts.get("loads", name=name) == ["not_found", f"'{name}': there is no UDF of this name"]
        await parts.publish("runs", "import fused\n@fused.udf\ndef udf(name: str):\n    return fused.run(name, n=4)\n")
        assert await parts.get("runs", name=token) == 8

    on_parts(tmp_path, check)


class Found(NamedTuple):
    """What a code proxy gives."""

    name: str
    code: str
    entry: str
    headers: dict[str, str]


class Shelf:
    """A code proxy that may read one address."""

    async def udf(self, url: str) -> Found:
        """See `loading.CodeProxy`."""
        if url != "https://github.com/a/b/tree/main/c":
            raise ForbiddenError("this server may not read that")
        code = "import utils\nSCALE = 7\ndef helper(n): return utils.plus(n)\ndef main(n): return helper(int(n))\n"
        return Found("c", code, "main", {"utils": "def plus(n): return n + 1\n"})


def test_code_from_elsewhere(tmp_path: Path) -> None:
    """Through the code proxy, in whose hands it is what may be read."""

    async def check(parts: Parts) -> None:
        await parts.publish("loads", LOADS)
        assert await parts.get("loads", name="https://github.com/a/b/tree/main/c", n=4) == [5, 7]
        told = await parts.get("loads", name="https://github.com/other")
        assert told == ["forbidden", "'https://github.com/other': this server may not read that"]

    on_parts(tmp_path, check, Shelf())


def test_a_server_without_a_code_proxy_says_so(tmp_path: Path) -> None:
    """In a sentence."""

    async def check(parts: Parts) -> None:
        await parts.publish("loads", LOADS)
        told = await parts.get("loads", name="https://github.com/a")
        assert told == ["forbidden", "'https://github.com/a': this server fetches no code from other places"]

    on_parts(tmp_path, check)
