"""`x-fused-metadata`: always small, always ASCII, always JSON."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tileserver.errors import UdfRaisedError, UdfTimedOutError
from tileserver.web import metadata

TEXTS = st.text(max_size=300).flatmap(lambda text: st.integers(1, 300).map(lambda times: text * times))


@given(TEXTS)
def test_the_end_of_what_was_printed_is_told(printed: str) -> None:
    header = metadata.ran(printed)
    told = json.loads(header)
    assert len(header) <= metadata.LIMIT
    assert header.isascii()
    assert printed.endswith(told["stdout"])
    assert told["stdout"] == printed or len(header) > metadata.LIMIT * 0.8


@given(TEXTS, TEXTS, TEXTS)
def test_the_owner_is_told_what_was_raised(message: str, printed: str, exception: str) -> None:
    error = UdfRaisedError(message, line=7, printed=printed, exception=exception)
    header = metadata.failed(error, owner=True)
    told = json.loads(header)
    assert len(header) <= metadata.LIMIT
    assert told["lineno"] == 7
    assert (message or str(error)).endswith(told["errormsg"])
    assert printed.endswith(told["stdout"])


def test_a_stranger_is_told_a_sentence() -> None:
    error = UdfRaisedError("secret", line=7, printed="secret", exception="SecretError", traceback="secret")
    told = json.loads(metadata.failed(error, owner=False))
    assert told["has_exception"]
    assert told["errormsg"] == str(error)
    assert "ecret" not in json.dumps(told)


def test_a_deadline_has_a_type_of_its_own() -> None:
    for owner in (True, False):
        assert json.loads(metadata.failed(UdfTimedOutError("late"), owner=owner))["error_type"] == "timeout_error"
