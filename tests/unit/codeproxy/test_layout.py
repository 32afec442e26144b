"""How UDFs are laid out: with `meta.json`, told by the folder's name, a file; and what is none."""

import json
from pathlib import Path

import pytest
from forge import GITHUB, HILLS, PLAIN, SLOPES, Repository, load

from tileserver.codeproxy import Code
from tileserver.codeproxy.folder import FILE_LIMIT
from tileserver.errors import InvalidParameterError, NotFoundError, PublicationError, TileserverError
from tileserver.udfs import digest


def test_a_folder_with_meta_json(repository: Repository) -> None:
    """It names source and headers; what else lies there, or is imported, is none."""
    code = load(repository.mirror, f"{GITHUB}/tree/main/public/hills/")
    headers = {"utils": "import unnamed\ndef shade(x): return x\n"}
    assert code == Code("Hills", HILLS, "udf", headers, digest(HILLS, headers))


@pytest.mark.parametrize("path", ["tree/main/public/slopes", "blob/main/public/slopes/slopes.py"])
def test_a_folder_that_is_told_by_its_name(repository: Repository, path: str) -> None:
    """The file named as the folder, with the modules beside it that it imports, and theirs."""
    code = load(repository.mirror, f"{GITHUB}/{path}")
    assert (code.name, code.code, code.entry) == ("slopes", SLOPES, "slopes")
    assert code.headers == {"tools": "import deeper, slopes\n", "deeper": "x = 1\n", "slopes": SLOPES}


@pytest.mark.parametrize(
    "form", ["github.com/owner/udfs/blob", "github.com/owner/udfs/raw", "raw.githubusercontent.com/owner/udfs"]
)
def test_a_file(repository: Repository, form: str) -> None:
    """By a browser's address, and by raw ones."""
    assert load(repository.mirror, f"https://{form}/v1/layers/plain.py") == Code(
        "plain", PLAIN, "plain", {}, digest(PLAIN, {})
    )


def test_another_file_beside_meta_json(repository: Repository) -> None:
    """It has headers of its own."""
    assert load(repository.mirror, f"{GITHUB}/blob/main/public/hills/other.py").headers == {}


def test_names_that_need_quoting(repository: Repository) -> None:
    """Spaces and letters of other languages."""
    assert load(repository.mirror, f"{GITHUB}/blob/main/My%20layers/%C3%A7a%20va.py").name == "fine"


def described(source: str, *headers: str, **facts: str) -> str:
    """A `meta.json` that names these files."""
    modules = [{"module_name": each.removesuffix(".py"), "source_file": each} for each in headers]
    return json.dumps({"job_config": {"steps": [{"udf": {"source": source, "headers": modules} | facts}]}})


def test_meta_json_says_which_function_is_the_udf(tmp_path: Path) -> None:
    """Where the source has several."""
    code = PLAIN + PLAIN.replace("plain", "other")
    files = {"x/meta.json": described("x.py", entrypoint="other"), "x/x.py": code}
    Repository.made(tmp_path / "owner" / "udfs").commit(files)
    assert load(tmp_path, f"{GITHUB}/tree/main/x") == Code("x", code, "other", {}, digest(code, {}, "other"))


MANY: dict[str, str | bytes] = {f"x/m{number}.py": "" for number in range(60)}


MANY["x/x.py"] = "".join(f"import m{number}\n" for number in range(60)) + PLAIN


REFUSED: list[tuple[dict[str, str | bytes], type[TileserverError], str]] = [
    ({"x/x.py": "#" * (FILE_LIMIT + 1)}, InvalidParameterError, r"'x\.py' has more than 500 kB"),
    (
        {"x/x.py": f"import y\n{PLAIN}", "x/y.py": "#" * (FILE_LIMIT - 10)},
        InvalidParameterError,
        "more than 500 kB together",
    ),
    ({"x/x.py": "def f(): pass\n"}, PublicationError, "no function here is decorated"),
    ({"x/x.py": "def"}, PublicationError, "not Python"),
    ({"x/x.py": b"\xff"}, PublicationError, r"x\.py:1: this is not UTF-8"),
    (MANY, InvalidParameterError, "more than 50 files"),
    ({"x/x.py": "".join(f"import m{number}\n" for number in range(300)) + PLAIN}, InvalidParameterError, "50 files"),
    ({"x/meta.json": described("../../owner/y.py")}, NotFoundError, r"no '\.\./\.\./owner/y\.py' here"),
    ({"x/meta.json": described("y.py\n"), "x/y.py": PLAIN}, NotFoundError, "here"),
    ({"x/meta.json": described("y.py", entrypoint="f"), "x/y.py": PLAIN}, PublicationError, "no function 'f' here"),
    ({"x/meta.json": described("y.py", "u.py"), "x/y.py": PLAIN}, NotFoundError, r"no 'u\.py' here"),
]


@pytest.mark.parametrize(("files", "error", "part"), REFUSED)
def test_what_cannot_be_served(
    tmp_path: Path, files: dict[str, str | bytes], error: type[TileserverError], part: str
) -> None:
    """Too large, too many, no UDF, or named outside of its folder: each with its sentence."""
    Repository.made(tmp_path / "owner" / "udfs").commit(files)
    with pytest.raises(error, match=part):
        load(tmp_path, f"{GITHUB}/tree/main/x")


@pytest.mark.parametrize("meta", ["", "[]", "{", '{"job_config":{"steps":[]}}', '{"source":"y.py"}', "[" * 10_000])
def test_another_programs_meta_json(tmp_path: Path, meta: str) -> None:
    """It is as if it were not there."""
    Repository.made(tmp_path / "owner" / "udfs").commit({"x/meta.json": meta, "x/x.py": PLAIN})
    assert load(tmp_path, f"{GITHUB}/tree/main/x").name == "x"
