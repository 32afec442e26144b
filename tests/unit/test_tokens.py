"""Tokens: minted, found by a keyed MAC, sealed; and the file of the master key."""

import base64
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tileserver.errors import SetupError
from tileserver.tokens import Keyring, mint_collection, mint_private, mint_shared, read_keyring, shape

masters = st.binary(min_size=32, max_size=32)


def test_tokens_have_their_shape_and_never_repeat() -> None:
    """A prefix that secret scanners know, and 256 bits in the alphabet of URLs."""
    shared, private = {mint_shared() for _ in range(200)}, {mint_private() for _ in range(200)}
    assert len(shared) == len(private) == 200
    assert all(re.fullmatch(r"fsh_[\w-]{43}", token, re.ASCII) for token in shared)
    assert all(re.fullmatch(r"fpt_[\w-]{43}", token, re.ASCII) for token in private)
    collections = {mint_collection() for _ in range(200)}
    assert len(collections) == 200
    assert all(re.fullmatch(r"fc_[0-9a-f]{64}", token) for token in collections)


def test_a_token_is_told_by_its_letters() -> None:
    """Prefix, length and alphabet; nothing around it."""
    shared, private = mint_shared(), mint_private()
    assert (shape(shared), shape(private)) == ("shared", "private")
    for other in (
        "",
        shared[:-1],
        shared + "a",
        shared + "\n",
        shared[:-1] + "é",
        shared[:-1] + "/",
        "utk" + shared[3:],
    ):
        assert shape(other) is None


@given(masters, st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.uuids())
def test_what_was_sealed_is_read_again(master: bytes, token: str, row: object) -> None:
    """By another keyring of the same master key, for the same row; two seals of one token differ."""
    ring = Keyring(master)
    sealed = ring.seal(token, str(row))
    assert Keyring(master).unseal(sealed, str(row)) == token
    assert ring.seal(token, str(row)) != sealed


@given(masters, masters, st.text(), st.text())
def test_macs_find_and_do_not_mix(master: bytes, other: bytes, token: str, another: str) -> None:
    """Equal exactly for the same key and the same token, whatever the text is."""
    mac = Keyring(master).mac(token)
    assert len(mac) == 32
    assert (mac == Keyring(master).mac(another)) == (token == another)
    assert (mac == Keyring(other).mac(token)) == (master == other)


@given(masters)
def test_the_keys_are_those_of_hkdf(master: bytes) -> None:
    """RFC 5869 as the cryptography library has it."""
    reference = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"tileserver/key-id").derive(master)
    assert Keyring(master).key_id == reference[:4]


@given(st.data())
def test_a_changed_seal_is_refused(data: st.DataObject) -> None:
    """Any flipped bit, any cut, another row or another key."""
    ring, token = Keyring(bytes(32)), mint_shared()
    sealed = ring.seal(token, "row")
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[at // 8] ^= 1 << at % 8
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for blob, row, keyring in [
        (bytes(flipped), "row", ring),
        (cut, "row", ring),
        (sealed, "another row", ring),
        (sealed, "row", Keyring(b"k" * 32)),
    ]:
        with pytest.raises(ValueError, match="sealed"):
            keyring.unseal(blob, row)


def test_the_key_file_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    """The second reader has the same keys; nothing is left beside the file."""
    place = tmp_path / "master.key"
    assert read_keyring(place).mac("a") == read_keyring(place).mac("a")
    assert place.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """In one line that says what to do."""
    place = tmp_path / "master.key"
    read_keyring(place)
    place.chmod(mode)
    with pytest.raises(SetupError, match="chmod 600") as refusal:
        read_keyring(place)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(bytes(31)), base64.b64encode(bytes(33))])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """It is not replaced: what it held may be wanted back."""
    place = tmp_path / "master.key"
    place.write_bytes(content)
    place.chmod(0o600)
    with pytest.raises(SetupError):
        read_keyring(place)
    assert place.read_bytes() == content


def test_a_key_file_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Here because a file stands where its folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError):
        read_keyring(tmp_path / "file" / "master.key")


@given(masters, st.lists(st.text() | st.integers(), max_size=4), st.lists(st.text() | st.integers(), max_size=4))
def test_a_signature_is_of_its_facts(master: bytes, facts: list[str | int], others: list[str | int]) -> None:
    """And of no others, nor of the same run together; it fits into an address."""
    ring = Keyring(master)
    signature = ring.sign(*facts)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", signature)
    assert Keyring(master).has_signed(signature, *facts)
    assert ring.has_signed(signature, *others) == (facts == others)
    assert not ring.has_signed(signature[:-1] + "é", *facts)
    assert not Keyring(master[::-1] + b"k").has_signed(signature, *facts)
