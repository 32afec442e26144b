"""UDFs that come with a request, with their parameters (hosted API, section 2.4)."""

import json
import re
from typing import Annotated, Any, Final

import msgspec

from tileserver import query as queries
from tileserver.coercion import Number
from tileserver.layers import Posted
from tileserver.web.hosted.requests import Json
from tileserver.web.hosted.udfs import UdfBody

_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
"""What a stored UDF's name cannot have; here it is only what messages show."""


_STEP: Final = "`udf`, which is as in `udf_body` with the call's `parameters` and `cache_max_age`; as JSON"


class PostedUdf(UdfBody, kw_only=True):
    """A UDF with the parameters of one call, as text or numbers."""

    parameters: dict[str, Any] | None = None
    cache_max_age: int | str | None = None

    def posted(self, account_id: str) -> Posted:
        """The UDF itself, for an account."""
        name = _STRANGE.sub("_", self.name or "").strip(".-_")[:100] or "udf"
        return Posted(
            account_id=account_id, name=name, code=self.code, headers=self.modules, entry=self.entrypoint or ""
        )


class Step(msgspec.Struct, kw_only=True):
    """What `step_config` holds, as JSON in a string."""

    udf: PostedUdf


class PostedRun(msgspec.Struct, kw_only=True):
    """The body of `POST .../run/udf`; what it says of the format may stand in the query too."""

    step_config: Annotated[Json, msgspec.Meta(description=_STEP)]
    format: str | None = None
    dtype_out_vector: str | None = None
    dtype_out_raster: str | None = None

    def query(self, udf: PostedUdf) -> queries.Query:
        """The parameters as a query has them, and what the body says of format and age."""
        said = {
            "format": self.format,
            "dtype_out_vector": self.dtype_out_vector,
            "dtype_out_raster": self.dtype_out_raster,
            "cache_max_age": udf.cache_max_age,
        }
        return as_query((udf.parameters or {}) | {name: value for name, value in said.items() if value is not None})


def as_query(arguments: dict[str, Any]) -> queries.Query:
    """Arguments as a query has them: text as it is, what else there is as JSON; None is left out.

    Numbers are marked as such: without an annotation they stay numbers (hosted API, section 2.4).
    """
    return {name: [_text(value)] for name, value in arguments.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return Number(text) if type(value) in (int, float) else text
