"""A UDF's code in a worker: loaded with its siblings, called, asked for what its text does not say."""

import importlib
import sys
from collections.abc import Iterator

import pytest

from tileserver.jobs import Describe, Source
from tileserver.signature import parse
from tileserver.worker.process import failure
from tileserver.worker.program import Program, describe, load


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Modules and finders as they were."""
    modules, finders = dict(sys.modules), list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def source(code: str, **headers: str) -> Source:
    udf = parse(code, file="f.py", headers=headers)
    return Source(
        digest=udf.digest, name="f", code=code, entry=udf.entry, headers=headers, path="f.py", fused=udf.fused
    )


def program(code: str, **headers: str) -> Program:
    return load(source(code, **headers))


def test_siblings_are_found_before_what_is_installed() -> None:
    """A module that came with the UDF, whatever else has its name."""
    importlib.import_module("colorsys")  # one that the nursery has loaded already
    loaded = program(
        "import colorsys\nfrom tileserver import udf\n@udf\ndef f(): return colorsys.MINE\n", colorsys="MINE = 5"
    )
    assert loaded.call({}) == 5


def test_coroutines_are_run_to_their_end() -> None:
    """`async def` works."""
    assert program("from tileserver import udf\n@udf\nasync def f(n): return n + 1\n").call({"n": 1}) == 2


def test_a_fused_source_runs_unchanged() -> None:
    """With its types, without an import."""
    loaded = program("@fused.udf\ndef f(bounds: fused.types.Bounds = None): return bounds\n")
    assert loaded.call({}) is None


def test_what_only_running_tells() -> None:
    """Computed options and defaults that are plain data; the others stay with the function."""
    loaded = program(
        "import math, numpy\nfrom tileserver import udf\n"
        "@udf(maxzoom=int(math.sqrt(81)), colormap={n: '#00000' + str(n) for n in range(2)}, timeout=math.inf)\n"
        "def f(a=2 * 3, b=2**70, c=math.inf, d=numpy.float64(1), e=chr(0xD800), g=(1, [2])): ...\n"
    )
    told = describe(loaded, Describe(options=("maxzoom", "colormap", "timeout"), defaults=tuple("abcdeg")))
    assert told.options == {"maxzoom": 9, "colormap": {"0": "#000000", "1": "#000001"}}
    assert told.defaults == {"a": 6, "g": (1, [2])}


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("1 / 0", 4, "ZeroDivisionError: division by zero"),
        ("raise ValueError(chr(0xD800) + 'x')", 4, "ValueError: ?x"),
        ("raise SystemExit(3)", 4, "SystemExit: 3"),
        ("import tileserver; raise tileserver.CallError('\"a\" failed: E: e')", 4, '"a" failed: E: e'),
        ("raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})", 4, "f.E: <exception str() failed>"),
    ],
)
def test_an_exception_is_told_in_its_own_words(code: str, line: int, message: str) -> None:
    """With the UDF's own line, as text that a message carries, whatever it is made of."""
    text = source(f"from tileserver import udf\n@udf\ndef f():\n    {code}\n")
    with pytest.raises(BaseException) as caught:
        load(text).call({})
    told = failure(caught.value, text)
    assert (told.code, told.line, told.message) == ("udf_raised", line, message)
    assert "program.py" not in told.traceback
