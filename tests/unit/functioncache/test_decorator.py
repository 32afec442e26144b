"""`@cache`: what is found again, and what is computed anew."""

import asyncio
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tileserver import functioncache
from tileserver.functioncache.memory import Memory
from tileserver.worker import modules

CODE = """
    from tileserver import cache

    SCALE = 2
    runs = []

    def helper(x):
        return x * SCALE

    @cache
    def f(a, b=1, *rest, **more):
        RUNS.append((a, b))
        return helper(b)
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[functioncache.Store]:
    """An account's folder."""
    store = functioncache.Store(tmp_path / "cache", 10**8)
    functioncache.keep_in(store)
    yield store
    functioncache.keep_in(None)
    sys.modules.pop("made", None)


def made(code: str = CODE, **headers: str) -> tuple[types.ModuleType, list[Any]]:
    """A UDF's module out of text, as another worker would have it too, and what its functions note."""
    module, runs = types.ModuleType("made"), list[Any]()
    sys.modules["made"] = module
    # a class that is not the author's counts by its name, so that what is noted makes no difference
    module.__dict__["RUNS"] = type("Noting", (), {"append": runs.append})
    modules.run(textwrap.dedent(code), "made.py", module, headers)
    return module, runs


def test_equal_calls_run_once() -> None:
    """However the arguments are given, and in another process too."""
    first, runs = made()
    assert first.f(1, 3) == 6
    assert first.f(b=3, a=1) == 6
    second, others = made()
    assert second.f(1, b=3) == 6
    assert (len(runs), len(others)) == (1, 0)
    first.f(1, 3, 4)
    first.f(1, 3, c=4)
    assert len(runs) == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return helper(b)", "return helper(b) + 0"),
        ("return x * SCALE", "return SCALE * x * 1"),
        ("SCALE = 2", "SCALE = 3"),
        ("b=1", "b=2"),
    ],
)
def test_what_it_refers_to_makes_a_difference(old: str, new: str) -> None:
    """Its own code, its defaults, the functions that it calls, and the globals that these refer to."""
    made()[0].f(1)
    assert old in CODE
    changed, runs = made(CODE.replace(old, new))
    changed.f(1)
    assert len(runs) == 1


def test_what_it_does_not_refer_to_makes_none() -> None:
    """Other functions, comments, and where it stands."""
    made()[0].f(1)
    changed, runs = made("\n\n# moved\nOTHER = 1\ndef other(): ...\n" + textwrap.dedent(CODE))
    assert (changed.f(1), runs) == (2, [])


def test_modules_that_it_imports_make_a_difference() -> None:
    """All that came with the UDF, at the top and inside the function."""
    top, inside = "import h\n@cache\ndef f():\n", "@cache\ndef f():\n    import h\n"
    for code in (f"{top}    RUNS.append(h.A)\n", f"{inside}    RUNS.append(h.A)\n"):
        counts = []
        for text in ("A = 1", "A = 1", "A = 2"):
            sys.modules["h"] = types.ModuleType("h")
            modules.run(text, "h.py", sys.modules["h"], {"h": text})
            module, runs = made("from tileserver import cache\n" + code, h=text)
            module.f()
            counts.append(len(runs))
        del sys.modules["h"]
        assert counts == [1, 0, 1]


def test_enclosed_variables_make_a_difference() -> None:
    """An inner function is another one for each value of the outer's variables."""
    code = "from tileserver import cache\ndef outer(n):\n    @cache\n    def f():\n        return n\n    return f()\n"
    module, _ = made(code)
    assert [module.outer(1), module.outer(2), module.outer(1)] == [1, 2, 1]


CLASSES = """
    import enum
    import functools
    from tileserver import cache

    class Base:
        def inherited(self): return 10

    class Made(Base):
        constant = 11
        def method(self): return 12
        @staticmethod
        def static(): return 13
        @classmethod
        def of_class(cls): return 14
        @property
        def property(self): return 15
        @functools.cached_property
        def kept(self): return 16

    class Name(enum.Enum):
        A = 17

    class Called:
        def __call__(self): return 18

    def twice(function):
        @functools.wraps(function)
        def wrapper(): return function() + 19
        return wrapper

    @functools.lru_cache
    def remembered(): return 20

    def added(a): return a + 21

    made, called, bound = Made(), Called(), Made().method
    partial, unnamed = functools.partial(added, 1), functools.partial(lambda a: a + 22, 1)
    wrapped = twice(lambda: 1)
    function = lambda: ({0})

    @cache
    def f(given=None): return {0}
"""


@pytest.mark.parametrize(
    ("used", "old"),
    [
        *(("made.inherited()", "10"), ("Made.constant", "11"), ("made.method()", "12"), ("Made.static()", "13")),
        *(("Made.of_class()", "14"), ("made.property", "15"), ("Made().kept", "16"), ("Name.A.value", "17")),
        *(("called()", "18"), ("wrapped()", "19"), ("remembered()", "20"), ("partial()", "21"), ("unnamed()", "22")),
        ("bound()", "12"),
    ],
)
def test_all_code_that_it_rests_on_makes_a_difference(store: functioncache.Store, used: str, old: str) -> None:
    """Also behind classes, instances, and functions that others have made into objects."""
    code = CLASSES.replace("{0}", used)
    for number in (old, old, "99"):
        changed, _ = made(code.replace(old, number))
        assert changed.f() == changed.function()
    assert len(list(store.folder.glob("[!.]*"))) == 2


def test_what_made_a_connection_makes_a_difference() -> None:
    """It has no content that could be compared, so the text around it counts in its place."""
    code = """
        import sqlite3
        from tileserver import cache
        connection = sqlite3.connect(":memory:")
        @cache
        def f():
            RUNS.append(1)
            return connection.execute("SELECT n FROM t").fetchone()[0]
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    """
    found = []
    for number in ("1", "1", "2"):
        module, runs = made(code.replace("SELECT 1", f"SELECT {number}"))
        found.append((module.f(), len(runs)))
        module.connection.close()
    assert found == [(1, 1), (1, 0), (2, 1)]


@pytest.mark.parametrize(
    ("given", "used", "old"),
    [("Name.A", "given.value", "17"), ("made", "given.method()", "12"), ("[Called()]", "given[0]()", "18")],
)
def test_code_of_arguments_makes_a_difference(given: str, used: str, old: str) -> None:
    """Instances are what their classes' code makes of them."""
    code = CLASSES.replace("function = lambda: ({0})", f"give = lambda: {given}").replace("{0}", used)
    for expected in (old, old, "99"):
        changed, _ = made(code.replace(old, expected))
        assert changed.f(changed.give()) == int(expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(6), np.arange(6).reshape(2, 3)),
        (np.arange(3), np.arange(3, dtype="int32")),
        (np.ma.masked_equal([1, 2], 1), np.ma.masked_equal([1, 2], 2)),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}, index=[5])),
        (pd.Series([1, 2], name="a"), pd.Series([1, 2], name="b")),
        (pd.Index([1, 2]), pd.Series([1, 2])),
        (pd.DataFrame({"a": [{1}]}), pd.DataFrame({"a": [{2}]})),
        (1, True),
        (1, 1.0),
        ((1, 2), [1, 2]),
        (["ab", "c"], ["a", "bc"]),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (Path("a"), "a"),
        (print, len),
    ],
)
def test_arguments_count_by_content(one: Any, other: Any) -> None:
    """What is equal is found again though it is another object, what differs is not."""
    import copy

    module, runs = made()
    module.f(one)
    module.f(copy.deepcopy(one))
    assert len(runs) == 1
    module.f(other)
    assert len(runs) == 2


def test_an_argument_without_content_just_runs() -> None:
    """A lock is not another one's equal, and no reason to fail."""

    module, runs = made()
    assert [module.f(threading.Lock()) for _ in range(2)] == [2, 2]
    assert len(runs) == 2


def test_options_at_a_call_do_not_stick(capsys: pytest.CaptureFixture[str]) -> None:
    """Ages, paths and resets of all versions, in the decorator and for one call."""
    module, runs = made()
    module.f(1)
    module.f(1, reset=True)
    module.f(1, cache_reset=True)
    assert len(runs) == 3
    module.f(1)
    module.f(1, cache_max_age="0s")
    assert len(runs) == 4
    module.f(1, path="elsewhere")
    module.f(1, cache_folder_path="elsewhere", cache_storage="auto", concurrent_lock_timeout=1)
    assert len(runs) == 5
    module.f(1, 2, cache_key_exclude=["b"])
    assert module.f(1, 3, cache_key_exclude=["b"], cache_verbose=True) == 4
    assert len(runs) == 6
    assert "found" in capsys.readouterr().out
    with pytest.raises(TypeError, match="no option 'size'"):
        functioncache.cache(size=1)


UNWRITABLE = """
    import threading

    from tileserver import cache

    @cache(storage="memory", max_age={age!r}, key_exclude="label")
    def f(a, label=""):
        RUNS.append(a)
        return threading.Lock()
"""


def test_memory_gives_the_object_itself() -> None:
    """Also one that no file holds; by content and age as ever, and of each version its own."""
    module, runs = made(UNWRITABLE.format(age="1h"))
    assert module.f([1]) is module.f([1], label="another") is module.f(a=[1])
    assert module.f([2]) is not module.f([1])
    assert runs == [[1], [2]]
    assert module.f([1], cache_reset=True) is module.f([1])
    assert len(runs) == 3
    assert not functioncache.place().folder.exists()  # type: ignore[union-attr]
    module, runs = made(UNWRITABLE.format(age=0))
    assert module.f([1]) is not module.f([1])
    with pytest.raises(TypeError, match="storage is 'disk' or 'memory', and not 'cloud'"):
        functioncache.cache(storage="cloud")


def test_what_is_spent_is_not_kept() -> None:
    """A generator, or what can be awaited: each call has its own."""
    for storage in ("memory", "disk"):
        code = f"from tileserver import cache\n@cache(storage='{storage}')\ndef f(n):\n    yield from range(n)\n"
        module, _ = made(code)
        assert [list(module.f(3)) for _ in range(2)] == [[0, 1, 2]] * 2
    module, _ = made("from tileserver import cache\n@cache(storage='memory')\ndef f():\n    return iter([1])\n")
    assert [next(module.f()) for _ in range(2)] == [1, 1]


COROUTINE = """
    import asyncio

    from tileserver import cache

    @cache(storage="{storage}")
    async def f(n):
        RUNS.append(n)
        await asyncio.sleep(0)
        if n < 0:
            raise ValueError
        return [n]
"""


@pytest.mark.parametrize("storage", ["disk", "memory"])
def test_coroutines_are_awaited_once(storage: str) -> None:
    """Those that ask meanwhile wait beside it; what fails, or is given up, leaves nobody waiting."""
    module, runs = made(COROUTINE.format(storage=storage))
    function: Callable[..., Awaitable[Any]] = module.f

    async def together(*numbers: int) -> list[Any]:
        return await asyncio.gather(*map(function, numbers), return_exceptions=True)

    assert asyncio.run(together(1, 2, 1, 1)) == [[1], [2], [1], [1]]
    assert asyncio.run(together(2, 1)) == [[2], [1]]
    assert runs == [1, 2]
    assert [type(each) for each in asyncio.run(together(-1, -1))] == [ValueError] * 2

    async def given_up() -> Any:
        first = asyncio.ensure_future(function(3))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(function(3))
        first.cancel()
        return await second

    assert asyncio.run(given_up()) == [3]
    assert runs == [1, 2, -1, -1, 3, 3]
    assert asyncio.run(function(3, reset=True)) == [3]  # type: ignore[arg-type]
    assert len(runs) == 7


def test_it_says_once_what_it_cannot_keep(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with the function's name and the reason; the function runs each time."""
    code = """
        import threading
        from tileserver import cache

        @cache
        def locks():
            RUNS.append(0)
            return threading.Lock()

        @cache
        def counts():
            yield 1

        @cache
        def keeps():
            return 1
    """
    module, runs = made(code)
    for _ in range(3):
        module.locks(), module.counts(), module.keeps()
    assert len(runs) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "@cache does not keep what locks returns: this lock cannot be pickled (TypeError)",
        "@cache does not keep what counts returns: this generator can be gone through only once",
    ]


def test_memory_holds_so_many() -> None:
    """Those that were used last."""
    memory = Memory(most=3)
    for key in "abc":
        memory.write(key, key)
    assert memory.read("a", 60) == ("a",)
    memory.write("d", "d")
    assert [memory.read(key, 60) for key in "abcd"] == [("a",), None, ("c",), ("d",)]
    assert memory.read("a", 0) is None


def test_threads_compute_once() -> None:
    """The others wait, and have the same; who waits for too long computes too."""
    memory, computing, go = Memory(), threading.Event(), threading.Event()
    computed = []

    def compute(seconds: float) -> object:
        with memory.locked("key", seconds):
            found = memory.read("key", 60)
            if found is not None:
                return found.value
            computing.set()
            go.wait(20)
            computed.append(object())
            memory.write("key", computed[-1])
            return computed[-1]

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(compute, 20)
        computing.wait(20)
        others = [pool.submit(compute, 20) for _ in range(2)]
        with memory.locked("key", 0.01):
            assert memory.read("key", 60) is None
        go.set()
        assert {id(each.result(20)) for each in (first, *others)} == {id(computed[0])}
    assert len(computed) == 1


def test_a_parameter_of_an_options_name_is_the_functions() -> None:
    """As `path` often is."""
    module, _ = made(
        "from tileserver import cache\n@cache('1h')\ndef f(path, reset=False):\n    return [path, reset]\n"
    )
    assert module.f("a", reset=True) == ["a", True]
    assert module.f(path="b") == ["b", False]


def test_old_results_are_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older than the age that is asked for, by whatever decorator."""
    import time

    module, runs = made()
    module.f(1)
    later = time.time() + 100
    monkeypatch.setattr(time, "time", lambda: later)
    module.f(1, cache_max_age=200)
    assert len(runs) == 1
    module.f(1, cache_max_age="99s")
    assert len(runs) == 2


def test_nothing_is_kept_of_what_failed() -> None:
    """It is tried again."""
    module, runs = made(
        "from tileserver import cache\n@cache\ndef f():\n    RUNS.append(1)\n    return 1 / (len(NOTED) - 1)\n"
    )
    module.NOTED = runs
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            runs.clear()
            module.f()


def test_outside_of_a_worker_it_just_runs() -> None:
    """Nothing is kept anywhere."""
    functioncache.keep_in(None)
    module, runs = made()
    assert [module.f(1), module.f(1)] == [2, 2]
    assert len(runs) == 2


SLOW = """
import sys, types
from pathlib import Path
from tileserver import functioncache
from tileserver.worker import modules

functioncache.keep_in(functioncache.Store(Path(sys.argv[1]), 10**8))
module = types.ModuleType("made")
modules.run('''
import os, time
from tileserver import cache
@cache
def slow(folder):
    with open(folder + "/runs", "a") as file:
        file.write("run\\\\n")
    while not os.path.exists(folder + "/go"):
        time.sleep(0.01)
    return 5
''', "made.py", module, {})
print("ready", flush=True)
print(module.slow(sys.argv[2]))
"""


def test_who_asks_for_the_same_waits_for_it(tmp_path: Path) -> None:
    """Three processes, one run; one that dies meanwhile leaves nobody waiting."""

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", SLOW, str(tmp_path / "cache"), str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    processes = [start() for _ in range(4)]
    runs = tmp_path / "runs"
    while not runs.exists():
        pass
    locks = list((tmp_path / "cache").glob("*.lock"))
    assert len(locks) == 1
    first = processes.pop(next(place for place, each in enumerate(processes) if _computes(each)))
    first.kill()
    first.communicate()
    (tmp_path / "go").touch()
    assert {process.communicate(timeout=20)[0] for process in processes} == {"5\n"}
    assert runs.read_text() == "run\n" * 2


def _computes(process: "subprocess.Popen[str]") -> bool:
    """Whether it holds the lock (proc_locks(5))."""
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(str(process.pid) in words and "->" not in words for words in held)
