"""What the server makes of a run: a worker may say anything."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tileserver.jobs import Call, Rendered
from tileserver.layers import Ask, Posted, bound, called, entry_of, granted
from tileserver.signature import parse

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


def test_a_token_without_cache_keeps_nothing_for_callers() -> None:
    """As little as for requests, whatever the call allows."""
    code = "@fused.udf(cache_max_age='1h')\ndef udf(): ...\n"
    grant = granted(Posted(account_id="a", name="u", code=code, headers={}), udf := parse(code, file="u.py"))
    calls = [Call(id=1, job=1, name="u", arguments={}, max_age=max_age) for max_age in (None, 60)]
    for cache, ages in ((True, [3600, 60]), (False, [0, 0])):
        opened = msgspec.structs.replace(grant, cache=cache)
        assert [called(opened, udf, call).max_age for call in calls] == ages


def test_a_call_without_a_parameter_is_that_with_its_default() -> None:
    """One layer, so one run; for clients that post the code too."""
    code = "@udf\ndef f(tile, scale: float = 1): ...\n"
    grant = granted(Posted(account_id="a", name="f", code=code, headers={}), udf := parse(code, file="f.py"))
    calls = [Call(id=1, job=1, name="f", arguments=given, tile=(0, 0, 0)) for given in ({}, {"scale": ["1"]})]
    layers = [called(grant, udf, call) for call in calls]
    assert layers[0].key == layers[1].key
    ask = Ask(token="", extension="png", scale=1, query="", tiled=True)
    asked = [bound(grant, udf, ask, query) for query in ({}, {"scale": ["1"]}, {"scale": ["1.0"]})]
    assert len({each.key for each in asked}) == 1
    assert [repr(each.arguments) for each in (*layers, *asked)] == ["{'scale': 1.0}"] * 5
