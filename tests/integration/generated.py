"""Requests that chance makes of the server's own description, well-meant and not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote

CODES = [
    "from tileserver import udf\n\n@udf\ndef f(n: int = 1):\n    return {'n': n}\n",
    "from tileserver import udf\n\n@udf\ndef f(tile):\n    return None\n",
    "@fused.udf\ndef udf(bounds: fused.types.Bounds = None):\n    return 'text'\n",
    "def f(:\n",
    "",
]
"""Sources that are posted: none that fails, so that a traceback in an answer can only be the server's."""
_WORDS = r"""0 -1 1.5 1e999 nan null true [] {} ² ٣ é .. ../.. / // \ % %00 %2f %2e%2e %ff %ed%a0%80 %F0%9F%97%BA ' "
<script> @2x .png 1..png * fd:// fd://../x team"""
ODD_TEXTS = [
    *_WORDS.split(),
    "",
    "\0",
    "\x1f",
    "\x7f",
    "\ud7ff",
    "a\r\nX: y",
    "9" * 30,
    "9" * 5000,
    "x" * 300,
    "x" * 5000,
]
BYTES = bytes(range(33, 127)) + b"\0\x1f \x7f\x80\xc3\xff/.?&=%#@"
_LINES = """Accept: text/html
Accept-Encoding: gzip;q=0
Accept-Encoding: br, gzip
If-None-Match: *
Range: bytes=0-9
Range: bytes=9-0
Range: lines=1
Range: bytes=-
Origin: null
Origin: http://127.0.0.1:1
Sec-Fetch-Site: cross-site
Cookie: tileserver_session=x
Cookie: =;;=\xff
Fused-Py-Version: 1.14.2
Fused-Run-Id: 12345678
Fused-Run-Id: ../../..
Fused-Recursion: 99
Fused-Recursion: x
X-Forwarded-Host: e
X-Forwarded-For: x
X-HTTP-Method-Override: DELETE
Expect: 100-continue
Content-Encoding: gzip
Content-Type: multipart/form-data
Content-Type: multipart/form-data; boundary=b
Content-Type: \xff
Upgrade: h2c
Connection: close
TE: trailers
Host: evil.example
Bad Name: x
: x"""
HEADERS = [*_LINES.splitlines(), "A: " + "b" * 9000, "Upgrade: websocket\r\nConnection: upgrade"]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "FOO", "get", "G\xe9T"]
_OFTEN, _SELDOM = 0.8, 0.1


@dataclass
class Known:
    """What is there, by the names that parts of paths have; the rest of the values are made up."""

    private_tokens: list[str]
    values: dict[str, list[str]]
    readable: list[str]
    """Shared tokens that no request can change: they are for reading only."""


@dataclass
class Generator:
    """Makes requests of the operations of an OpenAPI document."""

    chance: Random
    document: dict[str, Any]
    known: Known
    host: str

    def requests(self, number: int) -> Iterator[tuple[str, bytes]]:
        """So many methods, each with its request as bytes."""
        operations = [
            (path, method.upper(), operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        ]
        for _ in range(number):
            yield self._request(*self.chance.choice(operations))

    def _seldom(self) -> bool:
        return self.chance.random() < _SELDOM

    def _request(self, path: str, method: str, operation: dict[str, Any]) -> tuple[str, bytes]:
        if self._seldom():
            method = self.chance.choice(METHODS)
        target = self._target(path, method, operation)
        body = self._body(operation) if "requestBody" in operation or self._seldom() else b""
        head = [f"{method} ".encode("latin-1") + target + b" HTTP/1.1", *self._headers()]
        if body and self._seldom():
            head.append(b"Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif body or method in ("POST", "PUT", "PATCH"):
            head.append(b"Content-Length: %d" % len(body))
        return method, b"\r\n".join((*head, b"", body))

    def _target(self, path: str, method: str, operation: dict[str, Any]) -> bytes:
        if self._seldom():
            return b"/" + self._noise(60).replace(b" ", b"")
        written = path
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                written = written.replace(f"{{{parameter['name']}}}", self._part(parameter, method), 1)
        target = written.encode() + self._query(operation)
        if self._seldom():
            place = self.chance.randrange(1, len(target) + 1)
            target = target[:place] + self._noise(4).replace(b" ", b"") + target[place + self.chance.randrange(3) :]
        return target

    def _part(self, parameter: dict[str, Any], method: str) -> str:
        name, schema = parameter["name"], parameter["schema"]
        usual = self.known.values.get(name, []) + (self.known.readable if name == "token" and method == "GET" else [])
        if schema.get("type") == "integer":
            usual = [str(self.chance.randrange(4))]
        usual = usual or [str(each) for each in schema.get("enum", [])]
        if usual and self.chance.random() < _OFTEN:
            return quote(self.chance.choice(usual), safe="@:/")
        return self._odd_text()

    def _query(self, operation: dict[str, Any]) -> bytes:
        named = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
        pairs = []
        while self.chance.random() < 0.6:
            name = self.chance.choice([*named, "n", "when", "many", "v", "_", "a"])
            usual = self.known.values.get(name) or [str(self.chance.randrange(3))]
            value = self.chance.choice(usual) if self.chance.random() < 0.4 else self._odd_text()
            if name != "wait" or len(value) == 1:  # nobody shall wait for long here
                pairs.append(f"{name}={value}".encode())
        return b"?" + b"&".join(pairs) if pairs else b""

    def _odd_text(self) -> str:
        """Percent-encoded, or as no client would send it."""
        text = self.chance.choice(ODD_TEXTS)
        raw = text.isascii() and text.isprintable() and " " not in text and self.chance.random() < 0.5
        return text if raw else quote(text, safe="")

    def _noise(self, most: int) -> bytes:
        return bytes(self.chance.choice(BYTES) for _ in range(self.chance.randint(0, most)))

    def _headers(self) -> list[bytes]:
        headers = [] if self._seldom() else [f"Host: {self.host}"]
        token = self.chance.choice([*self.known.private_tokens * 5, "fpt_" + "x" * 43, "\xff", ""])
        scheme = self.chance.choice(["Bearer", "bearer", "Fused-Env-Bearer", "Fused-Service-Token", "Basic", ""])
        if not self._seldom():
            headers.append(f"Authorization: {scheme if self._seldom() else 'Bearer'} {token}")
        while self.chance.random() < 0.3:
            headers.append(self.chance.choice(HEADERS))
        return [each.encode("latin-1") for each in headers]

    def _body(self, operation: dict[str, Any]) -> bytes:
        if self._seldom():
            return self._noise(400)
        if self._seldom():
            depth = self.chance.choice([10, 600, 5000])
            return b'{"config":' + b"[" * depth + b"]" * depth + b"}"
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            return b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + self._noise(40) + b"\r\n--b--\r\n"
        text = json.dumps(self._value(schema, ""))
        if self._seldom():
            text = text[: self.chance.randrange(len(text) + 1)] + self.chance.choice(
                ["", "}", "\\ud800", "1e999", "NaN"]
            )
        return text.encode()

    def _value(self, schema: dict[str, Any], name: str) -> Any:
        if self._seldom():
            return self.chance.choice([None, True, -1, 1e300, 2**70, "\ud800", "\0", [], {}, [[[]]], "x" * 3000])
        if "$ref" in schema:
            found = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            return {each: self._value(kind, each) for each, kind in found["properties"].items() if not self._seldom()}
        if "anyOf" in schema:
            return self._value(self.chance.choice(schema["anyOf"]), name)
        if "enum" in schema:
            return self.chance.choice(schema["enum"])
        return self._plain(schema, name)

    def _plain(self, schema: dict[str, Any], name: str) -> Any:
        source = {"code": self.chance.choice(CODES), "name": "generated", "headers": [], "parameters": {"n": "1"}}
        known = {
            "udf_body": lambda: json.dumps(source),
            "step_config": lambda: json.dumps({"type": "udf", "udf": source}),
            "config": lambda: {"steps": [{"type": "udf", "udf": source, "input": [1, {"n": "x"}]}]},
            "slug": lambda: f"generated{self.chance.randrange(20)}",
        }
        if name in known:
            return known[name]()
        kinds = {"boolean": True, "integer": 1, "number": 1.5, "null": None, "array": [], "object": {"a": [1]}}
        usual = self.known.values.get(name.removeprefix("udf_")) or ["a"]
        return kinds.get(schema.get("type", ""), self.chance.choice(usual))
