"""What the encoders hand back, and which of the formats that are asked for it is."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tileserver.errors import FormatNotPossibleError
from tileserver.formats import FORMATS


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A body before compression."""

    body: bytes
    media_type: str
    format: str = ""
    """Canonical name; empty for a body that the UDF made by itself."""
    empty: bool = False
    authored: bool = False
    changes: str = ""
    """What features had to be changed for a vector tile; see `Rendered`."""
    facts: dict[str, Any] = {}

    @classmethod
    def of(
        cls, name: str, body: bytes, *, empty: bool = False, authored: bool = False, changes: str = "", **facts: Any
    ) -> "Drawn":
        """A body in the format `name`, with that format's media type."""
        return cls(
            body=body,
            media_type=FORMATS[name].media_type,
            format=name,
            empty=empty,
            authored=authored,
            changes=changes,
            facts=facts,
        )


def chosen(what: str, names: Sequence[str], *ranks: Sequence[str]) -> str:
    """The first of `names` among the formats that suit a result best, else the first among the next best, and so on.

    Raises:
        FormatNotPossibleError: it can be none of them; the sentence says which there are.
    """
    for able in ranks:
        for name in names:
            if name in able:
                return name
    choice = _listed([name for able in ranks for name in able])
    raise FormatNotPossibleError(f"a {what} result cannot be {_listed(names)}; ask for {choice}")


def _listed(names: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
