"""Values by what they hold: equal ones have equal digests, in every process."""

import datetime as dt
import decimal
import enum
import hashlib
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
        self.seen: set[int] = set()
        """Functions that are in it."""

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
        if isinstance(value, (enum.Enum, PurePath)):
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
        try:
            self.raw(pickle.dumps(value, protocol=5))
        except Exception as error:  # whatever a class of the author's raises
            raise NoContentError(f"{type(value).__name__} has no content that could be compared") from error


_PLAIN: Final = frozenset(
    (
        *(type(None), bool, int, float, complex, range, slice, type(...)),
        *(dt.datetime, dt.date, dt.time, dt.timedelta, dt.timezone, decimal.Decimal, uuid.UUID),
    )
)
"""Types whose `repr` says everything."""
