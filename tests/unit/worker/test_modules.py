"""Modules of a loaded UDF: seen by its own code only."""

import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from tileserver.worker.modules import Scope


def loaded(code: str, **headers: str) -> types.ModuleType:
    modules = {name.replace("__", "."): text for name, text in headers.items()}
    return Scope(modules, f"made@{len(sys.modules)}").run("made", code, "made.py", {})


def test_two_have_modules_of_one_name() -> None:
    """Each finds its own, at the top and inside functions, and nobody else finds either."""
    code = "import utils\ndef f():\n    from utils import A\n    return A, utils.A\n"
    one, other = loaded(code, utils="A = 1"), loaded(code, utils="A = 2")
    assert (one.f(), other.f()) == ((1, 1), (2, 2))
    assert "utils" not in sys.modules


def test_modules_import_each_other() -> None:
    """In a circle, relatively, and as parts of a package; each runs once."""
    made = loaded(
        "import pkg.a\nfrom pkg import b\nimport c, json\nfrom json import dumps\n"
        "RESULT = [pkg.a.A, b.B, c.C, pkg.b is b]\n",
        pkg__a="from . import b\nfrom .b import B\nA = B + 1\n",
        pkg__b="import c\nB = c.C + 1\nRUNS = [1]\n",
        c="import pkg\nC = 1\n",
    )
    assert made.RESULT == [3, 2, 1, True]
    assert made.json.__name__ == "json"


def test_threads_see_whole_modules() -> None:
    """Who comes while another runs a module waits for its end."""
    made = loaded("def f(_):\n    import a\n    return a.A\n", a="import time\ntime.sleep(0.2)\nA = 1\n")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(made.f, range(4))) == [1] * 4


def test_a_module_that_fails_is_tried_again() -> None:
    """And one that is not there is said to be missing."""
    made = loaded("def f():\n    import a\n", a="import time\nraise ValueError(time)")
    for _ in range(2):
        with pytest.raises(ValueError, match="module 'time'"):
            made.f()
    with pytest.raises(ModuleNotFoundError, match=r"a\.b"):
        exec("import a.b", vars(made))


def test_a_udf_may_be_called_as_a_library() -> None:
    """Which it imports all the same; in a process of its own, as it changes what is imported."""
    code = "import colorsys\nA = colorsys.rgb_to_hsv\nclass B: ...\n"
    given = f"('colorsys', {code!r}, 'colorsys.py', {{}}, {{}})"
    check = "print(made.A(1, 0, 0), pickle.loads(pickle.dumps(made.B)) is made.B)"
    lines = ("import pickle", "from tileserver.worker import modules", f"made = modules.installed{given}", check)
    command = [sys.executable, "-c", "\n".join(lines)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "(0.0, 1.0, 1) True\n"
