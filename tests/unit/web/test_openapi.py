"""Every route is described, beside where it is made, and the page shows all of it."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tileserver.errors import BY_CODE
from tileserver.web import app, tiles
from tileserver.web.answers import HOSTED_STATUS
from tileserver.web.hosted.requests import Read, takes
from tileserver.web.metrics import Metrics
from tileserver.web.openapi import document
from tileserver.web.operations import Operation, Parameter, described
from tileserver.web.reference_page import reference_page

WEB = Path(app.__file__).parent
READ = re.compile(r"""(?:query_params\.get\(|query_params\[|query\.get\(|_number\(request, |number\()"(\w+)\"""")
"""Where a query's parameter is read by its name."""


@pytest.fixture
def routes(tmp_path: Path) -> list[Any]:
    """All of the application's."""
    nothing = MagicMock()
    nothing.pipeline.settings.data_dir, nothing.pipeline.settings.workers = tmp_path, 1
    nothing.metrics = Metrics(*(MagicMock() for _ in range(4)))
    return app.routes(nothing, nothing, nothing, nothing)


@pytest.fixture
def whole(routes: list[Any]) -> dict[str, Any]:
    """The document that the server gives out."""
    reference = next(each.endpoint.__self__ for each in routes if each.path == "/docs")
    found: dict[str, Any] = reference.document
    return found


def operations(whole: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, methods in whole["paths"].items() for method, each in methods.items()]


def test_every_route_is_described(routes: list[Any], whole: dict[str, Any]) -> None:
    """By each of its methods; a mount by what is below it."""
    wanted = {f"{each.path}/{{path}}": {"get"} for each in routes if isinstance(each, Mount)}
    for each in routes:
        if isinstance(each, Route):
            assert each.methods, each.path
            methods = {method.lower() for method in each.methods} - {"head"}
            wanted.setdefault(each.path.replace(":path}", "}"), set()).update(methods)
    found = {path: set(methods) for path, methods in whole["paths"].items()}
    by_hand = {path: {"get"} for path, _ in tiles.spelled()}
    assert found == wanted | by_hand


def test_what_is_not_described_is_noticed() -> None:
    """An endpoint without its decorator, and a part of a path that nobody explained."""

    async def silent(request: Request) -> Response:
        return Response()

    with pytest.raises(AttributeError):
        list(described([Route("/x", silent)]))
    with pytest.raises(KeyError):
        document(described([Route("/x/{strange}", Operation(answer=str)(silent))]))


def test_what_is_read_by_hand_is_what_is_described() -> None:
    """Each template is an address, and each expression reads one of them."""
    values = {"token": "fc_x", "name": "a.b", "z": "3", "x": "1", "y": "2", "scale": "2", "ext": "png"}
    paths = [template.format(**values).encode() for template, _ in tiles.spelled()]
    assert all(tiles.parse(path) for path in paths)
    expressions = (tiles._TILE, tiles._HOSTED_TILE, tiles._FILE, tiles._HOSTED_FILE, tiles._COLLECTION)
    assert all(any(each.match(path) for path in paths) for each in expressions)


def test_the_body_that_is_described_is_the_one_that_is_read(routes: list[Any], whole: dict[str, Any]) -> None:
    """Only `takes` and uploads read one; what an endpoint takes is what its description names."""
    reading = {
        file.name for file in WEB.rglob("*.py") if re.search(r"request\.(stream|json|body|form)\(", file.read_text())
    }
    assert reading == {"requests.py", "uploads.py"}
    taking = [each for each in routes if hasattr(getattr(each, "endpoint", None), "body")]
    assert len(taking) > 10
    for each in taking:
        (method,) = each.methods
        told = whole["paths"][each.path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
        assert told == {"$ref": f"#/components/schemas/{each.endpoint.body.__name__}"}


def test_takes_reads_what_it_says() -> None:
    """The endpoint decides when; the record is the one that is described."""

    class Sent(msgspec.Struct):
        n: int

    class Routes:
        @takes(Sent)
        async def post(self, request: Request, read: Read[Sent]) -> int:
            return (await read()).n

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"n": 5}'}

    endpoint: Any = Routes().post
    assert endpoint.body is Sent
    assert asyncio.run(endpoint(Request({"type": "http"}, receive))) == 5


def test_every_parameter_of_a_query_that_is_read_is_described(whole: dict[str, Any]) -> None:
    """By the names in the source."""
    read = {name for file in WEB.rglob("*.py") for name in READ.findall(file.read_text())}
    named = {each["name"] for _, _, operation in operations(whole) for each in operation.get("parameters", [])}
    assert len(read) > 10
    assert read <= named


def test_the_document_holds_together(whole: dict[str, Any]) -> None:
    """Every reference leads somewhere, ids are unique, summaries are there, and each code has its status."""
    text = json.dumps(whole)
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) == set(whole["components"]["schemas"])
    ids = [each["operationId"] for _, _, each in operations(whole)]
    assert len(ids) == len(set(ids))
    assert all(each["summary"].endswith(".") for _, _, each in operations(whole))
    told = whole["paths"]["/server/v1/realtime-shared/{token}/run"]["get"]["responses"]
    assert all(f"`{code}`" in told[str(HOSTED_STATUS[code])]["description"] for code in ("udf_crashed", "busy"))
    assert not [code for code in BY_CODE if code != "setup" and f"`{code}`" not in text]


def test_who_needs_credentials(whole: dict[str, Any]) -> None:
    """All but what is below a token, is signed, or is for everybody; 401 goes with it."""
    for _, _, each in operations(whole):
        assert bool(each["security"]) == ("401" in each["responses"])
    assert {"private_token", "session"} == set(whole["components"]["securitySchemes"])
    told = whole["components"]["securitySchemes"]["private_token"]["description"]
    assert all(name in told for name in ("Bearer", "Fused-Env-Bearer", "Fused-Rtenv-Bearer", "Fused-Service-Token"))


def test_a_status_with_two_meanings_tells_both() -> None:
    """A refusal of the endpoint's own beside the one that all have."""

    @Operation(also={403: ("The link is too old.", "text/html")})
    async def endpoint(request: Request) -> Response:
        """Opens."""
        return Response()

    told = document(described([Route("/x", endpoint)]))["paths"]["/x"]["get"]["responses"]["403"]
    assert set(told["content"]) == {"application/json", "text/html"}
    assert "too old" in told["description"]
    assert "`forbidden`" in told["description"]


def test_the_page_shows_every_operation_and_type(whole: dict[str, Any]) -> None:
    """With an anchor for each, and every link inside leads to one."""
    page = reference_page(whole)
    anchors = set(re.findall(r' id="([\w-]+)"', page))
    assert {each["operationId"] for _, _, each in operations(whole)} <= anchors
    assert set(re.findall(r'href="#([\w-]+)"', page)) <= anchors


def test_text_of_a_description_stays_text() -> None:
    """Whatever it says, it does not become markup."""
    hostile = "<img src=x> & `<b>`"

    async def endpoint(request: Request) -> Response:
        return Response()

    endpoint.__doc__ = f"{hostile}\n\n{hostile}"
    said = Operation(answer=dict[str, str], parameters=(Parameter(hostile, str, hostile, required=True),), headers={})
    page = reference_page(document(described([Route("/<i>", said(endpoint))])))
    assert not re.search(r"<(img|b|i)[ >]", page)
