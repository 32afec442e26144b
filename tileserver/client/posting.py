"""What is pushed: a file with the modules beside it, a live function, or a text; as the hosted API takes it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tileserver import sources
from tileserver.client.live import source_of
from tileserver.errors import PublicationError
from tileserver.sources import SourceFile
from tileserver.udfs import Udf

Pushable = str | Path | Callable[..., Any]


def body(what: Pushable, name: str | None = None) -> dict[str, Any]:
    """The body of `POST /udf/new` (hosted API, section 2.2).

    Raises:
        PublicationError: it cannot be read, or cannot become a UDF.
    """
    if callable(what):
        return _of_text(source_of(what), name)
    if isinstance(what, str) and "\n" in what:
        return _of_text(what, name)
    source = sources.read(Path(what))
    udf = sources.described(source)
    return _body(source, udf, name or udf.name)


def bodies(path: str | Path) -> list[dict[str, Any]]:
    """A body for each UDF at or under a path.

    Raises:
        PublicationError: one cannot be read, or cannot become a UDF, or has the name of another.
    """
    texts = [sources.read(file) for file in sources.find(Path(path))]
    modules = sources.modules(texts)
    files: dict[str, Path] = {}
    found = []
    for source in (each for each in texts if each.file not in modules):
        udf = sources.described(source)
        if files.setdefault(udf.name, source.file) != source.file:
            raise PublicationError(f"{files[udf.name]} has a UDF named '{udf.name}' too", file=str(source.file))
        found.append(_body(source, udf, udf.name))
    return found


def _of_text(text: str, name: str | None) -> dict[str, Any]:
    """Without a file, the function's own name is the UDF's."""
    source = SourceFile(file=Path(f"{name or 'udf'}.py"), code=text)
    udf = sources.described(source)
    return _body(source, udf, name or udf.options.name or udf.entry)


def _body(source: SourceFile, udf: Udf, name: str) -> dict[str, Any]:
    headers = [
        {"module_name": module, "source_code": text, "source_file": f"{module}.py"}
        for module, text in source.headers.items()
    ]
    content = {"type": "geopandas_v2", "name": name, "code": source.code, "headers": headers, "entrypoint": udf.entry}
    return {"slug": name, "udf_body": json.dumps(content), "udf_type": "auto"}
