"""UDFs: what a source's text says of itself. Read from the syntax tree; no code runs.

The reading order: `parse` finds the one decorated function, its options, its parameters and the digest; `bind` turns a
query into canonical arguments.
"""

import ast
import hashlib
import re
from pathlib import PurePath
from typing import Any, Final

import msgspec

from tileserver.annotations import ANY, Annotation, canonical, of_value, read
from tileserver.errors import InvalidParameterError, PublicationError
from tileserver.formats import Kind

RESERVED: Final = frozenset(
    [
        "cache_max_age",
        "dtype_out_vector",
        "dtype_out_raster",
        "format",
        "profile",
        "fused_cache_disable_stream",
        "fused_session_token",
        "cache_reset",
        "v",
        "scheme",
        "tms",
    ]
)
"""Query names that never reach a UDF, beside all that begin with an underscore (hosted API, section 2.4)."""

INJECTED: Final = frozenset({"tile", "bounds", "bbox", "x", "y", "z"})
"""Names that tile routes fill in, and that nobody can set from outside there."""

_INJECTED_TYPES: Final = {"Tile": "tile", "TileXYZ": "tile", "Bounds": "bounds", "Bbox": "bbox", "TileGDF": "bbox"}
_AGE: Final = re.compile(r"(\d+)([smhd]?)\Z", re.ASCII)
_AGE_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_KINDS: Final = {
    **dict.fromkeys(("ndarray", "MaskedArray", "NDArray", "ImageData", "DataArray", "Dataset"), Kind.RASTER),
    **dict.fromkeys(("GeoDataFrame", "GeoSeries"), Kind.VECTOR),
    **dict.fromkeys(("DataFrame",), Kind.TABLE),
    **dict.fromkeys(("str", "Response", "bytes", "dict", "Figure"), Kind.DOCUMENT),
}
_OPTIONS: Final = frozenset(
    [
        "name",
        "kind",
        "minzoom",
        "maxzoom",
        "bounds",
        "attribution",
        "cache_max_age",
        "stale_while_revalidate",
        "stale_if_error",
        "timeout",
        "memory",
        "rescale",
        "colormap",
        "resampling",
        "background",
        "layer",
        "id_column",
        "max_tile_bytes",
        "buffer",
        "block_zoom",
        "block_size",
        "empty_below",
    ]
)


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that a query may set, or that is injected."""

    name: str
    annotation: Annotation = ANY
    required: bool = True
    default: Any = None
    """Plain data; None where there is none, or where it is computed."""
    computed: bool = False
    """Whether the default is an expression that only running the code would tell."""

    @property
    def injected(self) -> str:
        """`tile`, `bounds`, `bbox`, `x`, `y` or `z` where a tile route fills it in, else empty."""
        return self.name if self.name in INJECTED else _INJECTED_TYPES.get(self.annotation.name, "")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `@udf`; units as in DESIGN's table."""

    name: str = ""
    kind: str | None = None
    minzoom: int = 0
    maxzoom: int = 22
    bounds: tuple[float, float, float, float] | None = None
    attribution: str = ""
    cache_max_age: int = 90 * 86400
    """Seconds."""
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    timeout: float | None = None
    """Seconds; None takes the server's."""
    memory: str | int | None = None
    rescale: tuple[tuple[float, float], ...] | None = None
    colormap: str | None = None
    resampling: str = "nearest"
    background: str = "white"
    layer: str = "udf"
    id_column: str | None = None
    max_tile_bytes: int = 500_000
    buffer: int = 64


class Udf(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF as its source's text describes it."""

    name: str
    digest: str
    """SHA-256, hexadecimal, of the source, the sibling modules and the options in it."""
    entry: str
    line: int = 1
    """Where the entry function begins in the source."""
    parameters: tuple[Parameter, ...]
    takes_all: bool = False
    """Whether it has `**kwargs`."""
    options: Options
    doc: str = ""
    kind: str | None = None
    """From `kind=` or the return annotation; None until a probe has found it."""
    fused: bool = False
    computed: tuple[str, ...] = ()
    """Options that only running the code would tell."""
    warnings: tuple[str, ...] = ()


def parse(code: str, *, file: str, headers: dict[str, str] | None = None) -> Udf:
    """The UDF that the text `code` defines.

    Args:
        file: the name that messages and tracebacks show; its stem is the UDF's name unless `name=` says another.
        headers: sources of the sibling modules by dotted name.

    Raises:
        PublicationError: the text does not parse, has no UDF or two, or an option or parameter that cannot be.
    """
    tree = _tree(code, file)
    function, decorator, fused = _entry(tree, file)
    constants = _constants(tree)
    given, computed = _keywords(decorator, constants, file)
    parameters = tuple(_parameters(function, constants, fused=fused))
    options = _options(given, file, function.lineno)
    return Udf(
        name=_name(options.name or PurePath(file).stem, file, function.lineno),
        digest=digest(code, headers or {}),
        entry=function.name,
        line=function.lineno,
        parameters=parameters,
        takes_all=function.args.kwarg is not None,
        options=options,
        doc=ast.get_docstring(function) or ast.get_docstring(tree) or "",
        kind=options.kind or _annotated_kind(function),
        fused=fused,
        computed=computed,
        warnings=_reserved(parameters, fused=fused, file=file, line=function.lineno),
    )


def digest(code: str, headers: dict[str, str]) -> str:
    """SHA-256 in hexadecimal over the source and its sibling modules, each length-prefixed."""
    total = hashlib.sha256()
    for part in (code, *(text for pair in sorted(headers.items()) for text in pair)):
        raw = part.encode("utf-8", "surrogatepass")
        total.update(b"%d:" % len(raw) + raw)
    return total.hexdigest()


def _tree(code: str, file: str) -> ast.Module:
    try:
        return ast.parse(code)
    except SyntaxError as error:
        raise PublicationError(f"this is not Python: {error.msg}", file=file, line=error.lineno or 1) from None
    except (ValueError, RecursionError, MemoryError):
        raise PublicationError("this is not Python source text", file=file, line=1) from None


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _entry(tree: ast.Module, file: str) -> tuple[_Function, ast.expr, bool]:
    found = [
        (node, decorator, _spelling(decorator) == "fused.udf")
        for node in tree.body
        if isinstance(node, _Function)
        for decorator in node.decorator_list
        if _spelling(decorator) in {"udf", "tileserver.udf", "fused.udf"}
    ]
    if not found:
        raise PublicationError("no function here is decorated with @udf", file=file, line=1)
    if len(found) > 1:
        names = ", ".join(node.name for node, *_ in found)
        raise PublicationError(f"one file holds one UDF, but this has {names}", file=file, line=found[1][0].lineno)
    return found[0]


def _spelling(node: ast.expr) -> str:
    match node:
        case ast.Call(func=func):
            return _spelling(func)
        case ast.Attribute(value=ast.Name(id=root), attr=name):
            return f"{root}.{name}"
        case ast.Name(id=name):
            return name
    return ""


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Module-level names that are assigned one literal."""
    found: dict[str, Any] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(target, ast.Name) and node.value:
            value, known = _literal(node.value, found)
            if known:
                found[target.id] = value
    return found


def _literal(node: ast.expr, constants: dict[str, Any]) -> tuple[Any, bool]:
    """The plain value of an expression, and whether it has one."""
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id], True
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None, False
    return value, _plain(value)


def _plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(each) for each in value)
    if isinstance(value, dict):
        return all(isinstance(name, str) and _plain(each) for name, each in value.items())
    return value is None or isinstance(value, (bool, int, float, str))


def _keywords(decorator: ast.expr, constants: dict[str, Any], file: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    given: dict[str, Any] = {}
    computed: list[str] = []
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
        name = keyword.arg or ""
        if name not in _OPTIONS and not _spelling(decorator).startswith("fused."):
            raise PublicationError(f"@udf has no option {name!r}", file=file, line=keyword.value.lineno)
        value, known = _literal(keyword.value, constants)
        if known:
            given[name] = value
        elif name in _OPTIONS:
            computed.append(name)
    return given, tuple(computed)


def _parameters(function: _Function, constants: dict[str, Any], *, fused: bool) -> list[Parameter]:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    absent: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults))
    pairs = [
        *zip(positional, [*absent, *spec.defaults], strict=True),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ]
    return [_parameter(arg, default, constants, fused=fused) for arg, default in pairs]


def _parameter(arg: ast.arg, default: ast.expr | None, constants: dict[str, Any], *, fused: bool) -> Parameter:
    value, known = (None, False) if default is None else _literal(default, constants)
    annotation = read(arg.annotation)
    if arg.annotation is None and known and not fused:
        annotation = of_value(value)
    if known and value is None:
        annotation = msgspec.structs.replace(annotation, optional=True)
    return Parameter(
        name=arg.arg,
        annotation=annotation,
        required=default is None,
        default=list(value) if isinstance(value, tuple) else value,
        computed=default is not None and not known,
    )


def _options(given: dict[str, Any], file: str, line: int) -> Options:
    plain = {name: value for name, value in given.items() if value is not None and name in Options.__struct_fields__}
    try:
        return _checked(msgspec.convert(_normalised(plain), Options))
    except (msgspec.ValidationError, ValueError) as error:
        raise PublicationError(f"an option of @udf cannot be: {error}", file=file, line=line) from None


def with_computed(udf: Udf, options: dict[str, Any], defaults: dict[str, Any], *, file: str) -> Udf:
    """The UDF completed with what a worker evaluated.

    Raises:
        PublicationError: a computed option cannot be.
    """
    known = {name: value for name, value in msgspec.to_builtins(udf.options).items() if value is not None}
    complete = _options({**known, **options}, file, 1)
    parameters = tuple(
        msgspec.structs.replace(each, default=defaults[each.name], computed=False) if each.name in defaults else each
        for each in udf.parameters
    )
    return msgspec.structs.replace(
        udf, options=complete, parameters=parameters, kind=complete.kind or udf.kind, computed=()
    )


def _normalised(given: dict[str, Any]) -> dict[str, Any]:
    result = dict(given)
    for name in ("cache_max_age", "stale_while_revalidate", "stale_if_error"):
        if name in result:
            result[name] = seconds(result[name])
    rescale = result.get("rescale")
    if rescale and isinstance(rescale[0], (int, float)):
        result["rescale"] = [rescale]
    if isinstance(result.get("colormap"), dict):
        result["colormap"] = msgspec.json.encode(result["colormap"]).decode()
    return result


def _checked(options: Options) -> Options:
    if not 0 <= options.minzoom <= options.maxzoom <= 30:
        raise ValueError("zooms must be 0 <= minzoom <= maxzoom <= 30")
    if options.kind is not None and options.kind not in set(Kind):
        raise ValueError(f"kind is one of {', '.join(Kind)}")
    if options.bounds and not -90 <= options.bounds[1] < options.bounds[3] <= 90:
        raise ValueError("bounds are west, south, east, north in degrees")
    return options


def seconds(age: float | str) -> int:
    """Seconds of `30`, `"30s"`, `"15m"`, `"12h"` or `"1d"`.

    Raises:
        ValueError: anything else.
    """
    match = _AGE.match(str(int(age)) if isinstance(age, (int, float)) else age)
    if not match:
        raise ValueError("an age is a number of seconds, or one with s, m, h or d behind it")
    return int(match[1]) * _AGE_SECONDS[match[2]]


def _name(name: str, file: str, line: int) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise PublicationError(f"{name!r} cannot be a UDF's name: letters, digits, _ . and -", file=file, line=line)
    return name


def _annotated_kind(function: _Function) -> str | None:
    return _KINDS.get(read(function.returns).name)


def _reserved(parameters: tuple[Parameter, ...], *, fused: bool, file: str, line: int) -> tuple[str, ...]:
    taken = [each.name for each in parameters if is_reserved(each.name)]
    if taken and not fused:
        raise PublicationError(
            f"parameter {taken[0]!r} has a name that the server keeps for itself", file=file, line=line
        )
    return tuple(f"parameter {name!r} has a reserved name and keeps its default" for name in taken)


def is_reserved(name: str) -> bool:
    """Whether a query name never reaches a UDF."""
    return name in RESERVED or name.startswith("_")


def bind(udf: Udf, query: dict[str, list[str]], *, tiled: bool) -> dict[str, Any]:
    """Canonical arguments by name, sorted: what the query sets, defaults that the text tells filled in.

    Injected parameters are left out on tile routes; on file routes they are bound like any other.

    Raises:
        InvalidParameterError: a value does not convert, or a required parameter is missing; names the parameter.
    """
    bound: dict[str, Any] = {}
    for each in udf.parameters:
        if (tiled and each.injected) or is_reserved(each.name):
            continue
        if each.name in query:
            bound[each.name] = _bound(each, query[each.name])
        elif not each.required and not each.computed:
            bound[each.name] = each.default
        elif each.required:
            raise _missing(each)
    if udf.takes_all:
        bound |= {name: texts[-1] for name, texts in query.items() if _spare(name, bound, tiled=tiled)}
    return dict(sorted(bound.items()))


def _spare(name: str, bound: dict[str, Any], *, tiled: bool) -> bool:
    return name not in bound and not is_reserved(name) and not (tiled and name in INJECTED)


def _bound(parameter: Parameter, texts: list[str]) -> Any:
    annotation = parameter.annotation
    if parameter.injected:
        annotation = _INJECTED_TEXT.get(parameter.injected, annotation)
    try:
        return canonical(annotation, texts)
    except ValueError as error:
        message = f"Parameter '{parameter.name}' {error}."
        raise InvalidParameterError(message, parameter=parameter.name) from None


_FOUR: Final = Annotation(name="tuple", items=(Annotation(name="float"),) * 4)
_INJECTED_TEXT: Final = {
    "bounds": _FOUR,
    "bbox": _FOUR,
    "tile": Annotation(name="str"),
    **dict.fromkeys("xyz", Annotation(name="int")),
}


def _missing(parameter: Parameter) -> InvalidParameterError:
    hint = " (this UDF draws tiles: use its tile address, or give tile=z/x/y)" if parameter.injected == "tile" else ""
    return InvalidParameterError(f"Parameter '{parameter.name}' is missing{hint}.", parameter=parameter.name)
