"""One request and its answer: what is asked again, and which error an answer is. No server is needed for that."""

from collections.abc import Generator
from typing import Any

import httpx2
import pytest

from tileserver.client.exchange import exchange
from tileserver.errors import (
    BY_CODE,
    BusyError,
    NotFoundError,
    PublicationError,
    SetupError,
    TileserverError,
    TooManyRequestsError,
    UdfError,
    UdfRaisedError,
)

GET, POST = (httpx2.Request(method, "http://127.0.0.1:1/x") for method in ("GET", "POST"))
REFUSED = httpx2.ConnectError("refused")


def answer(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=given)


def told(request: httpx2.Request, *answers: httpx2.Response | Exception) -> tuple[httpx2.Response, list[float]]:
    """What a conversation ends with where the answers come one after the other, and how long it waited."""
    steps: Generator[Any, Any, httpx2.Response] = exchange(request)
    waited, left = [], list(answers)
    asked = next(steps)
    try:
        while True:
            if isinstance(asked, float):
                waited.append(asked)
                asked = next(steps)
                continue
            reply = left.pop(0)
            asked = steps.throw(reply) if isinstance(reply, Exception) else steps.send(reply)
    except StopIteration as end:
        assert left == []
        return end.value, waited


BUSY = answer(503, {"code": "busy", "detail": "Busy."}, retry_after="2")


@pytest.mark.parametrize(
    ("first", "waited"),
    [
        ((), []),
        ((REFUSED,), [0.2]),
        ((REFUSED, REFUSED), [0.2, 1.0]),
        ((BUSY,), [2.0]),
        ((answer(429, {}, retry_after="0"), BUSY), [0.0, 2.0]),
    ],
)
def test_what_may_be_repeated_is(first: tuple[Any, ...], waited: list[float]) -> None:
    """Where nobody listened after a moment, and where the server says when."""
    found, pauses = told(GET, *first, answer(200, {}))
    assert found.status_code == 200
    assert pauses == waited


@pytest.mark.parametrize(
    ("request_", "answers", "kind"),
    [
        (GET, (REFUSED, REFUSED, REFUSED), SetupError),
        (GET, (BUSY, BUSY, BUSY), BusyError),
        (POST, (REFUSED,), SetupError),
        (POST, (BUSY,), BusyError),
        (GET, (httpx2.ReadTimeout("slow"),), SetupError),
        (GET, (httpx2.ReadError("cut"),), SetupError),
        (GET, (answer(503, {"code": "busy", "detail": "Busy."}),), BusyError),
        (GET, (answer(503, {"code": "udf_suspended", "detail": "Rests."}, retry_after="30"),), UdfError),
        (GET, (answer(500, {"code": "udf_crashed", "detail": "Died."}, retry_after="1"),), UdfError),
        (GET, (answer(302, None, location="http://elsewhere"),), TileserverError),
    ],
)
def test_nothing_else_is_repeated(
    request_: httpx2.Request, answers: tuple[Any, ...], kind: type[TileserverError]
) -> None:
    """Not what changes something, not what was cut or slow, not for longer than ten seconds, no redirection."""
    with pytest.raises(kind):
        told(request_, *answers)


@pytest.mark.parametrize("code", [code for code in BY_CODE if code not in ("setup", "not_publishable")])
def test_errors_are_the_servers_own(code: str) -> None:
    """The same class, with its sentence."""
    with pytest.raises(BY_CODE[code]) as caught:
        told(GET, answer(400, {"code": code, "detail": BY_CODE[code].sentence}))
    assert type(caught.value) is BY_CODE[code]
    assert str(caught.value) == BY_CODE[code].sentence


def test_the_owner_reads_why_a_function_failed() -> None:
    """As attributes, and below the error where Python shows it; strangers have neither."""
    facts = {"message": "m", "exception": "ValueError", "line": 3, "traceback": "t\n", "printed": "p\n"}
    with pytest.raises(UdfRaisedError) as caught:
        told(GET, answer(422, {"code": "udf_raised", "detail": "d"} | facts))
    error = caught.value
    assert {name: getattr(error, name) for name in facts} == facts
    assert error.__notes__ == ["t", "printed:\np"]
    with pytest.raises(UdfRaisedError) as caught:
        told(GET, answer(422, {"code": "udf_raised", "detail": "d"}))
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize(
    ("detail", "file", "line"),
    [("a.py:3: no: such", "a.py", 3), ("/b c.py: none", "/b c.py", None)],
)
def test_a_source_that_cannot_be_published_is_named(detail: str, file: str, line: int | None) -> None:
    """File, line and reason."""
    with pytest.raises(PublicationError) as caught:
        told(POST, answer(422, {"code": "not_publishable", "detail": detail}))
    assert (caught.value.file, caught.value.line, str(caught.value)) == (file, line, detail)


def test_limits_say_when() -> None:
    """Seconds, as the server told them."""
    with pytest.raises(TooManyRequestsError) as caught:
        told(GET, answer(429, {"code": "too_many_requests", "detail": "d"}, retry_after="60"))
    assert caught.value.retry_after == 60


@pytest.mark.parametrize("body", [None, [], {}, {"code": "not_found"}, "text"])
def test_answers_of_others_have_their_status(body: Any) -> None:
    """A proxy's page is no error of ours."""
    with pytest.raises(TileserverError, match="the server answered 404") as caught:
        told(GET, answer(404, body))
    assert not isinstance(caught.value, NotFoundError)
