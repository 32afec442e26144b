"""The decorator, with the options of all versions of the SDK (hosted API, section 3.4)."""

import functools
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar, overload

import msgspec

from tileserver.functioncache.contents import NoContentError
from tileserver.functioncache.identity import key
from tileserver.functioncache.memory import Memory
from tileserver.functioncache.store import Found, Store
from tileserver.udfs import seconds

P = ParamSpec("P")
R = TypeVar("R")
_stores: list[Store] = []
"""Where results are kept: in a worker its account's folder; elsewhere nowhere."""
_memory: Final = Memory()
_STORAGES: Final = {"memory": True, **dict.fromkeys(("auto", "disk", "local", "mount", "object"), False)}
"""What `storage` may be, the hosted API's words too; and whether that is memory."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How results are kept."""

    max_age: int = 48 * 3600
    """Seconds."""
    namespace: str = ""
    lock_timeout: float = 120
    """Seconds to wait for another process that computes the same."""
    reset: bool = False
    """Whether to compute anew."""
    exclude: tuple[str, ...] = ()
    """Parameters that make no difference."""
    verbose: bool = False
    in_memory: bool = False


_MEANINGS: Final = {
    **dict.fromkeys(("max_age", "cache_max_age"), "max_age"),
    "path": "namespace",
    "cache_folder_path": "namespace",
    "concurrent_lock_timeout": "lock_timeout",
    "reset": "reset",
    "cache_reset": "reset",
    **dict.fromkeys(("storage", "cache_storage"), "in_memory"),
    **dict.fromkeys(("key_exclude", "cache_key_exclude"), "exclude"),
    "cache_verbose": "verbose",
}
"""Keywords, and the field of `Options` that each sets."""
_told: Final[set[str]] = set()
"""Functions of which it has been said why their results are not kept."""
_SPENT: Final = (Iterator, AsyncIterator, Awaitable)
"""What can be gone through once: another call must have its own."""
_OF_CALLS: Final = _MEANINGS.keys() - {"max_age", "storage", "key_exclude"}
"""Those that a call may give: the others are no words that only this decorator would use."""


def keep_in(store: Store | None) -> None:
    """Keep results there from now on."""
    _stores[:] = [store] if store else []


def place() -> Store | None:
    """Where results are kept."""
    return _stores[0] if _stores else None


@overload
def cache(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def cache(max_age: str | int | None = None, /, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def cache(function: Any = None, /, **options: Any) -> Any:
    """The function, whose results are kept: for a call with equal arguments it does not run again.

    A result is found again by the function's code, the globals that it refers to, and the arguments by content, arrays
    and data frames too; workers of the account share it. Of a coroutine function what is awaited is kept. A call with
    an argument that has no content, as a connection, just runs; so does one whose result cannot be kept, which standard
    error says once. `@cache` and `@cache(cache_max_age="1h")` both work; a call of the function may give the same
    options for this once, unless the function has a parameter of that name.

    Args:
        max_age, cache_max_age: seconds, or as `"12h"`: how old a result may be; 0 keeps none. 48 hours if not given.
        path, cache_folder_path: results of one name do not serve another.
        concurrent_lock_timeout: seconds to wait where another process computes the same.
        reset, cache_reset: compute anew, and keep that.
        key_exclude, cache_key_exclude: names of parameters that make no difference.
        cache_verbose: print whether a result was found.
        storage, cache_storage: "disk", or "memory": then the same object is given each time, which may be one that
            cannot be written to a file, by this process alone and as long as it lives. The hosted API's other words
            mean "disk".

    Raises:
        TypeError: there is no such option, or no such storage.
    """
    if callable(function):
        return _remembering(function, _chosen(Options(), options))
    if function is not None:  # as `cache("12h")`
        options["cache_max_age"] = function
    chosen = _chosen(Options(), options)
    return lambda decorated: _remembering(decorated, chosen)


def _chosen(options: Options, given: dict[str, Any]) -> Options:
    strange = given.keys() - _MEANINGS
    if strange:
        raise TypeError(f"@cache has no option {min(strange)!r}")
    fields = {_MEANINGS[name]: value for name, value in given.items() if value is not None}
    if "in_memory" in fields:
        fields["in_memory"] = _is_memory(fields["in_memory"])
    if "max_age" in fields:
        fields["max_age"] = seconds(fields["max_age"])
    if "exclude" in fields:
        exclude = fields["exclude"]
        fields["exclude"] = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    return msgspec.structs.replace(options, **fields)


def _is_memory(storage: Any) -> bool:
    try:
        return _STORAGES[storage]
    except (KeyError, TypeError):
        raise TypeError(f"storage is 'disk' or 'memory', and not {storage!r}") from None


def _remembering(function: Callable[P, R], options: Options) -> Callable[P, R]:
    taken = _OF_CALLS - inspect.signature(function).parameters.keys()

    def call(arguments: Any, named: dict[str, Any]) -> _Call:
        given = {name: named.pop(name) for name in taken & named.keys()}
        return _called(function, arguments, named, _chosen(options, given) if given else options)

    @functools.wraps(function)
    def remembering(*arguments: Any, **named: Any) -> Any:
        return _remembered(call(arguments, named))

    @functools.wraps(function)
    async def awaiting(*arguments: Any, **named: Any) -> Any:
        return await _awaited(call(arguments, named))

    return awaiting if inspect.iscoroutinefunction(function) else remembering  # type: ignore[return-value]


class _Call(NamedTuple):
    """A call of a function, and where its result may be."""

    function: Callable[..., Any]
    arguments: Any
    named: dict[str, Any]
    options: Options
    store: Memory | Store | None
    address: str
    """Empty where nothing can be kept."""

    def found(self) -> Found | None:
        """The result, if there is one."""
        if self.store is None or self.options.reset:
            return None
        return self.store.read(self.address, self.options.max_age)

    def run(self) -> Any:
        """What the function returns: of a coroutine's what can be awaited."""
        if self.address:
            _say(self.options, self.function, "runs")
        return self.function(*self.arguments, **self.named)

    def kept(self, result: Any) -> Any:
        """The same, kept if that can be."""
        if isinstance(result, _SPENT):
            _tell(self.function, result, "can be gone through only once")
        elif self.store is not None:
            _tell(self.function, result, self.store.write(self.address, result))
        return result

    def told(self, found: Found) -> Any:
        """The result that was found."""
        _say(self.options, self.function, "was found in the cache")
        return found.value


def _called(function: Callable[..., Any], arguments: Any, named: dict[str, Any], options: Options) -> _Call:
    store = _memory if options.in_memory else place()
    address = _address(function, arguments, named, options) if store is not None and options.max_age else ""
    return _Call(function, arguments, named, options, store, address)


def _remembered(call: _Call) -> Any:
    if call.store is None or not call.address:
        return call.run()
    found = call.found()
    if found is None:
        with call.store.locked(call.address, call.options.lock_timeout):
            found = call.found()  # another process may have computed it meanwhile
            if found is None:
                return call.kept(call.run())
    return call.told(found)


async def _awaited(call: _Call) -> Any:
    if call.store is None or not call.address:
        return await call.run()
    found = call.found()
    if found is None:
        async with call.store.awaited(call.address, call.options.lock_timeout):
            found = call.found()  # as above
            if found is None:
                return call.kept(await call.run())
    return call.told(found)


def _address(function: Callable[..., Any], arguments: Any, named: dict[str, Any], options: Options) -> str:
    """The key; empty where nothing can be kept, with arguments without content."""
    bound = inspect.signature(function).bind(*arguments, **named)
    bound.apply_defaults()
    told = {name: value for name, value in bound.arguments.items() if name not in options.exclude}
    try:
        return key(function, options.namespace, told)
    except NoContentError as error:
        _say(options, function, f"runs: {error}")
        return ""


def _say(options: Options, function: Callable[..., Any], what: str) -> None:
    if options.verbose:
        print(f"{function.__name__} {what}")


def _tell(function: Callable[..., Any], result: Any, why: str) -> None:
    """Say on standard error, once in a process, why results of a function are not kept; nothing where they are."""
    name = f"{function.__module__}.{function.__qualname__}"
    if why and name not in _told:
        _told.add(name)
        print(
            f"@cache does not keep what {function.__name__} returns: this {type(result).__name__} {why}",
            file=sys.stderr,
        )
