"""Shared tokens (hosted API, section 2.3): made, read, changed, listed and deleted by the SDK; their URLs opened."""

import httpx
import pandas as pd
import pytest
from expected import hello
from server import Running
from session import Sdk
from versions import only

HELLO = "api.create_udf_access_token(udf_email='owner@localhost', udf_name='hello')"


def ids(owner: httpx.Client) -> dict[str, str]:
    """Ids of the owner's UDFs by name."""
    return {each["slug"]: each["id"] for each in owner.get("/server/v1/udf/self?limit=1000").json()}


def test_a_token_is_made(sdk: Sdk, owner: httpx.Client) -> None:
    """With everything that its class has, for the UDF that was named."""
    told = sdk.get(HELLO)
    assert told["token"].startswith("fsh_")
    named = {"udf_email": "owner@localhost", "udf_slug": "hello", "udf_id": ids(owner)["hello"]}
    assert {name: told[name] for name in named} == named
    assert (told["enabled"], told["cache"], told["metadata_json"]) == (True, True, {})
    assert told["owning_user_id"] == sdk.get("api._whoami()['id']")
    assert told["client_id"] == sdk.get("api._automatic_realtime_client_id()")
    assert told["last_updated"]


@pytest.mark.parametrize(
    "spelt", ["'hello'", "'owner@localhost', 'hello'", "'owner@localhost/hello'", "udf_id=id", "id"]
)
def test_every_spelling(sdk: Sdk, owner: httpx.Client, spelt: str) -> None:
    """By name, address and name, both in one text, and id."""
    told = sdk.get(f"api.create_udf_access_token({spelt})", id=ids(owner)["hello"])
    assert (told["udf_slug"], told["udf_id"]) == ("hello", ids(owner)["hello"])


@only("1.14.2", "2.9.5")
def test_a_udf_makes_its_own(sdk: Sdk) -> None:
    """A saved UDF's object does, and lists what it has."""
    sdk.get("@fused.udf\ndef ob():\n    return 1\nob.to_fused()")
    first = sdk.get("ob.create_access_token()")
    second = sdk.get("ob.create_access_token(cache=False)")
    assert first["udf_slug"] == "ob"
    assert (first["cache"], second["cache"]) == (True, False)
    listed = sdk.get("[each.token for each in ob.get_access_tokens()]")
    assert sorted(listed) == sorted([first["token"], second["token"]])


def test_a_token_with_everything_set(sdk: Sdk, owner: httpx.Client) -> None:
    """What is given is what it has."""
    given = "client_id=None, cache=False, metadata_json={'minzoom': 3}, enabled=False"
    told = sdk.get(f"api.create_udf_access_token(udf_id=id, {given})", id=ids(owner)["hello"])
    assert (told["client_id"], told["cache"], told["enabled"]) == (None, False, False)
    assert told["metadata_json"] == {"minzoom": 3}


def test_what_a_token_says_of_its_tiles(sdk: Sdk) -> None:
    """Its metadata are beside its template, before what the function says of itself."""
    told = "api.create_udf_access_token('shades', metadata_json={'river': 'Ob', 'minzoom': 3}).get_tile_url()"
    url = sdk.get(told).replace("{z}/{x}/{y}", "metadata.json")
    document = httpx.get(url).json()
    assert (document["river"], document["minzoom"], document["name"]) == ("Ob", 3, "shades")
    other = sdk.get("api.create_udf_access_token('shades').get_tile_url()").replace("{z}/{x}/{y}", "metadata.json")
    assert httpx.get(other).json()["minzoom"] == 0


def test_one_for_what_is_not_there(sdk: Sdk) -> None:
    """Refused in words."""
    assert "UDF not found" in sdk.raised("api.create_udf_access_token('owner@localhost', 'nothing')").text


def test_one_for_what_is_anothers(sdk: Sdk) -> None:
    """An address that is not one's own does not fall back to one's own UDF of that name."""
    assert "UDF not found" in sdk.raised("api.create_udf_access_token('nobody@localhost', 'hello')").text


def test_it_is_read_again(sdk: Sdk) -> None:
    """By its text, its object, and by itself."""
    made = sdk.get(f"token = {HELLO}\ntoken")
    assert sdk.get("api.get_udf_access_token(token=token.token)") == made
    assert sdk.get("api.get_udf_access_token(token)") == made
    assert sdk.get("token.refresh()") == made


def test_what_is_not_named_stays(sdk: Sdk) -> None:
    """Null in an update means unchanged."""
    sdk.get("token = api.create_udf_access_token('hello', cache=False, metadata_json={'a': 1})")
    told = sdk.get("api.update_udf_access_token(token=token.token, enabled=False)")
    assert (told["enabled"], told["cache"], told["metadata_json"]) == (False, False, {"a": 1})
    told = sdk.get("token.update(enabled=True, cache=True, metadata_json={'b': 2}, client_id='mine')")
    assert (told["enabled"], told["cache"], told["metadata_json"], told["client_id"]) == (True, True, {"b": 2}, "mine")
    assert sdk.get("token.refresh()") == told


def test_a_disabled_token_opens_nothing(sdk: Sdk, server: Running) -> None:
    """At the next request; enabled again it does."""
    url = sdk.get(f"token = {HELLO}\ntoken.get_file_url()")
    assert httpx.get(url).status_code == 200
    sdk.get("api.update_udf_access_token(token=token.token, enabled=False)")
    assert httpx.get(url).status_code == 404
    sdk.get("api.update_udf_access_token(token=token.token, enabled=True)")
    assert httpx.get(url).status_code == 200


def test_a_token_is_deleted(sdk: Sdk) -> None:
    """The answer is what it was; then nobody has it."""
    made = sdk.get(f"token = {HELLO}\ntoken")
    assert sdk.get("api.delete_udf_access_token(token=token.token)") == made
    for call in ("api.get_udf_access_token(token.token)", "token.delete()"):
        error = sdk.raised(call)
        assert "HTTPError" in error.bases
        assert "Token not found" in error.text


def test_a_token_deletes_itself(sdk: Sdk) -> None:
    """`token.delete()` is the same call."""
    made = sdk.get(f"token = {HELLO}\ntoken")
    assert sdk.get("token.delete()") == made


def test_deleting_as_the_overview_prints_it(sdk: Sdk) -> None:
    """No version takes `enabled` there: it never leaves the SDK, and the token stays."""
    error = sdk.raised(f"token = {HELLO}\napi.delete_udf_access_token(token=token.token, enabled=True)")
    assert error.kind == "TypeError"
    assert sdk.get("token.refresh().enabled") is True


def test_sixty_tokens_over_three_pages(sdk: Sdk, owner: httpx.Client) -> None:
    """Every one of them once, whatever the SDK's pages are."""
    made = [
        owner.post("/server/v1/udf-access-token/new", json={"udf_slug": "talks"}).json()["token"] for _ in range(60)
    ]
    expected = [each["token"] for each in owner.get("/server/v1/udf-access-token/self?limit=10000").json()]
    assert set(made) < set(expected)
    told = sdk.get("[each.token for each in api.get_udf_access_tokens()]")
    assert sorted(told) == sorted(expected)
    page = sdk.get("[each.token for each in api.get_udf_access_tokens(n=2)]")
    assert 2 <= len(page) <= 25
    assert set(page) < set(expected)


def test_file_urls(sdk: Sdk, server: Running) -> None:
    """Each version's own spelling; opened without credentials they give what they ask for."""
    told = sdk.get(f"token = {HELLO}\n[token.token, token.get_file_url()]")
    ending = "run/file" if sdk.old else "run"
    assert told[1] == f"{server.url}/server/v1/realtime-shared/{told[0]}/{ending}"
    csv = sdk.get("token.get_file_url(dtype_out_vector='csv', dtype_out_raster='png')")
    assert csv == f"{told[1]}?dtype_out_vector=csv&dtype_out_raster=png"
    answer = httpx.get(csv)
    assert answer.headers["content-type"].partition(";")[0] == "text/csv"
    assert "x" in answer.text
    assert httpx.get(told[1]).status_code == 200


@only("2.9.5")
def test_file_urls_with_a_format(sdk: Sdk, server: Running) -> None:
    """The newest says `format`."""
    url = sdk.get(f"token = {HELLO}\ntoken.get_file_url(format='csv')")
    assert url.endswith("/run?format=csv")
    assert pd.read_csv(url)[["a", "b"]].to_numpy().tolist() == [[1, "x"], [2, "y"]]


def test_tile_urls(sdk: Sdk, server: Running) -> None:
    """A template, and one tile; without a selector a raster is a PNG."""
    made = sdk.get("token = api.create_udf_access_token('shades')\n[token.token, token.get_tile_url()]")
    base = f"{server.url}/server/v1/realtime-shared/{made[0]}/run/tiles"
    assert made[1] == base + "/{z}/{x}/{y}"
    url = sdk.get("token.get_tile_url(x=1, y=2, z=3, dtype_out_raster='png', dtype_out_vector='mvt')")
    assert url == f"{base}/3/1/2?dtype_out_vector=mvt&dtype_out_raster=png"
    for each in (url, made[1].format(z=3, x=1, y=2)):
        answer = httpx.get(each)
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")


@only("2.9.5")
def test_a_udf_finds_its_own_url(sdk: Sdk, server: Running) -> None:
    """`shared_url` looks through the tokens."""
    sdk.get("@fused.udf\ndef irtysh():\n    return 1\nirtysh.to_fused()\ntoken = irtysh.create_access_token()")
    url = sdk.get("irtysh.shared_url(format='json')")
    assert url == f"{server.url}/server/v1/realtime-shared/{sdk.get('token.token')}/run?format=json"


def test_a_token_shows_its_urls(sdk: Sdk) -> None:
    """In a notebook."""
    told = sdk.get(f"token = {HELLO}\n[token.token, token._repr_html_()]")
    assert told[0] in told[1]


def test_everybodys_tokens(sdk: Sdk, other: Sdk, server: Running) -> None:
    """For the server's owner, every page of them; others are told that they are not for them."""
    name = f"okota_{sdk.version[0]}"
    source = f"@fused.udf\ndef {name}():\n    return 1\n{name}.to_fused()"
    made = other.get(f"{source}\ntoken = api.create_udf_access_token('{name}').token\ntoken")
    told = sdk.get("[each.token for each in api.get_udf_access_tokens(_whose='all')]")
    assert {made, server.token("hello")} < set(told)
    assert len(told) == len(set(told))
    assert made not in sdk.get("[each.token for each in api.get_udf_access_tokens()]")
    assert "owner" in other.raised("api.get_udf_access_tokens(_whose='all')").text


@only("2.9.5")
def test_a_token_for_the_team(sdk: Sdk, stranger: Sdk, other: Sdk) -> None:
    """It opens to who is signed in as one of it; the SDK tells whom it is for."""
    made = sdk.get("token = api.create_udf_access_token('hello', access_scope='team', public_read=True)\ntoken")
    assert (made["access_scope"], made["public_read"]) == ("team", True)
    assert sdk.get("fused.run(token, n=4)") == hello(4)
    for each in (stranger, other):
        assert "HTTPError" in each.raised("fused.run(token, n=4)", token=made["token"]).bases
    sdk.get("token = token.update(access_scope='public')")
    assert stranger.get("fused.run(token, n=4)", token=made["token"]) == hello(4)


def test_a_token_at_its_cap_is_an_error(sdk: Sdk, owner: httpx.Client) -> None:
    """Which comes at once: nobody waits for tomorrow, as the answer says when it will be open again."""
    asked = {"udf_id": ids(owner)["hello"], "calls_per_day": 1}
    token = owner.post("/server/v1/udf-access-token/new", json=asked).json()["token"]
    run = "fused.core.run_shared_file(token=token)"
    sdk.get(run, token=token)
    error = sdk.raised(run, token=token)
    assert "429" in error.text or "has had all of its calls for today" in error.text
