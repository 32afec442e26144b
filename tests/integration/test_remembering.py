"""What workers, flights and memories hold of other UDFs' answers: nothing of it outlives what it rests on."""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
from parts import Parts, on_parts

from tileserver.errors import UdfError, UdfRaisedError, UdfTimedOutError
from tileserver.jobs import Call, Caller, Job, Output
from tileserver.layers import Ask

MODULE = """
try:
    VALUE = run("bottom")
except CallError as error:
    VALUE = error.cause

@udf
def top(n: int = 0):
    return [VALUE, n]
"""
HELPER = """
import functools

@functools.cache
def value():
    return run("bottom")

@udf
def top(n: int = 0):
    return [value(), n]
"""
COMPUTED = """
@udf(maxzoom=run("bottom"))
def top():
    return 1
"""


def bottom(value: object) -> str:
    return f"@udf\ndef bottom():\n    return {value}\n"


@pytest.mark.parametrize("code", [MODULE, HELPER])
def test_what_a_module_remembers_goes_stale_too(tmp_path: Path, code: str) -> None:
    """Every answer of a worker rests on its first job's calls, and so does the worker."""

    async def check(parts: Parts) -> None:
        await parts.publish("bottom", bottom(1))
        await parts.publish("top", code)
        for value in (1, 2, 3):
            await parts.publish("bottom", bottom(value))
            assert [await parts.get("top", n=n) for n in range(4)] == [[value, n] for n in range(4)]
            assert [(await parts.answer("top", n=n)).source for n in range(4)] == ["memory"] * 4

    on_parts(tmp_path, check)


def test_a_failed_call_does_not_stay_in_a_worker(tmp_path: Path) -> None:
    """A module that caught it is loaded anew for the next job."""

    async def check(parts: Parts) -> None:
        await parts.publish("top", MODULE)
        assert await parts.get("top") == ["not_found", 0]
        assert (await parts.answer("top")).source == "run"
        await parts.publish("bottom", bottom(1))
        assert [await parts.get("top", n=n) for n in range(2)] == [[1, 0], [1, 1]]
        assert (await parts.answer("top", n=1)).source == "memory"

    on_parts(tmp_path, check)


def test_two_accounts_with_one_text_share_no_answers(tmp_path: Path) -> None:
    """Each module's call reaches its own account's UDF."""

    async def check(parts: Parts) -> None:
        other = parts.add_account("other")
        for account, value in ((parts.account, 1), (other, 2)):
            await parts.publish("bottom", bottom(value), account)
            await parts.publish("top", MODULE, account)
        for n in range(3):
            assert await parts.get("top", n=n) == [1, n]
            assert await parts.get("top", other, n=n) == [2, n]

    on_parts(tmp_path, check)


def test_a_module_calls_while_it_is_described(tmp_path: Path) -> None:
    """Computed options may come from another UDF; where they come from themselves, nobody waits."""

    async def check(parts: Parts) -> None:
        await parts.publish("bottom", bottom(5))
        token = await parts.publish("top", COMPUTED)
        layer = await parts.pipeline.find_layer(Ask(token, "json", 1, "", False))
        assert layer.udf.options.maxzoom == 5
        for name, called in (("top", "other"), ("other", "top")):
            await parts.publish(name, COMPUTED.replace("bottom", called).replace("top()", f"{name}()"))
        with pytest.raises(UdfRaisedError) as caught:
            await parts.get("top")
        assert "calls go in a circle" in caught.value.message

    on_parts(tmp_path, check)


@pytest.mark.parametrize("last", ["return value", "raise ValueError(value)"])
def test_who_comes_after_a_change_takes_no_older_flight(tmp_path: Path, last: str) -> None:
    """It waits for the one that is under way and then flies by itself; who came before gets what that one gives."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    code = f"""
    @udf
    def top():
        value = run("bottom")
        if value == 1:
            open({str(begun)!r}, "w").close()
            open({str(go)!r}).close()
            {last}
        return value
    """

    async def check(parts: Parts) -> None:
        await parts.publish("bottom", bottom(0))
        await parts.publish("top", code)
        await parts.publish("bottom", bottom(1))
        for place in (begun, go):
            os.mkfifo(place)
        first = asyncio.create_task(parts.get("top"))
        await asyncio.to_thread(begun.read_bytes)
        await parts.publish("bottom", bottom(2))
        second = asyncio.create_task(parts.get("top"))
        while 2 not in parts.pipeline._flights._waiters.values():
            await asyncio.sleep(0)
        await asyncio.to_thread(go.write_bytes, b"")
        with contextlib.suppress(UdfError):
            assert await first == 1
        assert await second == 2

    on_parts(tmp_path, check)


def test_a_failure_is_not_told_again_after_a_change(tmp_path: Path) -> None:
    """What failed for its callee's sake works as soon as that is mended."""

    async def check(parts: Parts) -> None:
        await parts.publish("bottom", bottom("1 / 0"))
        await parts.publish("top", "@udf\ndef top():\n    return run('bottom')\n")
        with pytest.raises(UdfRaisedError):
            await parts.get("top")
        await parts.publish("bottom", bottom(1))
        assert await parts.get("top") == 1

    on_parts(tmp_path, check)


@pytest.mark.parametrize("inner", ["time.sleep(1)", "run('inner')"])
def test_a_run_that_was_cut_short_is_not_remembered_as_a_failure(tmp_path: Path, inner: str) -> None:
    """A caller in a hurry says nothing about those with time, also where it is a callee's callee that takes it."""

    async def check(parts: Parts) -> None:
        await parts.publish("inner", "import time\n@udf(cache_max_age=0)\ndef inner():\n    time.sleep(1)\n")
        await parts.publish("slow", f"import time\n@udf(cache_max_age=0)\ndef slow():\n    {inner}\n    return 7\n")
        caller = Caller(account_id=parts.account)
        job = Job(id=1, digest="", tile=None, arguments={}, output=Output(), timeout=9, limit=9, caller=caller)
        call = Call(id=1, job=1, name="slow", arguments={})
        with pytest.raises((UdfTimedOutError, UdfRaisedError)):
            await parts.pipeline.call(call, job, 0.3)
        assert (await parts.pipeline.call(call, job, 20)).body == b"7"

    on_parts(tmp_path, check)


def test_another_accounts_words_stay_there(tmp_path: Path) -> None:
    """Who calls by a shared token is told what every client of it is told; within an account it is the exception."""
    caller = """
    @udf
    def top(name: str):
        try:
            return run(name)
        except CallError as error:
            return [error.cause, str(error)]
    """

    async def check(parts: Parts) -> None:
        token = await parts.publish("bottom", bottom("{}['password']"), parts.add_account("other"))
        await parts.publish("bottom", bottom("{}['password']"))
        await parts.publish("top", caller)
        code, message = await parts.get("top", name="bottom")
        assert (code, "password" in message) == ("udf_raised", True)
        code, message = await parts.get("top", name=token)
        assert (code, "password" in message) == ("udf_raised", False)
        assert UdfRaisedError.sentence in message

    on_parts(tmp_path, check)


def test_layers_of_long_queries_are_not_kept(tmp_path: Path) -> None:
    """Four thousand of them would not fit into memory."""

    async def check(parts: Parts) -> None:
        token = await parts.publish("top", "@udf\ndef top(text: str = ''):\n    return 1\n")
        for length, kept in ((2000, True), (3000, False)):
            ask = Ask(token, "json", 1, f"text={'x' * length}", False)
            assert parts.pipeline.layer(ask) is None
            await parts.pipeline.find_layer(ask)
            assert (parts.pipeline.layer(ask) is not None) == kept

    on_parts(tmp_path, check)


def test_a_probe_that_failed_is_tried_again(tmp_path: Path) -> None:
    """What could be found out is kept meanwhile, and what could not is asked for later."""
    code = f"""
    import pathlib, pandas
    @udf
    def top(n: int = int("3")):
        assert pathlib.Path({str(tmp_path / "flag")!r}).exists()
        return pandas.DataFrame({{"a": [n]}})
    """

    async def check(parts: Parts) -> None:
        settling = parts.pipeline.settling
        token = await parts.publish("top", code)
        grant = await settling.look(token)
        assert parts.pipeline.grants.udf(grant).parameters[0].default == 3
        assert '"fields"' not in (grant.facts or "")
        (tmp_path / "flag").touch()
        assert await settling.look(token) == grant
        settling._failed.clear()  # ten seconds later
        assert '"fields"' in ((await settling.look(token)).facts or "")

    on_parts(tmp_path, check)


@pytest.mark.slow
def test_a_locked_registry_is_nobodys_failure(tmp_path: Path) -> None:
    """What was found out is found out again; who waits for it gets an answer."""

    async def check(parts: Parts) -> None:
        token = await parts.publish("top", "@udf\ndef top():\n    return 1\n")
        grant = await parts.pipeline.grants.of(token)
        learnt = grant.kind
        await parts.pipeline.registry.publications.learn(grant.udf_id, grant.digest, kind=None, facts="{}")
        with contextlib.closing(sqlite3.connect(tmp_path / "registry.sqlite")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            layer = await parts.pipeline.find_layer(Ask(token, "", 1, "", False))
            assert (await parts.pipeline.render(layer, None)).entry.facts.media_type == "application/json"
        parts.pipeline.settling._failed.clear()
        await parts.pipeline.find_layer(Ask(token, "", 1, "", False))
        assert (await parts.pipeline.grants.of(token)).kind == learnt

    on_parts(tmp_path, check)
