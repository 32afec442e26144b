"""Errors as they go from one process to another, and what becomes of them there."""

from typing import Any

import msgspec

from tileserver.errors import BY_CODE, TileserverError


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An error: its code, its sentence, and its attributes by name."""

    code: str
    sentence: str
    facts: dict[str, Any] = {}


def refusal(error: TileserverError) -> Refused:
    """An error as it travels."""
    facts = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    return Refused(code=error.code, sentence=str(error), facts=facts)


def refused(refusal: Refused) -> TileserverError:
    """The error that travelled, of the same class and with the same attributes."""
    kind = BY_CODE.get(refusal.code, TileserverError)
    error = kind.__new__(kind, refusal.sentence)  # `args` are the sentence; each class's own arguments are in the facts
    for name, value in refusal.facts.items():
        setattr(error, name, tuple(value) if isinstance(value, list) else value)
    return error
