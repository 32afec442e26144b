"""What notebooks show of UDFs and tokens."""

from html.parser import HTMLParser
from typing import Any

import pytest

from tileserver.client import Token, Udf
from tileserver.client.notebook import reachable

MAP = "http://127.0.0.1:8000/tiles/fsh_x/map"
BAD = '"><script>alert(1)</script>'


class Elements(HTMLParser):
    """Each element with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def token(name: str = "relief", map_url: str = MAP) -> Token:
    return Token(
        token="fsh_x",
        udf_id="1",
        udf_slug=name,
        enabled=True,
        tile_url="http://127.0.0.1:8000/tiles/fsh_x/{z}/{x}/{y}",
        file_url="http://127.0.0.1:8000/files/fsh_x",
        map_url=map_url,
    )


def test_a_udf_shows_its_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a frame; without a token how to make one."""
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    (frame,) = Elements(Udf(id="1", name="relief", code="", token=token())._repr_html_()).found
    assert (frame[0], frame[1]["src"]) == ("iframe", MAP)
    assert "allow-top-navigation" not in frame[1]["sandbox"]
    closed = Elements(Udf(id="1", name="relief", code="")._repr_html_())
    assert "client.create_token('relief')" in closed.text


def test_a_token_shows_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template as text, the others as links."""
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    shown = Elements(token()._repr_html_())
    assert [each["href"] for tag, each in shown.found if tag == "a"] == [MAP, "http://127.0.0.1:8000/files/fsh_x"]
    assert "http://127.0.0.1:8000/tiles/fsh_x/{z}/{x}/{y}" in shown.text


def test_nothing_of_it_is_taken_for_html() -> None:
    """Neither a name nor an address."""
    bad = token(BAD, f"http://127.0.0.1:8000/{BAD}")
    for html in (bad._repr_html_(), Udf(id="1", name=BAD, code="", token=bad)._repr_html_()):
        assert "script" not in [tag for tag, _ in Elements(html).found]
    assert "script" not in [tag for tag, _ in Elements(Udf(id="1", name=BAD, code="")._repr_html_()).found]


@pytest.mark.parametrize(
    ("url", "prefix", "seen"),
    [
        (MAP, "", MAP),
        (MAP, "/user/ann/", "/user/ann/proxy/8000/tiles/fsh_x/map"),
        (MAP + "?a=1", "/user/ann", "/user/ann/proxy/8000/tiles/fsh_x/map?a=1"),
        ("javascript:alert(1)", "", "about:blank"),
        ("javascript:alert(1)", "/user/ann/", "about:blank"),
        ("https://maps.example.org/tiles/fsh_x/map", "/user/ann/", "https://maps.example.org/tiles/fsh_x/map"),
    ],
)
def test_behind_jupyterhub(monkeypatch: pytest.MonkeyPatch, url: str, prefix: str, seen: str) -> None:
    """A loopback address is the hub's own; a public one stays."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", prefix)
    assert reachable(url) == seen


def test_what_python_shows_is_short() -> None:
    """No source in it."""
    assert (
        repr(Udf(id="1", name="relief", kind="raster", code="x" * 1000, token=token()))
        == f"<Udf relief: raster, {MAP}>"
    )
