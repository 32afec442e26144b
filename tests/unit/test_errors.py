"""The tree of errors: codes are unique and all have a status."""

from tileserver.errors import BY_CODE, TileserverError, UdfRaisedError, leaves
from tileserver.web.answers import HOSTED_STATUS, STATUS, error_body


def test_every_code_is_unique_and_has_a_status() -> None:
    """Nobody can add an error that the web layer does not know."""
    codes = [error.code for error in leaves()]
    assert len(codes) == len(set(codes))
    assert set(BY_CODE) == set(STATUS) == set(HOSTED_STATUS)


def test_every_error_speaks_one_sentence() -> None:
    """Without a message, an error says its code's sentence."""
    for error in leaves():
        if error.sentence is not TileserverError.sentence:
            assert error.sentence.endswith(".")


def test_a_stranger_does_not_read_what_the_function_said() -> None:
    """The facts of a failed run are in the owner's body only."""
    error = UdfRaisedError("KeyError: 'secret'", traceback="secret", printed="secret", line=3)
    assert "secret" not in str(error_body(error, owner=False))
    assert error_body(error, owner=True)["line"] == 3
