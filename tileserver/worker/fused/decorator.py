"""`@fused.udf`."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from tileserver import authoring

P = ParamSpec("P")
R = TypeVar("R")


@overload
def udf(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def udf(function: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def udf(function: Any = None, /, **options: Any) -> Any:
    """The function itself, marked as a UDF: it can be called, and given to `fused.run` and `fused.submit`.

    Args:
        options: those of all versions of the SDK; what has no meaning on a server is without effect.
    """
    return authoring.udf(**options) if function is None else authoring.udf(function)
