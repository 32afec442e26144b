"""Values by what they hold: equal ones have equal digests, in every process."""

import datetime as dt
import decimal
import hashlib
import io
import pickle
import uuid
from collections.abc import Callable
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import Any, Final

from tileserver.encode import exchange
from tileserver.encode.kinds import is_a, is_arrow
from tileserver.errors import BadResultError


class NoContentError(TypeError):
    """It is more than what it holds: a connection, a lock, a file."""


class Contents:
    """A digest that grows by what is added."""

    def __init__(self, function: "Callable[[Contents, Any], None]") -> None:
        """Args: function: what adds a function, a class or a module, which are more than their name."""
        self._total = hashlib.blake2b(digest_size=24)
        self._function = function
        self.seen: dict[int, Any] = {}
        """Functions, classes and modules that are in it, by their id, which is theirs as long as they are here."""

    def hexdigest(self) -> str:
        """What was added, in 48 digits."""
        return self._total.hexdigest()

    def text(self, *words: str) -> None:
        """Add words, none of which runs into the next."""
        for word in words:
            self.raw(word.encode("utf-8", "surrogatepass"))

    def raw(self, data: Any) -> None:
        """Add bytes."""
        size = memoryview(data).nbytes
        self._total.update(b"%d:" % size)
        if size:
            self._total.update(data)

    def add(self, value: Any) -> None:
        """Add a value.

        Raises:
            NoContentError: it has no content that could be compared.
        """
        kind = type(value)
        self.text(kind.__module__, kind.__qualname__)
        if kind in _PLAIN:
            self.text(repr(value))
        elif kind in (str, bytes, bytearray):
            self.raw(value.encode("utf-8", "surrogatepass") if kind is str else value)
        elif kind in (list, tuple):
            self._each(value)
        elif kind is dict:
            self._each([each for pair in value.items() for each in pair])
        elif kind in (set, frozenset):
            self.text(*sorted(map(self._alone, value)))
        elif isinstance(value, (FunctionType, type, ModuleType)):
            self._function(self, value)
        else:
            self._other(value)

    def _each(self, values: Any) -> None:
        self.text(str(len(values)))
        for value in values:
            self.add(value)

    def _alone(self, value: Any) -> str:
        other = Contents(self._function)
        other.add(value)
        return other.hexdigest()

    def _other(self, value: Any) -> None:
        if isinstance(value, PurePath):
            self.text(str(value))
        elif is_a(value, "tileserver.worker.fused.loaded", "Loaded"):
            self.text(value._source.digest)
        elif is_a(value, "numpy", "ndarray") and not value.dtype.hasobject:
            self._array(value)
        elif is_a(value, "pandas", "Series", "Index"):
            self._table(value.to_frame())
        elif is_a(value, "pandas", "DataFrame") or is_arrow(value):
            self._table(value)
        else:
            self._pickled(value)

    def _array(self, array: Any) -> None:
        import numpy as np

        self.text(array.dtype.str, str(array.dtype.descr), str(array.shape))
        self.raw(np.ascontiguousarray(np.asarray(array)).reshape(-1).view(np.uint8))
        if isinstance(array, np.ma.MaskedArray):
            self.raw(np.ascontiguousarray(np.ma.getmaskarray(array)).reshape(-1).view(np.uint8))

    def _table(self, table: Any) -> None:
        try:
            self.raw(exchange.draw(table).body)
        except BadResultError:  # columns that hold anything
            self._pickled(table)

    def _pickled(self, value: Any) -> None:
        stream = io.BytesIO()
        try:
            _Pickler(stream, self, self._function).dump(value)
        except Exception as error:  # whatever a class of the author's raises
            raise NoContentError(f"{type(value).__name__} has no content that could be compared") from error
        self.raw(stream.getbuffer())


class _Pickler(pickle.Pickler):
    """Adds what a pickle only names: classes of instances and enumerations, functions of partials and methods."""

    def __init__(self, stream: io.BytesIO, contents: Contents, function: Callable[[Contents, Any], None]) -> None:
        super().__init__(stream, protocol=5)
        self._contents, self._function = contents, function

    def persistent_id(self, value: Any) -> str | None:
        """The name of what has been added; None where the pickle says all."""
        if not isinstance(value, (FunctionType, type, ModuleType)) and not _wraps(value):
            return None
        self._function(self._contents, value)
        return str(getattr(value, "__qualname__", ""))


def _wraps(value: Any) -> bool:
    """Whether it is a function that `functools.lru_cache` or the like has made another object."""
    return callable(value) and isinstance(getattr(value, "__wrapped__", None), FunctionType)


_PLAIN: Final = frozenset(
    (
        *(type(None), bool, int, float, complex, range, slice, type(...)),
        *(dt.datetime, dt.date, dt.time, dt.timedelta, dt.timezone, decimal.Decimal, uuid.UUID),
    )
)
"""Types whose `repr` says everything."""
