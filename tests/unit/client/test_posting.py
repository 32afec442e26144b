"""What is pushed, as the hosted API takes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tileserver.client.posting import bodies, body
from tileserver.errors import PublicationError

TEXT = "from tileserver import udf\n\n@udf\ndef shown(n: int = 1):\n    return n\n"


def content(posted: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(posted["udf_body"])
    assert posted["slug"] == found["name"]
    return found


def test_a_file_goes_with_its_modules(tmp_path: Path) -> None:
    """Under the file's name, the option's or the one that is given."""
    (tmp_path / "one.py").write_text("import two\n" + TEXT)
    (tmp_path / "two.py").write_text("x = 1")
    found = content(body(tmp_path / "one.py"))
    assert (found["name"], found["entrypoint"], found["code"]) == ("one", "shown", "import two\n" + TEXT)
    assert found["headers"] == [{"module_name": "two", "source_code": "x = 1", "source_file": "two.py"}]
    assert content(body(str(tmp_path / "one.py"), "other"))["name"] == "other"
    (tmp_path / "one.py").write_text(TEXT.replace("@udf", "@udf(name='said')"))
    assert content(body(tmp_path / "one.py"))["name"] == "said"


def test_a_text_has_the_functions_name() -> None:
    """Or the option's, or the one that is given."""
    assert content(body(TEXT))["name"] == "shown"
    assert content(body(TEXT.replace("@udf", "@udf(name='said')")))["name"] == "said"
    assert content(body(TEXT, "other"))["name"] == "other"


def live(n: int = 2) -> int:
    return n


def test_a_function_has_its_own_name() -> None:
    """And its text."""
    found = content(body(live))
    assert (found["name"], found["entrypoint"]) == ("live", "live")
    assert "@udf\ndef live" in found["code"]


@pytest.mark.parametrize("what", ["no/such.py", "def f(:\n", "x = 1\n"])
def test_what_is_no_udf_is_refused_here(what: str) -> None:
    """Before anything is sent."""
    with pytest.raises(PublicationError):
        body(what)


def test_a_folder_without_its_modules(tmp_path: Path) -> None:
    """Each file that has a UDF; nothing where one cannot be read, or two have one name."""
    (tmp_path / "a.py").write_text("import c\n" + TEXT)
    (tmp_path / "b.py").write_text(TEXT)
    (tmp_path / "c.py").write_text("x = 1")
    assert [each["slug"] for each in bodies(tmp_path)] == ["a", "b"]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.py").write_text(TEXT)
    with pytest.raises(PublicationError, match="has a UDF named 'b' too"):
        bodies(tmp_path)
    (tmp_path / "sub" / "b.py").write_text("x = 1")
    with pytest.raises(PublicationError, match="decorated with @udf"):
        bodies(tmp_path)
