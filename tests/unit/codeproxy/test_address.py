"""Addresses: the forms that there are, and nothing else."""

import re
from urllib.parse import quote

import pytest
from forge import GITHUB
from hypothesis import given
from hypothesis import strategies as st

from tileserver.codeproxy.address import Address, is_name, parse
from tileserver.errors import InvalidParameterError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (f"{GITHUB}/tree/main/public/hills", ("main", "public", "hills")),
        (f"{GITHUB}/tree/main/public/hills/", ("main", "public", "hills")),
        (f"{GITHUB}/tree/main", ("main",)),
        (f"{GITHUB}/blob/main/layers/plain.py", ("main", "layers", "plain.py")),
        (f"{GITHUB}/blob/main/layers/plain.py?plain=1#L3-L9", ("main", "layers", "plain.py")),
        (f"{GITHUB}/raw/v1/layers/plain.py", ("v1", "layers", "plain.py")),
        ("https://raw.githubusercontent.com/owner/udfs/main/x.py", ("main", "x.py")),
        ("HTTPS://GitHub.com/owner/udfs/tree/main/x", ("main", "x")),
        (f"{GITHUB}/tree/main/My%20layers", ("main", "My layers")),
        (f"{GITHUB}/tree/main/My layers", ("main", "My layers")),
        (f"{GITHUB}/tree/main/%C3%A7a", ("main", "ça")),
        (f"{GITHUB}/tree/--upload-pack=x/$(id)", ("--upload-pack=x", "$(id)")),
    ],
)
def test_the_forms_of_an_address(url: str, parts: tuple[str, ...]) -> None:
    """Browser's and raw ones, with what browsers append."""
    assert parse(url) == Address("github.com", "owner", "udfs", parts)


@pytest.mark.parametrize(
    ("parts", "file", "name"),
    [
        (("main", "public", "hills"), "", "hills"),
        (("main", "layers", "plain.py"), "plain.py", "layers"),
        (("main",), "", "udfs"),
        (("main", "plain.py"), "plain.py", "udfs"),
        (("old.py",), "", "udfs"),
    ],
)
def test_file_and_folder(parts: tuple[str, ...], file: str, name: str) -> None:
    """A file ends in .py; a folder has its own name, the top that of the repository."""
    address = Address("github.com", "owner", "udfs", parts)
    assert (address.file, address.folder_name) == (file, name)


def test_a_whole_commit_pins() -> None:
    """A branch or a short id does not."""
    urls = [f"{GITHUB}/tree/{ref}/x" for ref in ("a" * 40, "a" * 64, "a" * 39, "main")]
    assert [parse(url).pinned for url in urls] == [True, True, False, False]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hills",
        "owner/udfs",
        GITHUB,
        f"{GITHUB}/",
        f"{GITHUB}/tree",
        f"{GITHUB}/tree/",
        f"{GITHUB}/issues/4",
        f"{GITHUB}/commit/main/x",
        f"{GITHUB}/tree//x",
        f"{GITHUB}/tree/main/../../../etc",
        f"{GITHUB}/tree/main/%2e%2e/x",
        f"{GITHUB}/tree/main/%2e%2e%2fx",
        f"{GITHUB}/tree/main/a%2Fb",
        f"{GITHUB}/tree/main/a%0Ab",
        f"{GITHUB}/tree/main/a%00b",
        f"{GITHUB}/tree/main/a\nb",
        f"{GITHUB}/tree/main/%FF",
        f"{GITHUB}/tree/main/\ud800",
        f"{GITHUB}/tree/main/" + "x" * 256,
        f"{GITHUB}/tree/main/" + "x/" * 2000,
        "http://github.com/owner/udfs/tree/main/x",
        "file:///etc/passwd",
        "https://github.com:8443/owner/udfs/tree/main/x",
        "https://user:secret@github.com/owner/udfs/tree/main/x",
        "https://github.com@evil.example/owner/udfs/tree/main/x",
        "https://[::1]/owner/udfs/tree/main/x",
        "https://github.com/../udfs/tree/main/x",
        "https://github.com/owner/../tree/main/x",
        "https://github.com/--owner/udfs/tree/main/x",
        "https://github.com/owner/u dfs/tree/main/x",
        "https://github.com\\@evil.example/owner/udfs/tree/main/x",
        "ext::sh -c id",
    ],
)
def test_what_is_no_address(url: str) -> None:
    """One sentence that shows what an address looks like, and does not repeat what came."""
    with pytest.raises(InvalidParameterError, match="looks like https://github") as caught:
        parse(url)
    assert caught.value.parameter == "url"
    assert "evil" not in str(caught.value) and "secret" not in str(caught.value)


PIECES = st.sampled_from(
    ["..", ".", "%2e%2e", "%2F", "\\", "\n", "\0", "-c", "--", "@{1}", "^{/x}", ":", "~1", "*", " "]
)
SEGMENTS = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=3).map("".join)
URLS = st.one_of(
    st.text(max_size=80),
    st.builds(
        lambda kind, segments: f"https://github.com/{kind}/{'/'.join(segments)}",
        st.sampled_from(["owner/udfs/tree", "owner/udfs/blob", "owner/udfs/raw", "../..", "owner", "-o/-r/tree"]),
        st.lists(SEGMENTS, max_size=6),
    ),
)


@given(URLS)
def test_nothing_leads_out(url: str) -> None:
    """Whatever comes is refused, or is names that stay where they are looked for."""
    try:
        address = parse(url)
    except InvalidParameterError:
        return
    assert re.fullmatch(r"[\w.-]+", address.host + address.owner + address.repository, re.ASCII)
    assert address.repository not in (".", "..") and not address.owner.startswith(("-", "."))
    assert address.parts and all(map(is_name, address.parts))


@given(st.lists(st.text(min_size=1, max_size=20).filter(is_name), min_size=1, max_size=5))
def test_every_name_can_be_spelled(parts: list[str]) -> None:
    """Quoted as a browser does, it comes back."""
    url = f"{GITHUB}/tree/" + "/".join(quote(each, safe="") for each in parts)
    assert parse(url).parts == tuple(parts)
