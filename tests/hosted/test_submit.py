"""Many runs at once, and functions that call functions (hosted API, section 2.4)."""

import time

from server import Running
from session import Sdk
from versions import only

SQUARES = """
@fused.udf
def squares(n: int = 1):
    import pandas as pd
    return pd.DataFrame({"n": [n], "square": [n * n]})
"""
ODD = """
@fused.udf
def odd(n: int = 1):
    import pandas as pd
    if n % 2 == 0:
        raise ValueError(f"{n} is even")
    return pd.DataFrame({"n": [n]})
"""


def pool(sdk: Sdk) -> str:
    """What has the newest give the runs one by one, as 1.x does; with its own cache it takes no names."""
    return "" if sdk.old else ", collect=False, cache=False"


@only("1.14.2")
def test_an_object_many_times(sdk: Sdk) -> None:
    """Forty runs, up to 32 at once, in the order of their arguments."""
    told = sdk.get(f"{SQUARES}[int(each.square[0]) for each in fused.submit(squares, range(40)).results()]")
    assert told == [n * n for n in range(40)]


@only("2.9.5")
def test_an_object_many_times_in_the_newest(sdk: Sdk) -> None:
    """It collects them into one table by itself."""
    told = sdk.get(f"{SQUARES}fused.submit(squares, list(range(40))).square.tolist()")
    assert told == [n * n for n in range(40)]


@only("1.14.2", "2.9.5")
def test_a_token_many_times(sdk: Sdk, server: Running) -> None:
    """By a list of dicts."""
    call = f"fused.submit(token, [dict(n=n) for n in range(12)]{pool(sdk)}).results()"
    told = sdk.get(f"[int(each.a[0]) for each in {call}]", token=server.token("hello"))
    assert told == list(range(12))


@only("1.14.2", "2.9.5")
def test_some_of_them_fail(sdk: Sdk) -> None:
    """Each by itself, with its own words; the others give what they give."""
    call = f"fused.submit(odd, [dict(n=n) for n in range(6)], max_retry=0{pool(sdk)}).results(return_exceptions=True)"
    told = sdk.get(f"{ODD}[str(each) if isinstance(each, Exception) else int(each.n[0]) for each in {call}]")
    assert told[1::2] == [1, 3, 5]
    assert ["is even" in each for each in told[::2]] == [True, True, True]


@only("1.14.2", "2.9.5")
def test_they_run_at_once(sdk: Sdk, server: Running) -> None:
    """Eight that wait for a second take much less than eight."""
    call = f"fused.submit(token, [dict(seconds=1 + n / 1000) for n in range(8)]{pool(sdk)}).results()"
    began = time.monotonic()
    assert sdk.get(f"len({call})", token=server.token("naps")) == 8
    assert time.monotonic() - began < 6


def test_three_deep(sdk: Sdk, server: Running) -> None:
    """A function that calls itself by name, three times."""
    assert sdk.get("fused.run(token, depth=3).depth.tolist()", token=server.token("chains")) == [3, 2, 1, 0]


def test_too_deep(sdk: Sdk, server: Running) -> None:
    """Six are refused, in words, and nothing hangs."""
    error = sdk.raised("fused.run(token, depth=6, n=1)", token=server.token("chains"))
    assert "deeper than 5" in error.text


def test_who_went_too_deep_is_no_hindrance(sdk: Sdk, server: Running) -> None:
    """What was refused at the end of a long chain is given to a short one."""
    sdk.raised("fused.run(token, depth=6, n=2)", token=server.token("chains"))
    assert sdk.get("fused.run(token, depth=3, n=2).depth.tolist()") == [3, 2, 1, 0]


@only("1.14.2", "2.9.5")
def test_three_deep_from_an_object(sdk: Sdk) -> None:
    """A posted function calls saved ones."""
    told = sdk.get(
        "@fused.udf\n"
        "def above(depth: int = 2):\n"
        "    import fused\n"
        "    return fused.run('chains', depth=depth)\n"
        "fused.run(above, engine='remote').depth.tolist()"
    )
    assert told == [2, 1, 0]


def test_many_from_inside(sdk: Sdk, server: Running) -> None:
    """`fused.submit` in a function."""
    assert sdk.get("fused.run(token, count=6).a.tolist()[::2]", token=server.token("fans")) == list(range(6))


@only("1.14.2", "2.9.5")
def test_what_others_wrote(sdk: Sdk, server: Running) -> None:
    """A function loads another one and calls what is beside it, as public functions do with shared code."""
    (sdk.home / "scales.py").write_text("def tenfold(n):\n    return n * 10\n")
    sdk.get(
        "@fused.udf(headers=[{'module_name': 'utils', 'source_file': 'scales.py'}])\n"
        "def common():\n"
        "    return 1\n"
        "common.to_fused()\n"
        "@fused.udf\n"
        "def uses(n: int = 4):\n"
        "    import fused\n"
        "    import pandas as pd\n"
        "    return pd.DataFrame({'n': [fused.load('common').utils.tenfold(n)]})\n"
    )
    assert sdk.get("int(fused.run(uses, engine='remote').n[0])") == 40
