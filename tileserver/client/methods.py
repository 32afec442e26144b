"""What both clients are made of: conversations as methods, and the options of their connections."""

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final, TypeVar, get_args

import httpx2

from tileserver.client.exchange import Steps
from tileserver.client.session import Session

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""
_CONNECT_SECONDS: Final = 10.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
M = TypeVar("M", bound=Callable[..., Any])


def like(steps: Callable[..., Steps[Any]], method: M) -> M:
    """The method with the conversation's name, text and parameters; it returns what the conversation ends with."""
    signature = inspect.signature(steps)
    update_wrapper(method, steps)
    result = get_args(signature.return_annotation)[-1]
    method.__signature__ = signature.replace(return_annotation=result)  # type: ignore[attr-defined]
    return method


def options(session: Session, timeout: float) -> dict[str, Any]:
    """What both of httpx2's clients are made with.

    A proxy that the environment names is not asked for this machine itself, and no certificates are loaded where none
    will be looked at. Redirections are not followed: the token is for this server only.
    """
    url = httpx2.URL(session.url)
    return {
        "timeout": httpx2.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        "trust_env": url.host not in _LOOPBACK,
        "verify": url.scheme == "https",
        "follow_redirects": False,
    }
