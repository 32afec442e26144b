"""What the encoders hand back, and the sentence for a format that they cannot write."""

from typing import Any

import msgspec

from tileserver.formats import FORMATS


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A body before compression."""

    body: bytes
    media_type: str
    format: str = ""
    """Canonical name; empty for a body that the UDF made by itself."""
    empty: bool = False
    authored: bool = False
    facts: dict[str, Any] = {}

    @classmethod
    def of(cls, name: str, body: bytes, *, empty: bool = False, authored: bool = False, **facts: Any) -> "Drawn":
        """A body in the format `name`, with that format's media type."""
        media_type = FORMATS[name].media_type
        return cls(body=body, media_type=media_type, format=name, empty=empty, authored=authored, facts=facts)


def not_possible(what: str, name: str, names: list[str]) -> str:
    """The sentence that says which formats there are instead of `name`."""
    choice = " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
    return f"a {what} result cannot be {name}; ask for {choice}"
