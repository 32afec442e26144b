"""The API's description in OpenAPI 3.1, made of what the endpoints say of themselves."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from tileserver import __version__
from tileserver.errors import BY_CODE, TileserverError
from tileserver.formats import ALL
from tileserver.web.access import COOKIE
from tileserver.web.answers import HOSTED_STATUS, STATUS, ErrorBody
from tileserver.web.operations import FORM, JSON, Described, Parameter

_SENTENCES: Final = {code: kind.sentence for code, kind in BY_CODE.items()} | {"error": TileserverError.sentence}
_BUSY: Final = frozenset({"busy", "too_many_requests", "udf_suspended"})
_OF_TOKENS: Final = ("/tiles/", "/files/", "/server/v1/realtime-shared/{token}")
"""Open to pages of every origin and under every name of the server."""
_REFERENCE: Final = "#/components/schemas/{name}"
_ABOUT: Final = """Below a shared token nothing else is needed. Elsewhere a private token is sent as
`Authorization: Bearer`; the schemes `Fused-Env-Bearer`, `Fused-Rtenv-Bearer` and `Fused-Service-Token`, which the SDK
of the hosted API sends, mean the same. What one may not see is 404, as if it were not there.

Every failure has a body of `code` and `detail`. Below `/server/v1` a function's own failure is 422, whatever it was.

HEAD is answered as GET, without a body; OPTIONS below a token with 204. A method that an address does not take is 405,
and `Allow` says which it takes. A request line beyond 64 kB is 414, headers beyond it 431."""

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer", "minimum": 0}
_IN_PATHS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "token": (_TEXT, "a shared token"),
    "z": (_NUMBER | {"maximum": 30}, "zoom"),
    "x": (_NUMBER, "column, from the west"),
    "y": (_NUMBER, "row, from the north"),
    "scale": ({"enum": [2, 3, 4]}, "pixels for each of a tile's usual ones, in both directions"),
    "ext": ({"enum": [each.name for each in ALL]}, "the format"),
    "client": (_TEXT, "a client id, whichever it is"),
    "id": (_TEXT, "the id of what is asked for"),
    "name": (_TEXT, "the name of what is asked for"),
    "slug": (_TEXT, "the UDF's name"),
    "who": (_TEXT, "an e-mail address, a handle, `team` or `public`"),
    "collection": (_TEXT, "a collection, whichever it is"),
    "run": (_TEXT, "the `Fused-Run-Id` that it began with"),
    "key": (_TEXT, "the secret's name"),
    "email": (_TEXT, "the account's address"),
    "account": (_TEXT, "of a signed address"),
    "until": (_TEXT, "of a signed address"),
    "detail": (_TEXT, "of a signed address"),
    "signature": (_TEXT, "of a signed address"),
    "path": (_TEXT, "what is below, with its slashes"),
}


def document(operations: Iterable[Described]) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the operations; raises KeyError where a path has a part that nobody explained."""
    found = list(operations)
    schemas = _Schemas(found)
    paths: dict[str, dict[str, Any]] = {}
    for each in found:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    about = {"title": "tileserver", "version": __version__, "description": _ABOUT, "license": {"name": "MIT"}}
    return {
        "openapi": "3.1.0",
        "info": about,
        "tags": [{"name": name} for name in dict.fromkeys(_tag(each) for each in found)],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _security_schemes()},
    }


class _Schemas:
    """JSON schemas of all types that the operations name."""

    def __init__(self, operations: Sequence[Described]) -> None:
        kinds = [kind for each in operations for kind in _kinds(each)]
        schemas, self.components = msgspec.json.schema_components([ErrorBody, *kinds], ref_template=_REFERENCE)
        self._schemas = dict(zip([ErrorBody, *kinds], schemas, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type, most often a reference to a component."""
        return self._schemas[kind]

    def body(self, kind: Any) -> dict[str, Any]:
        """The content of a JSON body."""
        return {JSON: {"schema": self.of(kind)}}


def _kinds(each: Described) -> list[Any]:
    wanted = (each.said.answer, each.body, *(parameter.kind for parameter in each.said.parameters))
    return [kind for kind in wanted if kind is not None]


def _operation(each: Described, schemas: _Schemas) -> dict[str, Any]:
    summary, _, more = each.summary.partition("\n\n")
    if each.said.who == "owner":
        more = f"For the server's owner.\n\n{more}".strip()
    described = {
        "operationId": f"{each.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', each.path)}".rstrip("_"),
        "tags": [_tag(each)],
        "summary": summary,
        "description": more,
        "security": [] if each.said.who == "anybody" else [{"private_token": []}, {"session": []}],
        "parameters": [
            *(_in_path(name) for name in re.findall(r"{(\w+)}", each.path)),
            *(_parameter(parameter, schemas) for parameter in each.said.parameters),
        ],
        "requestBody": _sent(each, schemas),
        "responses": _responses(each, schemas),
    }
    return {name: value for name, value in described.items() if value or name == "security"}


def _tag(each: Described) -> str:
    hosted, _, name = each.subject.rpartition(".")
    return f"Hosted API: {name}" if hosted else name.capitalize()


def _in_path(name: str) -> dict[str, Any]:
    schema, text = _IN_PATHS[name]
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": text}


def _parameter(parameter: Parameter, schemas: _Schemas) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "schema": schemas.of(parameter.kind),
        "description": parameter.text,
    }


def _sent(each: Described, schemas: _Schemas) -> dict[str, Any]:
    if each.body is not None:
        required = any(field.required for field in msgspec.structs.fields(each.body))
        return {"required": required, "content": schemas.body(each.body)}
    if each.said.sends == FORM:
        file = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
        return {"required": True, "content": {FORM: {"schema": file}}}
    return {"content": {each.said.sends: {}}} if each.said.sends else {}


def _responses(each: Described, schemas: _Schemas) -> dict[str, Any]:
    said = each.said
    content = {kind: {} for kind in said.media} if said.answer is None else schemas.body(said.answer)
    answered = {str(said.status): _response("As asked.", content, _headers(said.headers))}
    others = {str(status): _response(text, {kind: {}} if kind else {}) for status, (text, kind) in said.also.items()}
    return dict(sorted((answered | _merged(_failures(each, schemas), others)).items()))


def _merged(failures: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Both, where a status may mean either."""
    for status in failures.keys() & others.keys():
        one, other = failures[status], others[status]
        content = other.get("content", {}) | one["content"]
        failures[status] = one | {"description": f"{other['description']}\n\n{one['description']}", "content": content}
    return others | failures


def _failures(each: Described, schemas: _Schemas) -> dict[str, Any]:
    table = (HOSTED_STATUS if each.path.startswith("/server/v1/") else STATUS) | {"error": 500}
    codes: dict[str, list[str]] = {}
    for code in _codes(each):
        codes.setdefault(str(table[code]), []).append(code)
    return {status: _failure(together, schemas) for status, together in codes.items()}


def _codes(each: Described) -> list[str]:
    """Of all that can go wrong: what the endpoint says, and what follows from the rest."""
    said = each.said
    implied = {
        "unauthorised": said.who != "anybody",
        "forbidden": not each.path.startswith(_OF_TOKENS),
        "not_found": "{" in each.path,
        "invalid_parameter": bool(said.parameters or said.sends) or each.body is not None,
        "error": True,
    }
    return list(dict.fromkeys((*said.fails, *(code for code, is_so in implied.items() if is_so))))


def _failure(codes: list[str], schemas: _Schemas) -> dict[str, Any]:
    text = "\n\n".join(f"`{code}`: {_SENTENCES[code]}" for code in codes)
    waits = _headers({"Retry-After": "seconds"}) if _BUSY & set(codes) else {}
    return _response(text, schemas.body(ErrorBody), waits)


def _response(text: str, content: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    described = {"description": text, "content": content, "headers": headers}
    return {name: value for name, value in described.items() if value}


def _headers(named: dict[str, str]) -> dict[str, Any]:
    return {name: {"schema": _TEXT, "description": text} for name, text in named.items()}


def _security_schemes() -> dict[str, Any]:
    schemes = "`Bearer`, `Fused-Env-Bearer`, `Fused-Rtenv-Bearer` or `Fused-Service-Token`, in capitals or not"
    token = {"type": "http", "scheme": "bearer", "description": f"A private token, behind {schemes}."}
    session = {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of who signed in with a browser."}
    return {"private_token": token, "session": session}
