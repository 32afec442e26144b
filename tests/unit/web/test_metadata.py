"""`x-fused-metadata`: always small, always ASCII, always JSON."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tileserver.errors import UdfRaisedError, UdfTimedOutError
from tileserver.web import metadata

TEXTS = st.text(max_size=300).flatmap(lambda text: st.integers(1, 300).map(lambda times: text * times))


@given(TEXTS, TEXTS)
def test_the_ends_of_what_was_printed_are_told(stdout: str, stderr: str) -> None:
    """All of it where there is room."""
    header = metadata.ran(stdout, stderr)
    told = json.loads(header)
    assert len(header) <= metadata.LIMIT
    assert header.isascii()
    assert stdout.endswith(told["stdout"])
    assert stderr.endswith(told["stderr"])
    assert (told["stdout"], told["stderr"]) == (stdout, stderr) or len(header) > metadata.LIMIT * 0.8


@given(st.sampled_from(["xyz" * 10_000, "\n" * 20_000]), st.text(max_size=200))
def test_a_flood_leaves_room_for_the_other_stream(flood: str, words: str) -> None:
    """Whichever it is; two floods share the room."""
    for streams in ((flood, words), (words, flood)):
        told = json.loads(metadata.ran(*streams))
        assert words in (told["stdout"], told["stderr"])
    told = json.loads(metadata.ran(flood, flood))
    sizes = [len(json.dumps(told[name])) for name in ("stdout", "stderr")]
    assert min(sizes) > metadata.LIMIT * 0.4


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_the_owner_is_told_what_was_raised(message: str, stdout: str, stderr: str, exception: str) -> None:
    error = UdfRaisedError(message, line=7, streams=(stdout, stderr), exception=exception)
    header = metadata.failed(error, owner=True)
    told = json.loads(header)
    assert len(header) <= metadata.LIMIT
    assert told["lineno"] == 7
    assert (message or str(error)).endswith(told["errormsg"])
    assert stdout.endswith(told["stdout"])
    assert stderr.endswith(told["stderr"])


def test_a_stranger_is_told_a_sentence() -> None:
    error = UdfRaisedError(
        "secret", line=7, printed="secret", streams=("secret",) * 2, exception="SecretError", traceback="secret"
    )
    told = json.loads(metadata.failed(error, owner=False))
    assert told["has_exception"]
    assert told["errormsg"] == str(error)
    assert "ecret" not in json.dumps(told)


def test_a_deadline_has_a_type_of_its_own() -> None:
    for owner in (True, False):
        assert json.loads(metadata.failed(UdfTimedOutError("late"), owner=owner))["error_type"] == "timeout_error"
