"""What a UDF's author imports. The decorator leaves the function as it is, so it can be called and tested."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")


@overload
def udf(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def udf(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def udf(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """The function itself, marked as the entry of its file; `@udf` and `@udf(minzoom=0, ...)` both work.

    The server reads options and signature from the source; at run time they are kept as `function.udf_options`.
    """
    if function is not None:
        function.udf_options = options  # type: ignore[attr-defined]
        return function
    return lambda decorated: _marked(decorated, options)


def _marked(function: Callable[P, R], options: dict[str, Any]) -> Callable[P, R]:
    function.udf_options = options  # type: ignore[attr-defined]
    return function
