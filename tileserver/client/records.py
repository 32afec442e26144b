"""What the server tells of UDFs and tokens. In a notebook a UDF shows its map, and a token its addresses."""

from typing import Any

import msgspec

from tileserver.client import notebook


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A shared token: opens exactly one UDF."""

    token: str
    udf_id: str
    udf_slug: str
    """The UDF's name."""
    enabled: bool
    cache: bool | None = None
    """Whether answers may come from the cache."""
    calls_per_day: int | None = None
    """How many calls it answers a day; None as many as come."""
    client_id: str | None = None
    metadata_json: dict[str, Any] | None = None
    last_updated: str = ""
    """ISO 8601, UTC."""
    tile_url: str
    """With `{z}/{x}/{y}`."""
    file_url: str
    map_url: str

    def _repr_html_(self) -> str:
        return notebook.addresses(self.udf_slug, {"map": self.map_url, "tile": self.tile_url, "file": self.file_url})


class Udf(msgspec.Struct, frozen=True, kw_only=True):
    """A UDF of the account."""

    id: str
    name: str
    kind: str | None = None
    """`raster`, `vector`, `table` or `document`; None until a first run has told."""
    last_updated: str = ""
    """ISO 8601, UTC."""
    code: str
    headers: dict[str, str] = {}
    """Sources of the sibling modules by dotted name."""
    token: Token | None = None
    """The first that is enabled; None where there is none."""

    def __repr__(self) -> str:
        where = self.token.map_url if self.token else "no enabled token"
        return f"<Udf {self.name}: {self.kind or 'kind not known yet'}, {where}>"

    def _repr_html_(self) -> str:
        return notebook.map_frame(self.name, self.token.map_url if self.token else None)


def udf(record: dict[str, Any], token: Token | None) -> Udf:
    """A UDF as the hosted API describes it (section 2.2), with the token that opens it."""
    body = msgspec.json.decode(record["udf_body"])
    return Udf(
        id=record["id"],
        name=record["slug"],
        kind=record.get("kind"),
        last_updated=record.get("last_updated") or "",
        code=body["code"],
        headers={each["module_name"]: each.get("source_code") or "" for each in body.get("headers") or ()},
        token=token,
    )
