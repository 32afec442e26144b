"""UDFs that are published for a test, and taken back after it."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from server import Running

UDFS = Path(__file__).parents[1] / "udfs"
"""The folder of well- and ill-behaved UDFs."""


@contextlib.contextmanager
def versions(server: Running, name: str, count: int) -> Iterator[list[str]]:
    """Tokens of `count` UDFs with this file's source, each a version of its own with its own workers and breaker."""
    source = (UDFS / f"{name}.py").read_text()
    with server.owner() as owner:
        endings = [f"# {number}, {time.monotonic_ns()}" for number in range(count)]
        saved = [_publish(owner, f"{name}-{number}", f"{source}\n{end}\n") for number, end in enumerate(endings)]
        yield [token for _, token in saved]
        for udf_id, _ in saved:
            owner.delete(f"/server/v1/udf/by-id/{udf_id}").raise_for_status()


def _publish(owner: httpx.Client, slug: str, code: str) -> tuple[str, str]:
    posted = {"slug": slug, "udf_body": json.dumps({"code": code})}
    answer = owner.post("/server/v1/udf/new", json=posted)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"], new_token(owner, answer.json()["id"])


def new_token(owner: httpx.Client, udf_id: str) -> str:
    """One more shared token of a UDF."""
    return owner.post("/server/v1/udf-access-token/new", json={"udf_id": udf_id}).json()["token"]
