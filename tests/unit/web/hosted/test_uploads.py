"""The file of a form, however the bytes come."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.exceptions import FormParserError

from tileserver.web.hosted.uploads import FormFile

FIELD = b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nfile\r\n'
FILE = b'--b\r\ncontent-disposition: form-data; filename="x"; name="file"\r\nContent-Type: text/x\r\n\r\n%b\r\n'


def parsed(body: bytes, cuts: list[int]) -> FormFile | None:
    """What comes of a body that is cut into pieces; None where it is no form."""
    form, start = FormFile(b"b", target := io.BytesIO()), 0
    try:
        for cut in [*sorted(cut % (len(body) + 1) for cut in cuts), len(body)]:
            form.parser.write(body[start:cut])
            start = cut
    except FormParserError:
        return None
    assert form.size == len(target.getvalue())
    return form


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=5))
def test_a_file_among_fields(content: bytes, cuts: list[int]) -> None:
    """Its bytes and no others, wherever the pieces end."""
    if b"--b" in content:
        return
    form = FormFile(b"b", target := io.BytesIO())
    body, start = FIELD + FILE % content + FIELD + b"--b--\r\n", 0
    for cut in [*sorted(cut % (len(body) + 1) for cut in cuts), len(body)]:
        form.parser.write(body[start:cut])
        start = cut
    assert (target.getvalue(), form.size, form.ended) == (content, len(content), True)


def test_of_two_files_the_first_counts() -> None:
    """The second is passed over."""
    form = FormFile(b"b", target := io.BytesIO())
    form.parser.write(FILE % b"first" + FILE % b"second" + b"--b--\r\n")
    assert target.getvalue() == b"first"


@pytest.mark.parametrize("body", [b"", FIELD, FIELD + b"--b--\r\n", FILE % b"cut", (FILE % b"cut short")[:-4]])
def test_a_form_without_a_whole_file_has_not_ended(body: bytes) -> None:
    """Neither without one, nor where it is cut off."""
    form = parsed(body, [])
    assert form is None or not form.ended


@given(st.binary(max_size=300), st.lists(st.integers(0, 1000), max_size=5))
def test_nonsense_is_no_form(body: bytes, cuts: list[int]) -> None:
    """It is refused, or has no file."""
    form = parsed(body, cuts)
    assert form is None or not form.ended
