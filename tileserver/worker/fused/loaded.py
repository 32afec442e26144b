"""`fused.load`: another UDF's code in this process."""

import asyncio
import functools
import textwrap
import threading
import types
from typing import Any

import msgspec

from tileserver import authoring
from tileserver.jobs import Source
from tileserver.signature import parse
from tileserver.udfs import Udf
from tileserver.worker.modules import Scope


class Loaded:
    """A loaded UDF. Called, or given to `fused.run`, it runs in this process.

    Its attributes are the globals of its source, and by their names the modules that came with it. Its code runs when
    something of it is first wanted; what it imports it sees as if it were alone.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._scope = source, Scope(source.headers, f"{source.name}@{source.digest[:12]}")
        self._run: types.ModuleType | None = None
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """The UDF's."""
        return self._source.name

    @property
    def code(self) -> str:
        """Its source."""
        return self._source.code

    @property
    def utils(self) -> Any:
        """The module `utils` that came with it, else the only one that did, else itself: its functions by name."""
        if "utils" in self._scope:
            return self._scope.module("utils")
        names = list(self._scope)
        return self._scope.module(names[0]) if len(names) == 1 else self

    @functools.cached_property
    def _udf(self) -> Udf:
        """What its text says of it."""
        source = self._source
        return parse(source.code, file=source.path, headers=source.headers, name="loaded", entry=source.entry)

    def _module(self) -> types.ModuleType:
        """Its globals; no property, which would take an AttributeError of the code's for a lack of its own."""
        from tileserver.worker import fused

        source = self._source
        with self._lock:  # threads may want it at once
            if self._run is None:
                given = {"fused": fused} if source.fused else {}
                self._run = self._scope.run(source.name, source.code, source.path, given)
            return self._run

    def _function(self) -> Any:
        """Its entry."""
        return vars(self._module())[self._source.entry]

    def __call__(self, *arguments: Any, **parameters: Any) -> Any:
        """What it returns here; parameters convert as those of a request."""
        from tileserver.worker.fused.runs import run_here

        named = dict(zip((each.name for each in self._udf.parameters), arguments, strict=False))
        return run_here(self, None, named | parameters)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = vars(self._module())
        if name in found:
            return found[name]
        if name in self._scope:
            return self._scope.module(name)
        utils = self.utils
        if utils is not self and hasattr(utils, name):
            return getattr(utils, name)
        raise AttributeError(f"the UDF '{self.name}' has no {name!r}")

    def __repr__(self) -> str:
        return f"<UDF {self.name!r}>"


def load(udf: str, /, **ignored: Any) -> Loaded:
    """The UDF of a name, an `email/name`, a shared token or an address on GitHub, to be run here.

    What was loaded by name or token counts among what the function calls: when it changes, answers that rest on it are
    stale. What comes from GitHub is asked for again by each new process.

    Raises:
        CallError: there is none, or its code may not be read.
    """
    if "\n" in udf:
        return _of_text(textwrap.dedent(udf))
    return _loaded(udf)


async def load_async(udf: str, /, **ignored: Any) -> Loaded:
    """The same, for coroutines."""
    return await asyncio.to_thread(load, udf)


@functools.lru_cache(64)
def _loaded(udf: str) -> Loaded:
    """Once per process: one whose loaded UDFs have changed ends."""
    return Loaded(authoring.fetch(udf))


@functools.lru_cache(64)
def _of_text(code: str) -> Loaded:
    known = parse(code, file="loaded.py")
    source = Source(digest=known.digest, name=known.name, code=code, entry=known.entry, path="loaded.py")
    return Loaded(msgspec.structs.replace(source, fused=known.fused))
