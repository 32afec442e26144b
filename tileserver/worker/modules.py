"""Modules out of text: a UDF's own, which hide what is installed, and a loaded one's, which nobody else sees."""

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tileserver.functioncache import HEADERS, TEXT

OWN: Final = "udf:"
"""Before the name of the UDF's module."""


def run(code: str, path: str, module: types.ModuleType, headers: Mapping[str, str]) -> None:
    """Run a text as a module.

    Args:
        path: its file's name in tracebacks.
        headers: the modules that come with it; they and the text stay in the module, for those who want to know on
            what its functions rest.
    """
    linecache.cache[path] = (len(code), None, code.splitlines(keepends=True), path)
    module.__dict__.update({HEADERS: headers, TEXT: code})
    exec(compile(code, path, "exec"), module.__dict__)  # noqa: S102 - this is what a worker is for


class Siblings(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that came with a UDF, before anything installed under the same name."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec where the name is one of ours."""
        if fullname not in self._headers:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in self._headers)
        return importlib.util.spec_from_loader(fullname, self, is_package=is_package)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module's code."""
        name = module.__name__
        run(self._headers[name], f"{name}.py", module, self._headers)


class Scope:
    """The modules of a loaded UDF: its code imports them by name, though others have modules of the same names.

    Python knows them by names that no import can spell, for who looks up the module of a class, as `dataclasses` does.
    """

    def __init__(self, headers: Mapping[str, str], label: str) -> None:
        """Args: label: goes before the modules' names and files, and no other scope has it."""
        self._headers, self._label = headers, label
        self._roots = {name.partition(".")[0] for name in headers}
        self._modules: dict[str, types.ModuleType] = {}
        self._lock = threading.RLock()
        self._builtins = {**vars(builtins), "__import__": self._import}

    def __contains__(self, name: str) -> bool:
        return name in self._headers

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def run(self, name: str, code: str, path: str, given: Mapping[str, Any]) -> types.ModuleType:
        """A module of a code that sees these modules, and the names that it is given."""
        module = self._empty(name, path, given)
        run(code, path, module, self._headers)
        return module

    def _empty(self, name: str, path: str, given: Mapping[str, Any]) -> types.ModuleType:
        module = types.ModuleType(f"{self._label}:{name}")
        module.__dict__.update(given, __file__=path, __builtins__=self._builtins)
        sys.modules[module.__name__] = module
        return module

    def module(self, name: str) -> types.ModuleType:
        """The module of that name, run at the first request; who asks meanwhile in another thread waits.

        Raises:
            ModuleNotFoundError: there is none.
        """
        with self._lock:
            return self._modules[name] if name in self._modules else self._first(name)

    def _first(self, name: str) -> types.ModuleType:
        is_package = any(each.startswith(f"{name}.") for each in self._headers)
        if name not in self._headers and not is_package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        parent, _, last = name.rpartition(".")
        package = self.module(parent) if parent else None
        given = {"__package__": name, "__path__": []} if is_package else {"__package__": parent}
        path = f"{self._label}/{name}.py"
        module = self._modules[name] = self._empty(name, path, given)
        try:
            run(self._headers.get(name, ""), path, module, self._headers)
        except BaseException:
            del self._modules[name], sys.modules[module.__name__]
            raise
        if package is not None:
            setattr(package, last, module)
        return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - as `__import__` has it
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> types.ModuleType:
        full = importlib.util.resolve_name("." * level + name, (globals or {}).get("__package__")) if level else name
        root = full.partition(".")[0]
        if root not in self._roots:
            return builtins.__import__(name, globals, locals, fromlist, level)
        module = self.module(full)
        for each in fromlist or ():
            if f"{full}.{each}" in self._headers:
                self.module(f"{full}.{each}")
        return module if fromlist else self.module(root)


def installed(
    name: str, code: str, path: str, given: Mapping[str, Any], headers: Mapping[str, str]
) -> types.ModuleType:
    """The module of the UDF that this process is for, in `sys.modules` with what it imports.

    A UDF may be called as a library is that it uses, so it has a name there that no import can spell.
    """
    sys.meta_path.insert(0, Siblings(headers))
    for header in headers:  # what the nursery imported under that name is somebody else's
        sys.modules.pop(header, None)
    module = types.ModuleType(f"{OWN}{name}")
    module.__dict__.update(given, __file__=path)
    sys.modules[module.__name__] = module
    run(code, path, module, headers)
    return module
