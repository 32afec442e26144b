"""The UDF store (hosted API, section 2.2): saved, listed, loaded and deleted by the SDK."""

import httpx
from server import Running
from session import Sdk
from versions import only

RIVER = """
@fused.udf
def {name}(n: int = 1):
    import pandas as pd
    return pd.DataFrame({{"n": [n, {extra}]}})
"""

PUBLIC = "allow_public_read=True, allow_public_list=True"


def save(sdk: Sdk, name: str, extra: int = 2) -> str:
    """The id of a UDF that the SDK saved anew."""
    udf_id: str = sdk.get(f"{RIVER.format(name=name, extra=extra)}\n{name}.to_fused()\n{name}.metadata['fused:id']")
    return udf_id


def test_a_udf_is_saved(sdk: Sdk, owner: httpx.Client) -> None:
    """Under its function's name, with its source, private."""
    udf_id = save(sdk, "lena")
    stored = owner.get(f"/server/v1/udf/by-id/{udf_id}").json()
    assert (stored["id"], stored["slug"]) == (udf_id, "lena")
    assert "pd.DataFrame" in stored["udf_body"]


def test_it_is_saved_again_over_itself(sdk: Sdk) -> None:
    """The object knows its id: a second `to_fused` is the next version of the same UDF."""
    udf_id = save(sdk, "yenisei")
    again = sdk.get("yenisei.to_fused()\nyenisei.metadata['fused:id']")
    assert again == udf_id


def test_a_changed_source_is_the_next_version(sdk: Sdk, owner: httpx.Client) -> None:
    """`over_id` says which UDF it is; what is loaded afterwards is the new source."""
    udf_id = save(sdk, "amur")
    source = RIVER.format(name="amur", extra=77)
    assert sdk.get(f"{source}\namur.to_fused(over_id=id)\namur.metadata['fused:id']", id=udf_id) == udf_id
    assert "77" in sdk.get("fused.load('owner@localhost/amur').code")


@only("1.14.2")
def test_it_is_saved_under_another_name(sdk: Sdk) -> None:
    """`slug` is the name that it has from then on."""
    sdk.get(f"{RIVER.format(name='kolyma', extra=2)}\nkolyma.to_fused('kolyma_2')")
    assert sdk.get("fused.load('owner@localhost/kolyma_2').name") == "kolyma_2"


def test_modules_beside_it_travel_with_it(sdk: Sdk) -> None:
    """A header comes back whole."""
    (sdk.home / "gauges.py").write_text("def level(n):\n    return n * 10\n")
    sdk.get(
        "@fused.udf(headers=['gauges.py'])\n"
        "def gauged(n: int = 1):\n"
        "    import pandas as pd\n"
        "    from gauges import level\n"
        "    return pd.DataFrame({'level': [level(n)]})\n"
        "gauged.to_fused()"
    )
    told = sdk.get("[(each.module_name, each.source_code) for each in fused.load('owner@localhost/gauged').headers]")
    assert [each["items"] for each in told] == [["gauges", "def level(n):\n    return n * 10\n"]]


def test_ones_own_are_listed(sdk: Sdk) -> None:
    """Those of files and those that were saved."""
    save(sdk, "indigirka")
    names = listed(sdk, "self")
    assert {"hello", "shades", "indigirka"} <= names


def test_the_teams_are_listed(sdk: Sdk) -> None:
    """An account alone is its own team."""
    assert "hello" in listed(sdk, "team")


def test_none_is_public_by_itself(sdk: Sdk) -> None:
    """Neither those of files nor those that were saved."""
    save(sdk, "alazeya")
    assert not {"hello", "alazeya"} & listed(sdk, "public")


@only("1.14.2", "2.9.5")
def test_one_is_made_public(sdk: Sdk) -> None:
    """Then it is listed there, and `public` is a handle."""
    sdk.get(f"{RIVER.format(name='volga', extra=2)}\napi.save_udf(volga, slug='volga', {PUBLIC})")
    assert "volga" in listed(sdk, "public")
    assert sdk.get("fused.load('public/volga').name") == "volga"


def listed(sdk: Sdk, whose: str) -> set[str]:
    """Names, without the collection that newer versions put in front."""
    many = "n=1000, max_requests=None, " if sdk.old else ""
    told = sdk.get(f"list(api.get_udfs({many}whose=whose))", whose=whose)
    return {name.rpartition("/")[2] for name in told}


def test_loaded_by_address_and_name(sdk: Sdk) -> None:
    """As the overview has it; the source is the file's own."""
    told = sdk.get("udf = fused.core.load_udf_from_fused('owner@localhost', 'hello')\n[udf.name, udf.entrypoint]")
    assert told[0] == "hello"
    assert '"""A small table."""' in sdk.get("udf.code")
    assert sdk.get("type(udf).__name__") == ("GeoPandasUdfV2" if sdk.old else "Udf")


@only("1.14.2", "2.9.5")
def test_loaded_by_handle_and_name(sdk: Sdk) -> None:
    """A handle is as good as an address."""
    assert sdk.get("fused.core.load_udf_from_fused('owner', 'hello').name") == "hello"


def test_loaded_by_name(sdk: Sdk) -> None:
    """A name alone is one's own."""
    assert sdk.get("fused.core.load_udf_from_fused('hello').name") == "hello"


@only("1.14.2", "2.9.5")
def test_loaded_by_every_spelling_of_load(sdk: Sdk, server: Running) -> None:
    """Address or handle and name, name, team and token."""
    spelt = ("owner@localhost/hello", "owner/hello", "hello", "team/hello", server.token("hello"))
    for each in spelt:
        assert sdk.get("fused.load(spelt).name", spelt=each) == "hello"


@only("1.8.0")
def test_loaded_by_address_in_one_text(sdk: Sdk) -> None:
    """The one spelling that the oldest has."""
    assert sdk.get("fused.load('owner@localhost/hello').name") == "hello"


@only("2.9.5")
def test_loaded_by_id(sdk: Sdk) -> None:
    """The newest takes an id for a name."""
    udf_id = save(sdk, "olenyok")
    assert sdk.get("fused.load(id).name", id=udf_id) == "olenyok"


def test_what_is_not_there_is_not_found(sdk: Sdk) -> None:
    """In words, in every version."""
    error = sdk.raised("fused.core.load_udf_from_fused('owner@localhost', 'nothing')")
    assert "HTTPError" in error.bases
    assert "UDF not found" in error.text


def test_of_an_account_that_is_not_there(sdk: Sdk) -> None:
    """The same words: nothing tells whether there is such an account."""
    error = sdk.raised("fused.core.load_udf_from_fused('nobody@localhost', 'hello')")
    assert error.text == sdk.raised("fused.core.load_udf_from_fused('owner@localhost', 'nothing')").text


def test_a_saved_udf_is_deleted(sdk: Sdk, owner: httpx.Client) -> None:
    """Once; a second time it is not there."""
    udf_id = save(sdk, "vilyuy")
    sdk.get("vilyuy.delete_saved()")
    assert owner.get(f"/server/v1/udf/by-id/{udf_id}").status_code == 404
    error = sdk.raised("api.delete_saved_udf(id)", id=udf_id)
    assert "UDF not found" in error.text


def test_what_a_file_says_is_not_saved_over(sdk: Sdk) -> None:
    """The SDK says why."""
    error = sdk.raised(f"{RIVER.format(name='hello', extra=2)}\nhello.to_fused()")
    assert "served from a file" in error.text


@only("1.14.2", "2.9.5")
def test_what_is_beside_a_public_udf(sdk: Sdk) -> None:
    """`fused.utils` finds public UDFs by name."""
    (sdk.home / "tens.py").write_text("def tenfold(n):\n    return n * 10\n")
    sdk.get(
        "@fused.udf(headers=[{'module_name': 'utils', 'source_file': 'tens.py'}])\n"
        f"def anadyr():\n    return 1\napi.save_udf(anadyr, slug='anadyr', {PUBLIC})"
    )
    assert sdk.get("fused.utils.anadyr.tenfold(4)") == 40
    assert "UDF not found" in sdk.raised("fused.utils.nobodys").text


@only("2.9.5")
def test_another_source_is_not_saved_over_it(sdk: Sdk) -> None:
    """The newest shows the difference, and saves over it where that is wanted."""
    save(sdk, "penzhina")
    error = sdk.raised(f"{RIVER.format(name='penzhina', extra=77)}\npenzhina.to_fused()")
    assert error.kind == "ValueError"
    assert "There is a UDF 'penzhina' already" in error.text
    assert "--- remote" in error.text
    assert "77" in error.text
    assert "77" not in sdk.get("fused.load('penzhina').code")
    sdk.get("penzhina.to_fused(overwrite=True)")
    assert "77" in sdk.get("fused.load('penzhina').code")


@only("2.9.5")
def test_loaded_asynchronously(sdk: Sdk) -> None:
    """By every spelling."""
    udf_id = save(sdk, "omolon")
    for spelt in ("owner@localhost/omolon", "owner/omolon", "team/omolon", "omolon", udf_id):
        assert sdk.get("(await fused.load_async(spelt)).name", spelt=spelt) == "omolon"


@only("2.9.5")
def test_there_are_no_apps(sdk: Sdk) -> None:
    """Which the SDK lists by themselves."""
    assert sdk.get("len(api.get_apps())") == 0
