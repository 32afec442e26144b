"""Which flights wait for which because functions call others: a call that would close a circle is refused."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tileserver.errors import CallError


class CallGraph:
    """Edges from a flight to those that its function waits for."""

    def __init__(self) -> None:
        self._edges: dict[str, Counter[str]] = {}

    @contextmanager
    def waiting(self, chain: Sequence[str], flight: str) -> Iterator[None]:
        """For the time of the block the last of `chain`, flights that wait for each other, waits for `flight` too.

        Raises:
            CallError: `flight` waits for one of the chain, or is one: all would wait for ever.
        """
        if not chain:
            yield
            return
        if not self._reachable(flight).isdisjoint(chain):
            raise CallError("calls go in a circle")
        edges = self._edges.setdefault(chain[-1], Counter())
        edges[flight] += 1
        try:
            yield
        finally:
            edges[flight] -= 1
            if not +edges:
                self._edges.pop(chain[-1], None)

    def _reachable(self, flight: str) -> set[str]:
        """The flight and all that it waits for."""
        found, ahead = {flight}, [flight]
        while ahead:
            further = {name for name, count in self._edges.get(ahead.pop(), {}).items() if count} - found
            found |= further
            ahead += further
        return found
