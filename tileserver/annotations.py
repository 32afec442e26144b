"""Annotations of a UDF's parameters, read from the syntax tree, and the conversion of query text by them.

What the server can convert it converts to a canonical value, plain data that goes into the cache key; richer types
(data frames, geometries) stay text and are converted in the worker.
"""

import ast
import datetime as dt
import math
import re
from typing import Any, Final

import msgspec
import orjson

SCALARS: Final = frozenset({"int", "float", "bool", "str", "datetime", "date", "time", "literal"})
_LISTS: Final = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set"})
_DICTS: Final = frozenset({"dict", "Dict", "Mapping"})
_TRUTHS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}\Z", re.ASCII)
WHOLE: Final = range(-(2**63), 2**64)
"""Whole numbers that MessagePack carries to a worker."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
DEPTH: Final = 50
"""How deep lists and objects of a JSON value may lie in each other."""


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """The type that a parameter is declared to have."""

    name: str = "any"
    """`int`, `float`, `bool`, `str`, `list`, `dict`, `tuple`, `literal`, `datetime`, `date`, `time`, `any`, or the last
    part of another type's name, as `GeoDataFrame`."""
    optional: bool = False
    items: tuple["Annotation", ...] = ()
    """Types of the elements of a list or tuple, or of the values of a dict."""
    choices: tuple[str | int | float | bool, ...] = ()
    """Of `Literal`."""


ANY: Final = Annotation()


def read(node: ast.expr | None) -> Annotation:
    """The annotation that a syntax node spells; `any` where it says nothing that we know."""
    match node:
        case None:
            return ANY
        case ast.Constant(value=str(text)):
            return _read_text(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return Annotation(name=_canonical(name))
        case ast.BinOp(op=ast.BitOr()):
            return _union([node.left, node.right])
        case ast.Subscript():
            return _subscript(node)
        case _:
            return ANY


def of_value(value: object) -> Annotation:
    """The annotation that an unannotated parameter takes from its default (`@udf` only)."""
    name = type(value).__name__
    return Annotation(name=name) if name in {"int", "float", "bool", "str", "list", "dict", "tuple"} else ANY


def _read_text(text: str) -> Annotation:
    try:
        return read(ast.parse(text, mode="eval").body)
    except SyntaxError:
        return ANY


def _canonical(name: str) -> str:
    if name in _LISTS:
        return "tuple" if name.lower() == "tuple" else "list"
    return "dict" if name in _DICTS else "any" if name in {"Any", "object"} else name


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _union(nodes: list[ast.expr]) -> Annotation:
    kept = [node for node in nodes if not (isinstance(node, ast.Constant) and node.value is None)]
    if len(kept) != 1:
        return Annotation(optional=len(kept) < len(nodes))
    return msgspec.structs.replace(read(kept[0]), optional=True)


def _subscript(node: ast.Subscript) -> Annotation:
    name = _last_name(node.value)
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return msgspec.structs.replace(read(inner[0]), optional=True)
    if name == "Union":
        return _union(inner)
    if name == "Literal":
        return Annotation(name="literal", choices=_choices(inner))
    if name == "Annotated":
        return read(inner[0])
    canonical = _canonical(name)
    elements = inner[-1:] if canonical == "dict" else [each for each in inner if not _is_ellipsis(each)]
    return Annotation(name=canonical, items=tuple(read(each) for each in elements))


def _choices(nodes: list[ast.expr]) -> tuple[str | int | float | bool, ...]:
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return tuple(value for value in values if isinstance(value, (str, int, float, bool)) and is_plain(value))


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def canonical(annotation: Annotation, texts: list[str]) -> Any:
    """The canonical value of one or more query values of the same name: plain data, ready for the cache key.

    Raises:
        ValueError: it does not convert; the text says what is expected, without the value.
    """
    text = texts[-1]
    if annotation.optional and text in {"", "null", "None"} and annotation.name != "str":
        return None
    match annotation.name:
        case "list" | "tuple":
            return _sequence(annotation, texts)
        case "dict":
            return _mapping(annotation, text)
        case "any" | "str":
            return text
        case name if name in SCALARS:
            return _scalar(annotation, text)
        case _:
            return text


def _scalar(annotation: Annotation, text: str) -> Any:
    match annotation.name:
        case "int":
            return _integer(text)
        case "float":
            return _float(text)
        case "bool":
            return _bool(text)
        case "literal":
            return _literal(annotation, text)
        case _:
            return _moment(annotation.name, text)


def _integer(text: str) -> int:
    if not _NUMBER.match(text):
        raise ValueError("is not a whole number")
    if int(text) not in WHOLE:
        raise ValueError("is not a whole number of at most 64 bits")
    return int(text)


def _float(text: str) -> float:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value + 0.0  # minus zero and zero share an entry


def _bool(text: str) -> bool:
    try:
        return _TRUTHS[text.lower()]
    except KeyError:
        raise ValueError("is not true, false, 1 or 0") from None


def _literal(annotation: Annotation, text: str) -> str | int | float | bool:
    for choice in annotation.choices:
        if text == str(choice) or (isinstance(choice, bool) and text.lower() == str(choice).lower()):
            return choice
    raise ValueError("is not one of " + ", ".join(str(choice) for choice in annotation.choices))


def _moment(name: str, text: str) -> str:
    """The ISO 8601 text of a datetime, date or time; seconds since 1970 are taken as UTC."""
    try:
        if name == "datetime" and re.fullmatch(r"-?\d{1,12}(\.\d+)?", text, re.ASCII):
            return dt.datetime.fromtimestamp(float(text), dt.UTC).isoformat()
        # A `+` in a query that was not escaped arrives as a blank: 12:00 00:00 means 12:00+00:00.
        return getattr(dt, name).fromisoformat(re.sub(r"(:\d\d(?:\.\d+)?) (?=\d\d:)", r"\1+", text)).isoformat()  # type: ignore[no-any-return]
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"is not an ISO 8601 {name}") from None


def _sequence(annotation: Annotation, texts: list[str]) -> list[Any]:
    values = texts if len(texts) > 1 else _listed(texts[0])
    kinds = annotation.items
    if annotation.name == "tuple" and len(kinds) > 1 and len(kinds) != len(values):
        raise ValueError(f"needs {len(kinds)} values")
    if not kinds:
        return values
    pairs = zip(values, kinds if len(kinds) == len(values) else kinds[:1] * len(values), strict=True)
    return [_element(kind, value) for value, kind in pairs]


def _listed(text: str) -> list[Any]:
    """A JSON array, or values between commas."""
    if text[:1] not in "[{" or not text:
        return text.split(",") if text else []
    value = json_value(text)
    if not isinstance(value, list):
        raise ValueError("is not a list")
    return value


def _element(kind: Annotation, value: Any) -> Any:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if value is None and not kind.optional:
        raise ValueError("holds null")
    if isinstance(value, (list, dict)):
        return value if kind.name in {"any", "list", "dict", "tuple"} else _reject()
    return value if kind.name == "any" else canonical(kind, ["" if value is None else str(value)])


def _reject() -> Any:
    raise ValueError("holds an element of another type")


def _mapping(annotation: Annotation, text: str) -> dict[str, Any]:
    value = json_value(text)
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    kinds = annotation.items
    return {name: _element(kinds[0], each) if kinds else each for name, each in sorted(value.items())}


def json_value(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is none, or nested too deep; the text says which.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError("is not valid JSON") from None
    if is_deeper(value, DEPTH):
        raise ValueError(f"is JSON nested more than {DEPTH} deep")
    return value


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie in each other more than `levels` deep."""
    if not isinstance(value, (list, dict)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return not levels or any(is_deeper(each, levels - 1) for each in inner)


def is_plain(value: object) -> bool:
    """Whether a value can be a default or an option: data that JSON and MessagePack carry unchanged."""
    match value:
        case list() | tuple():
            return all(is_plain(each) for each in value)
        case dict():
            return all(isinstance(name, str) and is_plain(name) and is_plain(each) for name, each in value.items())
        case str():
            return _SURROGATE.search(value) is None
        case None:
            return True
    # by exact type: NumPy's own float is one of Python's too
    return (
        type(value) is bool
        or (type(value) is int and value in WHOLE)
        or (type(value) is float and math.isfinite(value))
    )
