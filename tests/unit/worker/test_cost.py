"""What a job has cost is never less than nothing."""

import pytest

from tileserver.worker import system
from tileserver.worker.cost import Cost


def test_a_wait_that_nobody_tells_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the function has used up the files that the worker may open; the server takes no negative number."""
    told = iter((5.0, 0.0))
    monkeypatch.setattr(system, "waited_seconds", lambda: next(told))
    cost = Cost()
    cost.begin()
    noted = cost.noted(quick=False)
    assert min(noted.values()) >= 0
