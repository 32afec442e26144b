"""Session tokens of a collection: what we issued, for that token, until it ends."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileserver.tokens import Keyring, mint_collection
from tileserver.web.session_tokens import is_live, issued

KEYRING, TOKEN = Keyring(bytes(32)), mint_collection()


def test_one_that_was_issued() -> None:
    """Good at once; it says when it ends, as the SDK reads it."""
    text, until = issued(KEYRING, TOKEN, 60)
    assert is_live(KEYRING, TOKEN, text)
    assert until == int(text.split(":")[1]) == pytest.approx(time.time() + 60, abs=2)


def test_for_another_token_or_of_another_key() -> None:
    """Nothing."""
    text, _ = issued(KEYRING, TOKEN, 60)
    assert not is_live(KEYRING, mint_collection(), text)
    assert not is_live(Keyring(b"k" * 32), TOKEN, text)


def test_what_has_ended() -> None:
    """From the second on that it says."""
    assert not is_live(KEYRING, TOKEN, issued(KEYRING, TOKEN, 0)[0])


@given(st.data())
def test_a_changed_one(data: st.DataObject) -> None:
    """A letter more, less or other."""
    text, _ = issued(KEYRING, TOKEN, 60)
    place = data.draw(st.integers(0, len(text)))
    letter = data.draw(st.sampled_from(["", "0", "9", "a", "_", ":", "é", "\n"]))
    changed = text[:place] + letter + text[place + data.draw(st.integers(0, 1)) :]
    assert changed == text or not is_live(KEYRING, TOKEN, changed)
