"""The code proxy's route: what the real SDK asks for when it loads a UDF from GitHub."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server import Running, serving

CODE = "import utils\nfrom tileserver import udf\n@udf\ndef pair(n: int = 2):\n    return utils.twice(n)\n"
UTILS = "def twice(n):\n    return [n, n]\n"
PROXY = "/server/v1/code-proxy/by-url"
URL = "https://github.com/owner/udfs/tree/main/public/twice/"


@pytest.fixture(scope="module")
def mirroring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a mirror of one repository."""
    folder = tmp_path_factory.mktemp("mirroring")
    place = folder / "mirror" / "owner" / "udfs"
    (place / "public" / "twice").mkdir(parents=True)
    (place / "public" / "twice" / "twice.py").write_text(CODE)
    (place / "public" / "twice" / "utils.py").write_text(UTILS)
    for command in ("init -q -b main", "add -A", "-c user.name=A -c user.email=a@b commit -q -m one"):
        subprocess.run(["git", *command.split()], cwd=place, check=True)
    with serving(data=folder / "data", TILESERVER_CODE_MIRROR=str(folder / "mirror")) as server:
        yield server


def ask(client: httpx.Client, url: str = URL) -> httpx.Response:
    return client.get(PROXY, params={"url": url})


def test_the_record_is_the_hosted_apis(mirroring: Running) -> None:
    """A stranger has it; without an id, since it is nobody's here (section 2.2)."""
    with mirroring.client() as stranger:
        answer = ask(stranger)
    record = answer.json()
    assert (answer.status_code, record.keys()) == (200, {"slug", "udf_body", "udf_type"})
    assert json.loads(record["udf_body"]) == {
        "name": "twice",
        "type": "geopandas_v2",
        "code": CODE,
        "headers": [{"module_name": "utils", "source_code": UTILS, "source_file": "utils.py"}],
        "metadata": {"fused:slug": "twice"},
        "entrypoint": "pair",
        "parameters": {},
        "cache_max_age": None,
    }


def test_it_can_be_published_as_it_came(mirroring: Running) -> None:
    """Loaded and saved it is a UDF like any other, with its headers."""
    with mirroring.owner() as owner:
        record = ask(owner).json()
        saved = owner.post("/server/v1/udf/new", json=record).json()
        token = owner.post("/server/v1/udf-access-token/new", json={"udf_id": saved["id"]}).json()["token"]
        assert owner.get(f"/files/{token}.json?n=3").json() == [3, 3]


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("", 422, "invalid_parameter"),
        ("https://github.com/owner/udfs", 422, "invalid_parameter"),
        ("https://github.com/owner/udfs/tree/main/public/gone", 404, "not_found"),
        ("https://github.com/owner/udfs/blob/main/public/twice/utils.py", 422, "not_publishable"),
        ("https://github.com/owner/other/tree/main/public/twice", 403, "forbidden"),
        ("https://169.254.169.254/owner/udfs/tree/main/x", 403, "forbidden"),
    ],
)
def test_what_is_not_served(mirroring: Running, url: str, status: int, code: str) -> None:
    """Each with its code and one sentence, in which nothing of this machine stands."""
    with mirroring.client() as stranger:
        answer = ask(stranger, url)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert str(mirroring.data.parent) not in answer.text and "\n" not in answer.json()["detail"]


def test_a_server_without_settings_says_which_would_allow_it(server: Running) -> None:
    """The default is to read nothing."""
    with server.client() as stranger:
        answer = ask(stranger)
    assert answer.status_code == 403
    assert "TILESERVER_CODE_MIRROR" in answer.json()["detail"] and "TILESERVER_CODE_HOSTS" in answer.json()["detail"]


def test_a_host_inside_a_private_network_is_not_read(tmp_path: Path) -> None:
    """Although the setting names it."""
    with serving(data=tmp_path / "data", TILESERVER_CODE_HOSTS="127.0.0.1") as server, server.client() as stranger:
        answer = ask(stranger, "https://127.0.0.1/owner/udfs/blob/main/x.py")
    assert answer.status_code == 403
    assert "inside a private network" in answer.json()["detail"]


def test_a_stranger_may_ask_sixty_times_a_minute(mirroring: Running) -> None:
    """The owner goes on while strangers wait."""
    with mirroring.client() as stranger, mirroring.owner() as owner:
        statuses = [ask(stranger).status_code for _ in range(70)]
        refused = ask(stranger)
        assert ask(owner).status_code == 200
    assert statuses[-1] == 429 and statuses.count(200) > 40
    assert refused.json()["code"] == "too_many_requests" and refused.headers["retry-after"] == "60"


def test_a_mirror_that_is_none_stops_the_start(tmp_path: Path) -> None:
    """In one line."""
    refused = pytest.raises(AssertionError, match=r"the code mirror .* is no folder; use --code-mirror")
    with refused, serving(data=tmp_path / "data", TILESERVER_CODE_MIRROR=str(tmp_path / "gone")):
        pass
