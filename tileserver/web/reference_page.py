"""HTML of the API reference, from the OpenAPI document. Pure functions."""

import re
from html import escape
from string import Template
from typing import Any, Final

from tileserver.web.pages import html_page, marked, paragraphs

_CODES: Final = re.compile(r"`(\w+)`: ")
_REFERENCE: Final = "#/components/schemas/"
_ERROR: Final = {"$ref": f"{_REFERENCE}ErrorBody"}


def reference_page(document: dict[str, Any]) -> str:
    """HTML of a page with every operation by subject, and the types that they name."""
    subjects: dict[str, list[str]] = {each["name"]: [] for each in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            subjects[operation["tags"][0]].append(_operation(path, method, operation))
    schemas = document["components"]["schemas"]
    contents = [*(_link(tag, len(found)) for tag, found in subjects.items()), _link("Types", len(schemas))]
    body = _BODY.substitute(
        version=escape(document["info"]["version"]),
        contents="".join(contents),
        about=paragraphs(document["info"]["description"]),
        subjects="".join(_subject(tag, found) for tag, found in subjects.items()),
        types="".join(_type(name, schema) for name, schema in schemas.items()),
    )
    return html_page("API reference", "static", body, head='<link rel="stylesheet" href="static/reference.css">\n')


def _link(name: str, count: int) -> str:
    return f'<li><a href="#{_anchor(name)}">{escape(name)}</a> <span class="count">{count}</span></li>'


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())


def _subject(tag: str, operations: list[str]) -> str:
    return f'<section id="{_anchor(tag)}"><h2>{escape(tag)}</h2>{"".join(operations)}</section>'


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    return _OPERATION.substitute(
        id=escape(operation["operationId"]),
        method=method,
        path=re.sub(r"([/{])", r"<wbr>\1", escape(path)),
        summary=marked(operation["summary"]),
        description=paragraphs(operation.get("description", "")),
        key=_KEY if operation["security"] else "",
        parameters=_table("Parameters", [_parameter(each) for each in operation.get("parameters", [])]),
        body=_table("Body", _contents(operation.get("requestBody", {}))),
        answers=_table("Answers", [_answer(*each) for each in operation["responses"].items()]),
    )


def _table(title: str, rows: list[str]) -> str:
    return f"<h3>{title}</h3><table>{''.join(rows)}</table>" if rows else ""


def _parameter(parameter: dict[str, Any]) -> str:
    place = "" if parameter["in"] == "query" else f' <span class="place">{parameter["in"]}</span>'
    needed = parameter["required"] and parameter["in"] != "path"
    text = marked(parameter["description"]) + (" · <em>required</em>" if needed else "")
    return f"<tr><th>{_code(parameter['name'])}{place}</th><td>{_kind(parameter['schema'])}</td><td>{text}</td></tr>"


def _contents(body: dict[str, Any]) -> list[str]:
    return [
        _row(escape(media).replace("/", "/<wbr>"), _kind(each.get("schema", {})))
        for media, each in body.get("content", {}).items()
    ]


def _answer(status: str, response: dict[str, Any]) -> str:
    """A failure by its codes; anything else by what its body is."""
    content, text = response.get("content", {}), response["description"]
    if _ERROR in [each.get("schema") for each in content.values()]:
        codes = ", ".join(map(_code, _CODES.findall(text)))
        return _row(status, marked(_CODES.split(text)[0]) + codes)
    bodies = ", ".join(_kind(each["schema"]) if each else _code(kind) for kind, each in content.items())
    return _row(status, f"{marked(text)} {bodies}")


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _row(name: str, text: str) -> str:
    return f"<tr><th>{name}</th><td colspan=2>{text}</td></tr>"


def _kind(schema: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix(_REFERENCE))
        return f'<a href="#{_anchor("type " + name)}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(_code(str(each)) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(schema.get("type", "anything"))


def _type(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [_property(each, kind, each in required) for each, kind in schema.get("properties", {}).items()]
    text = paragraphs(schema.get("description", ""))
    anchor = _anchor(f"type {name}")
    return f'<article id="{anchor}"><h3>{escape(name)}</h3>{text}<table>{"".join(rows)}</table></article>'


def _property(name: str, schema: dict[str, Any], required: bool) -> str:
    said = marked(schema.get("description", ""))
    optional = "" if required else "may be absent"
    text = " · ".join(filter(None, (said, optional)))
    return f"<tr><th>{_code(name)}</th><td>{_kind(schema)}</td><td>{text}</td></tr>"


_BODY: Final = Template("""<main class="reference">
<nav aria-label="Subjects"><h1>API reference</h1><p class="count">tileserver $version ·
<a href="openapi.json">openapi.json</a></p><ul>$contents</ul></nav>
<div>
<section class="about">$about</section>
$subjects
<section id="types"><h2>Types</h2>$types</section>
</div>
</main>""")

_OPERATION: Final = Template("""<details id="$id"><summary><span class="method" data-method="$method">$method</span>
<code>$path</code><span class="summary">$summary</span></summary>
<div class="more">$description$key$parameters$body$answers</div></details>""")

_KEY: Final = '<p class="key">Needs a private token or a session.</p>'
