"""The overview page of the Hosted API, from top to bottom, with a UDF of this server in the place of the page's own."""

import httpx
from expected import hello
from server import Running
from session import Sdk
from test_shared_runs import data
from versions import only

IMPORTS = "from fused.api import FusedAPI\napi = FusedAPI()\n"
NAMED = "udf_email='owner@localhost', udf_name='hello'"


def test_a_shared_token_and_a_run(sdk: Sdk) -> None:
    """A token object, and the output of a run with it."""
    run = "fused.core.run_shared_file(token=token_object.token, my_param='...')"
    told = sdk.get(f"{IMPORTS}token_object = api.create_udf_access_token({NAMED})\n{run}{data(sdk)}")
    assert told == hello()


def test_tokens_are_managed(sdk: Sdk) -> None:
    """Fetched one by one and all together, updated, deleted."""
    made = sdk.get(f"{IMPORTS}token = api.create_udf_access_token({NAMED})\ntoken")
    assert sdk.get("api.get_udf_access_token(token=token.token)") == made
    assert made["token"] in sdk.get("[each.token for each in api.get_udf_access_tokens()]")
    assert sdk.get("api.update_udf_access_token(token=token.token, enabled=True)")["enabled"] is True
    assert sdk.get("api.delete_udf_access_token(token=token.token)")["token"] == made["token"]


def test_the_line_for_curl_with_a_shared_token(server: Running) -> None:
    """`GET /realtime-shared/$SHARED_TOKEN/run/file`, with nothing else."""
    answer = httpx.get(f"{server.url}/server/v1/realtime-shared/{server.token('hello')}/run/file")
    assert answer.status_code == 200
    assert answer.content


def test_urls_for_other_applications(sdk: Sdk) -> None:
    """One call, and tiles."""
    file_url = sdk.get(f"{IMPORTS}api.create_udf_access_token({NAMED}).get_file_url()")
    assert httpx.get(file_url).status_code == 200
    tile_url = sdk.get(f"{IMPORTS}api.create_udf_access_token({NAMED.replace('hello', 'shades')}).get_tile_url()")
    answer = httpx.get(tile_url.format(z=2, x=1, y=1))
    assert answer.headers["content-type"] == "image/png"


@only("1.14.2", "1.8.0")
def test_saved_udfs_are_called(sdk: Sdk) -> None:
    """`run_file` and its twin."""
    assert sdk.get(f"fused.core.run_file('owner@localhost', 'hello'){data(sdk)}") == hello()
    assert sdk.get("await fused.core.run_file_async('owner@localhost', 'hello')") == hello()


def test_a_udf_is_imported(sdk: Sdk) -> None:
    """As an object, which can be run here."""
    sdk.get("my_udf = fused.core.load_udf_from_fused('owner@localhost', 'hello')")
    assert sdk.get("my_udf.name") == "hello"


@only("1.8.0")
def test_the_line_for_curl_with_ones_own_token(sdk: Sdk, server: Running) -> None:
    """The private token that the page's first snippet prints opens the page's last address."""
    token = sdk.get("from fused._auth import CREDENTIALS\nCREDENTIALS.credentials.access_token")
    url = f"{server.url}/server/v1/realtime/fused/api/v1/run/udf/saved/owner@localhost/hello"
    query = "?dtype_out_raster=png&dtype_out_vector=parquet"
    answer = httpx.get(url + query, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert answer.content.startswith(b"PAR1")
