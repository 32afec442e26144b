"""What a source's text says of its UDF: read from the syntax tree, no code runs.

`parse` finds the one decorated function, its options, its parameters and the digest; `imported` what else it needs.
"""

import ast
import re
from pathlib import PurePath
from typing import Any, Final

import msgspec

from tileserver.annotations import is_plain, of_value, read
from tileserver.errors import PublicationError
from tileserver.formats import Kind
from tileserver.udfs import Options, Parameter, Udf, digest, is_reserved, option_value, options_of

CODE_LIMIT: Final = 10**6
"""Characters of a source: a syntax tree takes some 500 times their memory, and seconds in which nothing else runs."""

_OPTIONS: Final = frozenset(Options.__struct_fields__)

_KINDS: Final = {
    **dict.fromkeys(("ndarray", "MaskedArray", "NDArray", "ImageData", "DataArray", "Dataset"), Kind.RASTER),
    **dict.fromkeys(("GeoDataFrame", "GeoSeries"), Kind.VECTOR),
    **dict.fromkeys(("DataFrame",), Kind.TABLE),
    **dict.fromkeys(("str", "Response", "bytes", "dict", "Figure"), Kind.DOCUMENT),
}


def parse(code: str, *, file: str, headers: dict[str, str] | None = None, name: str = "", entry: str = "") -> Udf:
    """The UDF that the text `code` defines.

    Args:
        file: the name that messages and tracebacks show; its stem is the UDF's name unless the option `name=` says
            another.
        headers: sources of the sibling modules by dotted name.
        name: the UDF's name, whatever the source says.
        entry: the name of its function; needed where the source decorates two, or none.

    Raises:
        PublicationError: the text does not parse, has no UDF or two, no function of that name, or an option or
            parameter that cannot be.
    """
    try:
        return _parsed(_tree(code, file), code, file, headers or {}, name, entry)
    except RecursionError:  # the parser stops at a depth of its own, but not always before us
        raise PublicationError("this is nested too deep", file=file, line=1) from None


def imported(code: str) -> set[str]:
    """First parts of the names of modules that a text imports; none where it does not parse."""
    try:
        tree = _tree(code, "")
    except PublicationError:
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module.partition(".")[0]} if node.module else {alias.name for alias in node.names}
    return names


def _parsed(tree: ast.Module, code: str, file: str, headers: dict[str, str], name: str, entry: str) -> Udf:
    marked = _marked(tree)
    function, decorator, fused = _entry(tree, marked, file, entry)
    if function.args.posonlyargs:
        raise PublicationError("parameters before '/' cannot be given by name", file=file, line=function.lineno)
    constants = _constants(tree)
    given, computed = _keywords(decorator, constants, file, fused=fused)
    parameters = tuple(_parameters(function, constants, fused=fused))
    if fused:
        parameters = _fused(parameters, given.pop("default_parameters", None))
    options = options_of(given, file, function.lineno)
    return Udf(
        name=_name(name or options.name or PurePath(file).stem, file, function.lineno),
        digest=digest(code, headers, "" if [each[0] for each in marked] == [function] else function.name),
        entry=function.name,
        line=function.lineno,
        parameters=parameters,
        takes_all=function.args.kwarg is not None,
        options=options,
        doc=_text(ast.get_docstring(function) or ast.get_docstring(tree) or ""),
        kind=options.kind or _annotated_kind(function),
        fused=fused,
        computed=computed,
        warnings=_reserved(parameters, fused=fused, file=file, line=function.lineno),
    )


def _tree(code: str, file: str) -> ast.Module:
    if len(code) > CODE_LIMIT:
        message = f"the source has {len(code)} characters and may have {CODE_LIMIT}; keep its data in files"
        raise PublicationError(message, file=file, line=1)
    try:
        return ast.parse(code)
    except SyntaxError as error:
        raise PublicationError(f"this is not Python: {error.msg}", file=file, line=error.lineno or 1) from None
    except (ValueError, RecursionError, MemoryError):
        raise PublicationError("this is not Python source text", file=file, line=1) from None


def _text(doc: str) -> str:
    """Without lone surrogates, which no answer could carry."""
    return doc.encode("utf-8", "replace").decode()


_Function = ast.FunctionDef | ast.AsyncFunctionDef


_Marked = tuple[_Function, ast.expr | None, bool]
"""A function, its decorator, and whether it is one of `fused`'s."""


def _marked(tree: ast.Module) -> list[_Marked]:
    """The functions that are decorated."""
    spellings = {"udf", "tileserver.udf", "fused.udf"}
    of_fused = {"fused.udf"} | ({"udf"} if _imports_from_fused(tree) else set())
    return [
        (node, decorator, _spelling(decorator) in of_fused)
        for node in tree.body
        if isinstance(node, _Function)
        for decorator in node.decorator_list
        if _spelling(decorator) in spellings
    ]


def _entry(tree: ast.Module, marked: list[_Marked], file: str, entry: str) -> _Marked:
    """The one that is decorated, or that is named: then it need not be."""
    found = [each for each in marked if entry in ("", each[0].name)]
    if not found and entry:
        return _named(tree, file, entry), None, True
    if not found:
        raise PublicationError("no function here is decorated with @udf", file=file, line=1)
    if len(found) > 1:
        names = ", ".join(node.name for node, *_ in found)
        raise PublicationError(f"one file holds one UDF, but this has {names}", file=file, line=found[1][0].lineno)
    return found[0]


def _named(tree: ast.Module, file: str, name: str) -> _Function:
    functions = [node for node in tree.body if isinstance(node, _Function) and node.name == name]
    if not functions:
        raise PublicationError(f"there is no function {name!r} here, which shall be the UDF", file=file, line=1)
    return functions[-1]


def _imports_from_fused(tree: ast.Module) -> bool:
    """Whether `udf` is the one of `from fused import udf`."""
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "fused"]
    return any(each.name == "udf" and not each.asname for node in imports for each in node.names)


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
    """The value of an expression that needs no code to run, and whether it has one."""
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id], True
    try:
        return ast.literal_eval(node), True
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None, False


def _keywords(
    decorator: ast.expr | None, constants: dict[str, Any], file: str, *, fused: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    given: dict[str, Any] = {}
    computed: list[str] = []
    known_names = _OPTIONS | {"default_parameters"} if fused else _OPTIONS
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
        name = keyword.arg or ""
        if name not in known_names:
            if fused:  # instances, regions: what the hosted service has and a server does not
                continue
            raise PublicationError(f"@udf has no option {name!r}", file=file, line=keyword.value.lineno)
        value, known = _literal(keyword.value, constants)
        if known:
            given[name] = option_value(name, value, file, keyword.value.lineno)
        elif name in _OPTIONS:
            computed.append(name)
    return given, tuple(computed)


def _parameters(function: _Function, constants: dict[str, Any], *, fused: bool) -> list[Parameter]:
    spec = function.args
    positional = spec.args
    absent: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults))
    pairs = [
        *zip(positional, [*absent, *spec.defaults], strict=True),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ]
    return [_parameter(arg, default, constants, fused=fused) for arg, default in pairs]


def _parameter(arg: ast.arg, default: ast.expr | None, constants: dict[str, Any], *, fused: bool) -> Parameter:
    value, known = (None, False) if default is None else _literal(default, constants)
    if not is_plain(value):  # stays what only the function itself can say
        value, known = None, False
    annotation = read(arg.annotation)
    if arg.annotation is None and known and not fused:
        annotation = of_value(value)
    if known and value is None:
        annotation = msgspec.structs.replace(annotation, optional=True)
    parameter = Parameter(name=arg.arg, annotation=annotation, required=default is None, computed=default is not None)
    if not known:
        return parameter
    return parameter.defaulting(list(value) if isinstance(value, tuple) else value, fused=fused)


_AREAS: Final = frozenset({"Tile", "TileXYZ", "TileGDF", "ViewportGDF", "Bounds", "Bbox"})
_SPECIAL: Final = frozenset({"context", "output"})
"""Parameters for which the service had objects of its own once (hosted API, section 3.2)."""


def _fused(parameters: tuple[Parameter, ...], defaults: Any) -> tuple[Parameter, ...]:
    """The parameters of a `@fused.udf`, with those marked that take the tile.

    Args:
        defaults: what the decorator's `default_parameters` says.
    """
    areas = _areas(parameters)
    known = {each.name: None for each in parameters if each.required and each.name in _SPECIAL}
    if isinstance(defaults, dict):
        known |= defaults
    return tuple(msgspec.structs.replace(_defaulted(each, known), area=each.name in areas) for each in parameters)


def _defaulted(parameter: Parameter, defaults: dict[str, Any]) -> Parameter:
    if parameter.name not in defaults:
        return parameter
    return parameter.defaulting(defaults[parameter.name], fused=True)


def _areas(parameters: tuple[Parameter, ...]) -> set[str]:
    """Names of those that take the tile: `bounds`, `bbox` and what is so annotated; without any of them the first."""
    areas = {each.name for each in parameters if each.name in ("bounds", "bbox") or each.annotation.name in _AREAS}
    if areas or not parameters:
        return areas
    first = parameters[0]
    open_to_all = first.annotation.name in ("any", "GeoDataFrame") and first.default is None and not first.computed
    return {first.name} if open_to_all and first.name not in (*"xyz", *_SPECIAL) else set()


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
