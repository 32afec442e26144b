"""Session tokens of a collection, `<id>:<expiry>:<signature>`: good for its token only, and no longer than they say."""

import re
import time
import uuid
from typing import Final

from tileserver.tokens import Keyring

PARAMETER: Final = "fused_session_token"
"""Where a URL has it."""
LONGEST: Final = 86400
"""Seconds (hosted API, section 5)."""
_PURPOSE: Final = "session-token"
_SHAPE: Final = re.compile(r"([0-9a-f]{32}):([1-9][0-9]{0,11}):([A-Za-z0-9_-]{43})", re.ASCII)


def issued(keyring: Keyring, token: str, seconds: int) -> tuple[str, int]:
    """A new one for a collection's token, and when it ends, in seconds since 1970."""
    name, until = uuid.uuid4().hex, int(time.time()) + seconds
    return f"{name}:{until}:{keyring.sign(_PURPOSE, token, name, until)}", until


def is_live(keyring: Keyring, token: str, text: str) -> bool:
    """Whether we issued it for this token, and it has not ended."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return False
    name, until, signature = match[1], int(match[2]), match[3]
    return keyring.has_signed(signature, _PURPOSE, token, name, until) and time.time() < until
