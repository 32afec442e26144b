"""The manual says what is there: every setting, option, address, format and error has its place in it."""

import ast
import re
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from starlette.routing import Route

from tileserver import Client, Tile
from tileserver.errors import BY_CODE
from tileserver.formats import FORMATS
from tileserver.query import LOOKS
from tileserver.settings import PREFIX, Settings
from tileserver.signature import _OPTIONS, parse
from tileserver.udfs import RESERVED
from tileserver.web.app import routes

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "deploy" / "README.md",
    ROOT / "examples" / "README.md",
]


def manual(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def named(text: str) -> set[str]:
    """What stands between backticks, and the words of it."""
    spans = set(re.findall(r"`([^`\n]+)`", text))
    return spans | {word for span in spans for word in re.findall(r"[\w.-]+", span)}


def test_every_setting_has_its_line() -> None:
    """Flag and variable of each, and no line for one that is not there."""
    lines = re.findall(r"\| `--([a-z-]+)` \| `([A-Z_]+)` \|", manual("settings"))
    assert {flag.replace("-", "_") for flag, _ in lines} == set(Settings.model_fields)
    assert all(variable == PREFIX + flag.replace("-", "_").upper() for flag, variable in lines)


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("functions", _OPTIONS),
        ("addresses", {*BY_CODE, *FORMATS, *RESERVED} - {"htm"}),
        ("formats", {*FORMATS} - {"htm"}),
    ],
)
def test_every_name_is_in_the_manual(page: str, names: set[str]) -> None:
    """Options of `@udf`; codes, extensions and reserved names of a query."""
    assert names - named(manual(page)) == set()


def test_what_yields_to_parameters_is_in_the_manual() -> None:
    """All of it: the command line takes these names for `-p` and no others that a UDF has not."""
    [sentence] = re.findall(r"\n\n([^.|]+) yield to a parameter", manual("addresses"))
    assert set(re.findall(r"`(\w+)`", sentence)) == LOOKS
    table = manual("addresses").partition("## Query")[2].partition("\n##")[0]
    names = {re.match(r"\w+", each)[0] for row in re.findall(r"\n\| (`.+?) \|", table) for each in row.split("`")[1::2]}
    assert names <= LOOKS | RESERVED


def test_every_route_is_in_the_manual(tmp_path: Path) -> None:
    """By its path up to the parameter that repeats; what by-slug has of siblings is one line."""
    text = re.sub(r"\[[^\]]*\]", "", manual("addresses"))
    nothing = MagicMock()
    nothing.pipeline.settings.data_dir, nothing.pipeline.settings.workers = tmp_path, 1
    paths = [each.path for each in routes(nothing, nothing, nothing, nothing) if isinstance(each, Route)]
    missing = [path for path in paths if path not in text and "by-slug" not in path]
    assert missing == []


def test_every_method_of_the_client_is_in_the_manual() -> None:
    """Those of its own, by name."""
    methods = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert methods - named(manual("client")) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file of the project."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_pages_is_python(page: Path) -> None:
    """Every block that says so parses."""
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        ast.parse(block)


def test_the_first_function_of_the_manual_draws() -> None:
    """It is a UDF, and gives the squares that it promises."""
    block = re.findall(r"```python\n(.*?)```", manual("functions"), re.DOTALL)[0]
    found = parse(block, file="checkerboard.py")
    scope: dict[str, object] = {}
    exec(block, scope)
    drawn = scope[found.entry](Tile(3, 1, 2))  # type: ignore[operator]
    assert (drawn.shape, drawn.dtype, drawn[0, 0]) == ((256, 256), np.uint8, 230)
