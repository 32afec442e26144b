"""Tokens: minted at random, found by a keyed MAC, shared ones kept sealed so that their owner may read them again.

The keyring seals and signs what else there is to be sealed and signed.
"""

import base64
import hmac
import json
import os
import re
import secrets
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tileserver.errors import SetupError

SHARED_PREFIX: Final = "fsh_"
COLLECTION_PREFIX: Final = "fc_"
"""The SDK insists on these (hosted API, section 2.3)."""
PRIVATE_PREFIX: Final = "fpt_"
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SHAPE: Final = re.compile(r"(fsh|fpt)_[A-Za-z0-9_-]{43}")


def mint_shared() -> str:
    """A new shared token: `fsh_` and 43 random characters."""
    return SHARED_PREFIX + secrets.token_urlsafe(32)


def mint_collection() -> str:
    """A new token of a collection: `fc_` and 64 random hexadecimal digits; the SDK cuts one at a hyphen."""
    return COLLECTION_PREFIX + secrets.token_hex(32)


def mint_private() -> str:
    """A new private token: `fpt_` and 43 random characters."""
    return PRIVATE_PREFIX + secrets.token_urlsafe(32)


def shape(token: str) -> Literal["shared", "private"] | None:
    """Which sort of token the text could be, by its letters alone; None where it cannot be one."""
    match = _SHAPE.fullmatch(token)
    if match is None:
        return None
    return "shared" if match[1] == "fsh" else "private"


class Keyring:
    """The keys that follow from one master key, each for one purpose."""

    def __init__(self, master: bytes) -> None:
        self._mac_key = _derive(master, b"token-mac")
        self._aead = AESGCM(_derive(master, b"token-seal"))
        self._sign_key = _derive(master, b"sign")
        self.key_id = _derive(master, b"key-id")[:4]
        """Stored before all that is sealed, so that the master key can be changed."""

    def mac(self, token: str) -> bytes:
        """32 bytes that find a token in the registry and tell nothing of it."""
        return hmac.digest(self._mac_key, token.encode("utf-8", "surrogatepass"), "sha256")

    def seal(self, text: str, row: str) -> bytes:
        """The text enciphered for the row of that name (AES-256-GCM)."""
        nonce = os.urandom(_NONCE_BYTES)
        return self.key_id + nonce + self._aead.encrypt(nonce, text.encode(), row.encode())

    def has_sealed(self, sealed: bytes) -> bool:
        """Whether it was sealed with this key, by what it says."""
        return sealed[: len(self.key_id)] == self.key_id

    def unseal(self, sealed: bytes, row: str) -> str:
        """The text again.

        Raises:
            ValueError: another key, another row, or bytes that were changed.
        """
        nonce, box = sealed[4 : 4 + _NONCE_BYTES], sealed[4 + _NONCE_BYTES :]
        if not self.has_sealed(sealed):
            raise ValueError("this was sealed with another key")
        try:
            return self._aead.decrypt(nonce, box, row.encode()).decode()
        except (InvalidTag, ValueError):  # the second where even the nonce was cut
            raise ValueError("what was sealed was changed") from None

    def sign(self, *facts: str | int) -> str:
        """43 characters, fit for a URL, that only this key makes of these facts (HMAC-SHA-256)."""
        digest = hmac.digest(self._sign_key, json.dumps(facts).encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def has_signed(self, signature: str, *facts: str | int) -> bool:
        """Whether it is the signature of these facts."""
        return hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), self.sign(*facts).encode())


def _derive(master: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA-256 with one block (RFC 5869): an empty salt, the purpose as info."""
    extracted = hmac.digest(bytes(32), master, "sha256")
    return hmac.digest(extracted, b"tileserver/" + purpose + b"\x01", "sha256")


def read_keyring(place: Path) -> Keyring:
    """The keyring of the master key in a file, which is made where it is missing (0600).

    Raises:
        SetupError: the file cannot be read or made, is readable by others, or holds no key.
    """
    try:
        if not place.exists():
            _make_key(place)
        if place.stat().st_mode & 0o077:
            raise SetupError(f"the key file {place} is readable by others; run: chmod 600 {place}")
        master = base64.b64decode(place.read_bytes(), validate=True)
    except (OSError, ValueError) as error:
        raise SetupError(f"the key file {place} cannot be used: {error}") from None
    if len(master) != KEY_BYTES:
        raise SetupError(f"the key file {place} holds no key of {KEY_BYTES} bytes")
    return Keyring(master)


def _make_key(place: Path) -> None:
    """Written aside and linked, so that two servers that start at once agree on one."""
    aside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, place)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
