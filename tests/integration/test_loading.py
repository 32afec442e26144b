"""`fused.load`: whose code a function may read, and what its answer then rests on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import Parts, on_parts
from server import Running, serving

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


ELSEWHERE = """
import fused

@fused.udf
def udf(url: str, n: int = 1):
    there = fused.load(url)
    return [there(n=n), there.utils.plus(0), there.SCALE]
"""
THERE = "import fused\nimport utils\nSCALE = 7\n@fused.udf\ndef udf(n: int):\n    return utils.plus(n)\n"


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that reads code from a folder of clones."""
    folder = tmp_path_factory.mktemp("mirrored")
    clone = folder / "mirror" / "owner" / "udfs"
    (clone / "public" / "there").mkdir(parents=True)
    (clone / "public" / "there" / "there.py").write_text(THERE)
    (clone / "public" / "there" / "utils.py").write_text("def plus(n): return n + 1\n")
    for command in ("init -q", "add -A", "-c user.name=A -c user.email=a@b commit -q -m one"):
        subprocess.run(["git", *command.split()], cwd=clone, check=True)
    (folder / "elsewhere.py").write_text(ELSEWHERE)
    arguments = ("--code-mirror", str(folder / "mirror"))
    with serving(folder / "elsewhere.py", data=folder / "data", arguments=arguments) as running:
        yield running


def test_code_from_github(mirrored: Running) -> None:
    """Through the code proxy, which says what it may read."""
    with mirrored.owner() as owner:
        path = f"/files/{mirrored.token('elsewhere')}.json"
        head = "https://github.com/owner/udfs/tree/HEAD/public/there/"
        assert owner.get(path, params={"url": head, "n": 4}).json() == [5, 1, 7]
        refused = owner.get(path, params={"url": "https://github.com/other/udfs/tree/main/x"})
    assert refused.status_code == 422
    assert "This server may not read github.com/other/udfs" in refused.json()["message"]
