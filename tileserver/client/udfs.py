"""UDFs pushed, listed and deleted (hosted API, section 2.2), and what their runs said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tileserver.client import posting, records
from tileserver.client.exchange import Steps
from tileserver.client.posting import Pushable
from tileserver.client.progress import counting
from tileserver.client.records import Token, Udf
from tileserver.client.session import Session
from tileserver.client.tokens import create_token, tokens
from tileserver.credentials import OWN
from tileserver.parameters import as_text


def push(session: Session, what: Pushable, /, name: str | None = None) -> Steps[Udf]:
    """The UDF that a file, a function or a text has become, with a token that opens it.

    A token is made where the UDF has none that is enabled.

    Args:
        what: a path, sent with the modules beside it that it imports; a live function, sent as its own text with what
            its names mean; or the text itself, of more than one line.
        name: the UDF's name; None takes the option of `@udf`, else the file's or the function's name.

    Raises:
        PublicationError: it cannot become a UDF; names file and line.
        ConflictError: the server serves a file of that name.
    """
    return (yield from _push(session, posting.body(what, name)))


def push_all(session: Session, path: str | Path) -> Steps[list[Udf]]:
    """The UDFs of a folder, each pushed; nothing is where one of them cannot be read.

    Raises:
        PublicationError: one cannot become a UDF, or two have one name.
        ConflictError: the server serves a file of that name.
    """
    bodies = posting.bodies(path)
    pushed = []
    with counting("push", len(bodies)) as done:
        for body in bodies:
            pushed.append((yield from _push(session, body)))
            done()
    return pushed


def _push(session: Session, body: dict[str, Any]) -> Steps[Udf]:
    record = yield from session.ask("POST", "/udf/new", body)
    token = _first((yield from tokens(session)), record["id"])
    return records.udf(record, token or (yield from create_token(session, record["slug"])))


def udfs(session: Session) -> Steps[list[Udf]]:
    """The account's UDFs, the oldest first."""
    known = yield from tokens(session)
    found = yield from session.pages("/udf/self")
    return [records.udf(record, _first(known, record["id"])) for record in found]


def udf(session: Session, name: str) -> Steps[Udf]:
    """A UDF of the account.

    Raises:
        NotFoundError: it has none of that name.
    """
    record = yield from _record(session, name)
    return records.udf(record, _first((yield from tokens(session)), record["id"]))


def delete_udf(session: Session, udf: str | Udf) -> Steps[None]:
    """Deletes a UDF that was pushed, with its tokens.

    Raises:
        NotFoundError: the account has none of that name.
        ConflictError: it is served from a file.
    """
    udf_id = yield from _id(session, udf)
    yield from session.ask("DELETE", f"/udf/by-id/{udf_id}")


def clear(
    session: Session,
    udf: str | Udf,
    *,
    bbox: Sequence[float] | None = None,
    area: dict[str, Any] | None = None,
    zooms: Sequence[int] | None = None,
    parameters: dict[str, Any] | None = None,
) -> Steps[None]:
    """Makes what is cached of a UDF stale: all, or of some parameters, or of some zooms, in a box or an area.

    Args:
        udf: the UDF, or its name.
        bbox: west, south, east, north in degrees; west above east means across the 180th meridian.
        area: a GeoJSON polygon, instead of a box.
        zooms: the first and the last.
        parameters: only what was made with these, in whatever format; those that are not named have their defaults.

    Raises:
        InvalidParameterError: the place or the zooms are none, or there is no such parameter.
        NotFoundError: the account has none of that name.
    """
    name = udf.name if isinstance(udf, Udf) else udf
    texts = None if parameters is None else {name: as_text(each) for name, each in parameters.items()}
    given = {"bbox": bbox, "area": area, "zooms": zooms, "parameters": texts}
    body = {key: value for key, value in given.items() if value is not None}
    yield from session.ask("POST", f"/udf/{_quoted(name)}/clear", body, base=OWN)


def cache(session: Session) -> Steps[dict[str, Any]]:
    """What the server answered from where since it started, and what its memory and disk hold."""
    report: dict[str, Any] = yield from session.ask("GET", "/cache", base=OWN)
    return report


def logs(
    session: Session, udf: str | Udf, *, limit: int = 50, after: int | None = None, wait: int = 0
) -> Steps[list[dict[str, Any]]]:
    """What the last runs printed, raised and cost, the newest last; the manual's page on logs says what a run has.

    Args:
        udf: the UDF, or its name.
        limit: how many runs at most.
        after: the `id` of a run: only those behind it.
        wait: seconds to wait for the first one behind `after`, at most 25.
    """
    name = udf.name if isinstance(udf, Udf) else udf
    query = {"limit": limit} if after is None else {"limit": limit, "after": after, "wait": wait}
    runs: list[dict[str, Any]] = yield from session.ask("GET", f"/udf/{_quoted(name)}/logs", query=query, base=OWN)
    return runs


def usage(session: Session, udf: str | Udf | None = None, *, days: int = 30) -> Steps[dict[str, Any]]:
    """Calls, failures, cached answers, milliseconds and bytes in all, and by day, UDF and token.

    Args:
        udf: the UDF, or its name; None counts all of the account.
        days: how many, today included.
    """
    name = udf.name if isinstance(udf, Udf) else udf
    path = "/usage" if name is None else f"/udf/{_quoted(name)}/usage"
    counts: dict[str, Any] = yield from session.ask("GET", path, query={"days": days}, base=OWN)
    return counts


def _id(session: Session, udf: str | Udf) -> Steps[str]:
    return udf.id if isinstance(udf, Udf) else (yield from _record(session, udf))["id"]


def _record(session: Session, name: str) -> Steps[Any]:
    return (yield from session.ask("GET", f"/udf/exec-env/self/by-slug/{_quoted(name)}"))


def _first(known: list[Token], udf_id: str) -> Token | None:
    """The first token that opens a UDF."""
    return next((each for each in known if each.enabled and each.udf_id == udf_id), None)


def _quoted(name: str) -> str:
    return quote(name, safe="") or "-"
