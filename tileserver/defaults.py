"""Defaults as the same values would be if they were given: one layer, however a parameter came to its value."""

from typing import Any, Final

from tileserver.annotations import Annotation, canonical

_MOMENTS: Final = frozenset({"datetime", "date", "time"})


def fitted(annotation: Annotation, default: Any) -> Any:
    """The canonical value of a default that equals it, as 1.0 of a `float` for 1; itself where there is none.

    So what does not fit the annotation stays as it is, as text of an `int`, or None.
    """
    if isinstance(default, list) and annotation.name in ("list", "tuple"):
        kinds = annotation.items
        kinds = kinds if len(kinds) == len(default) else kinds[:1] * len(default)
        return [fitted(kind, each) for kind, each in zip(kinds, default, strict=True)] if kinds else default
    if isinstance(default, dict) and annotation.name == "dict" and annotation.items:
        return {name: fitted(annotation.items[0], each) for name, each in default.items()}
    try:
        given = canonical(annotation, [str(default)])
    except ValueError:
        return default
    same = given == default or (isinstance(default, str) and annotation.name in _MOMENTS)
    return given if same else default
