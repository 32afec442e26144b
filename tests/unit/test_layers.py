"""What the server makes of a run: a worker may say anything."""

from types import SimpleNamespace
from typing import Any

import pytest

from tileserver.jobs import Rendered
from tileserver.layers import entry_of

LAYER: Any = SimpleNamespace(grant=SimpleNamespace(epoch=0))


@pytest.mark.parametrize(
    ("media_type", "authored"),
    [
        ("text/html", True),
        ("text/html; charset=utf-8", True),
        ("image/svg+xml", True),
        ("image/png", False),
        ("application/json", False),
    ],
)
def test_no_worker_says_that_a_page_is_ours(media_type: str, authored: bool) -> None:
    """What browsers may run is sent as somebody else's, whoever is said to have written it."""
    rendered = Rendered(media_type=media_type, kind="", body=b"body", authored=False)
    assert entry_of(rendered, LAYER, 0.0).facts.authored is authored
